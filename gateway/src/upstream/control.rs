//! The control log as this gateway follows it: people, rights and sessions.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::internal::v1::ControlBatch;
use tokio::sync::{broadcast, watch};

/// What a follower of the control log gets.
#[derive(Clone, Debug)]
pub enum ControlUpdate {
    /// These events, each once, in order.
    Events(Arc<ControlBatch>),
    /// Something may have been missed (the follower lagged, or the log was made anew): check everything again.
    Missed,
}

/// One follower of the feed.
#[derive(Debug)]
pub struct ControlEvents {
    receiver: broadcast::Receiver<ControlUpdate>,
}

impl ControlEvents {
    /// The next update; cancel-safe. `None`: the feed has ended with the gateway.
    pub async fn next(&mut self) -> Option<ControlUpdate> {
        match self.receiver.recv().await {
            Ok(update) => Some(update),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(ControlUpdate::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// The control log, followed from one chat-core or another. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ControlFeed {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    seen: Mutex<Seen>,
    ended_most: usize,
    position: watch::Sender<u64>,
    updates: broadcast::Sender<ControlUpdate>,
}

#[derive(Debug, Default)]
struct Seen {
    epoch: u32,
    /// Every event after this, up to the position, was seen.
    since: u64,
    heard: Option<Instant>,
    ended: HashMap<String, u64>,
    /// The same in order, oldest first, to forget by.
    ended_order: VecDeque<String>,
}

impl ControlFeed {
    pub(super) fn new(lag_most: usize, ended_most: usize) -> Self {
        let inner = Inner {
            seen: Mutex::default(),
            ended_most: ended_most.max(1),
            position: watch::Sender::new(0),
            updates: broadcast::channel(lag_most.max(1)).0,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Follows from now on.
    #[must_use]
    pub fn follow(&self) -> ControlEvents {
        ControlEvents { receiver: self.inner.updates.subscribe() }
    }

    /// Everything up to here was seen, and is being passed to the followers. 0: nothing was heard yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.inner.position.borrow()
    }

    /// The log's incarnation; 0: nothing was heard yet.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.inner.seen.lock().epoch
    }

    /// How long ago a chat-core was last heard (it sends something at least every second); `None`: never yet.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.inner.seen.lock().heard.map(|heard| heard.elapsed())
    }

    /// Whether a chat-core was heard within this time.
    #[must_use]
    pub fn is_alive(&self, within: Duration) -> bool {
        self.silent_for().is_some_and(|silent| silent <= within)
    }

    /// Waits until the feed is at `position`; `false`: not within this time.
    pub async fn wait_for(&self, position: u64, within: Duration) -> bool {
        let mut watched = self.inner.position.subscribe();
        tokio::time::timeout(within, watched.wait_for(|at| *at >= position)).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Whether this session ended after the position `control` of the log's incarnation `epoch` (0: the present one), at
    /// which it was live. `None`: cannot be known here, for the feed does not go back that far, or has not come that far.
    #[must_use]
    pub fn has_ended(&self, session: &str, epoch: u32, control: u64) -> Option<bool> {
        let position = self.position();
        let seen = self.inner.seen.lock();
        if seen.ended.contains_key(session) {
            return Some(true);
        }
        let known = seen.heard.is_some() && (epoch == 0 || epoch == seen.epoch) && control >= seen.since && control <= position;
        known.then_some(false)
    }

    /// Where to go on from: (epoch, position).
    pub(super) fn cursor(&self) -> (u32, u64) {
        (self.epoch(), self.position())
    }

    /// The first batch of a follower that starts after `from`.
    pub(super) fn begin(&self, epoch: u32, from: u64) {
        let mut seen = self.inner.seen.lock();
        seen.epoch = epoch;
        seen.since = from;
        self.inner.position.send_replace(from);
    }

    /// Goes on from another log than before, or from further back in it: nothing that was known can be relied on.
    pub(super) fn restart(&self, batch: ControlBatch) {
        {
            let mut seen = self.inner.seen.lock();
            *seen = Seen { epoch: batch.epoch, since: batch.position, heard: Some(Instant::now()), ..Seen::default() };
        }
        self.inner.position.send_replace(batch.position);
        let _ = self.inner.updates.send(ControlUpdate::Missed);
    }

    /// Applies what chat-core sent. The position moves before the followers get it: whoever acts on a verdict compares positions
    /// first, and is in the lists that they apply it to afterwards.
    pub(super) fn apply(&self, batch: ControlBatch) {
        if batch.epoch != self.epoch() {
            return self.restart(batch);
        }
        {
            let mut seen = self.inner.seen.lock();
            seen.heard = Some(Instant::now());
            for event in &batch.events {
                let Some(session) = event.concern.as_ref().map(|concern| &concern.session_ended).filter(|session| !session.is_empty())
                else {
                    continue;
                };
                if seen.ended.insert(session.clone(), event.position).is_none() {
                    seen.ended_order.push_back(session.clone());
                }
            }
            while seen.ended_order.len() > self.inner.ended_most {
                if let Some(oldest) = seen.ended_order.pop_front()
                    && let Some(position) = seen.ended.remove(&oldest)
                {
                    seen.since = seen.since.max(position);
                }
            }
        }
        self.inner.position.send_if_modified(|position| {
            let moved = batch.position > *position;
            if moved {
                *position = batch.position;
            }
            moved
        });
        // Nobody may be following: that is no error.
        if !batch.events.is_empty() {
            let _ = self.inner.updates.send(ControlUpdate::Events(Arc::new(batch)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::internal::v1::{Concern, ControlEvent};

    use super::*;

    fn ends(epoch: u32, position: u64, sessions: &[&str]) -> ControlBatch {
        let first = position + 1 - sessions.len() as u64;
        let events = (first..)
            .zip(sessions)
            .map(|(position, session)| ControlEvent {
                position,
                concern: Some(Concern { people: vec![1], session_ended: (*session).to_owned(), ..Concern::default() }),
                ..ControlEvent::default()
            })
            .collect();
        ControlBatch { events, position, epoch }
    }

    #[test]
    fn an_ended_session_is_known_and_what_lies_outside_the_feed_is_not() {
        let feed = ControlFeed::new(8, 2);
        assert_eq!(feed.has_ended("a", 0, 0), None);
        feed.begin(7, 100);
        feed.apply(ends(7, 101, &["a"]));
        assert_eq!(feed.has_ended("a", 7, 50), Some(true));
        assert_eq!(feed.has_ended("b", 7, 100), Some(false));
        assert_eq!(feed.has_ended("b", 7, 99), None, "before the feed began");
        assert_eq!(feed.has_ended("b", 7, 102), None, "ahead of the feed");
        assert_eq!(feed.has_ended("b", 6, 100), None, "of another incarnation");
        feed.apply(ends(7, 103, &["c", "d"]));
        assert_eq!(feed.has_ended("b", 7, 100), None, "a is forgotten, so nothing before it can be judged");
        assert_eq!(feed.has_ended("b", 7, 101), Some(false));
    }

    #[tokio::test]
    async fn a_log_made_anew_tells_its_followers_to_look_at_everything() {
        let feed = ControlFeed::new(8, 8);
        feed.begin(7, 9);
        let mut followed = feed.follow();
        feed.apply(ends(7, 10, &["a"]));
        assert!(matches!(followed.next().await, Some(ControlUpdate::Events(_))));
        feed.apply(ends(8, 3, &[]));
        assert!(matches!(followed.next().await, Some(ControlUpdate::Missed)));
        assert_eq!(feed.cursor(), (8, 3));
    }

    #[tokio::test]
    async fn a_follower_that_lags_is_told_so() {
        let feed = ControlFeed::new(2, 8);
        feed.begin(7, 0);
        let mut followed = feed.follow();
        (1..=10).for_each(|position| feed.apply(ends(7, position, &["a"])));
        assert!(matches!(followed.next().await, Some(ControlUpdate::Missed)));
    }
}
