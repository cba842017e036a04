//! The control log as this gateway follows it: people, rights and sessions.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use proto::internal::v1::{ControlBatch, control_event::Kind};
use tokio::sync::{broadcast, watch};

/// What a follower of the control log is told.
#[derive(Clone, Debug)]
pub enum ControlNews {
    /// These events, each once, in order.
    Events(Arc<ControlBatch>),
    /// Something may have been missed (the follower lagged, or the log was made anew): look at everything again.
    Missed,
}

/// One follower's place in the feed.
#[derive(Debug)]
pub struct ControlEvents {
    receiver: broadcast::Receiver<ControlNews>,
}

impl ControlEvents {
    /// The next news; cancel-safe. `None`: the feed has ended with the gateway.
    pub async fn next(&mut self) -> Option<ControlNews> {
        match self.receiver.recv().await {
            Ok(news) => Some(news),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(ControlNews::Missed),
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
    news: broadcast::Sender<ControlNews>,
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
            news: broadcast::channel(lag_most.max(1)).0,
        };
        Self { inner: Arc::new(inner) }
    }

    /// News from now on.
    #[must_use]
    pub fn follow(&self) -> ControlEvents {
        ControlEvents { receiver: self.inner.news.subscribe() }
    }

    /// Everything up to here was seen, and is being told. 0: nothing was heard yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.inner.position.borrow()
    }

    /// The log's incarnation; 0: nothing was heard yet.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.inner.seen.lock().epoch
    }

    /// How long ago a chat-core was last heard (it speaks at least every second); `None`: never yet.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        self.inner.seen.lock().heard.map(|heard| heard.elapsed())
    }

    /// Whether a chat-core was heard within this time.
    #[must_use]
    pub fn alive(&self, within: Duration) -> bool {
        self.silent_for().is_some_and(|silent| silent <= within)
    }

    /// Waits until the feed is at `position`; `false`: not within this time.
    pub async fn reach(&self, position: u64, within: Duration) -> bool {
        let mut watched = self.inner.position.subscribe();
        tokio::time::timeout(within, watched.wait_for(|at| *at >= position)).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Whether this session ended after the position `control` of the log's incarnation `epoch` (0: the present one), at
    /// which it was live. `None`: cannot be known here, for the feed does not go back that far, or has not come that far.
    #[must_use]
    pub fn ended(&self, session: &str, epoch: u32, control: u64) -> Option<bool> {
        let position = self.position();
        let seen = self.inner.seen.lock();
        if seen.ended.contains_key(session) {
            return Some(true);
        }
        let known = seen.heard.is_some() && (epoch == 0 || epoch == seen.epoch) && control >= seen.since && control <= position;
        known.then_some(false)
    }

    /// Where to go on from: (epoch, position).
    pub(super) fn at(&self) -> (u32, u64) {
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
        let _ = self.inner.news.send(ControlNews::Missed);
    }

    /// Takes what chat-core sent. The position moves before the news goes out: whoever acts on a verdict compares
    /// positions first, and is in the lists that the news is applied to afterwards.
    pub(super) fn take(&self, batch: ControlBatch) {
        if batch.epoch != self.epoch() {
            return self.restart(batch);
        }
        {
            let mut seen = self.inner.seen.lock();
            seen.heard = Some(Instant::now());
            for event in &batch.events {
                if let Some(Kind::SessionEnded(ended)) = &event.kind
                    && seen.ended.insert(ended.session.clone(), event.position).is_none()
                {
                    seen.ended_order.push_back(ended.session.clone());
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
            let _ = self.inner.news.send(ControlNews::Events(Arc::new(batch)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::internal::v1::{ControlEvent, SessionEnded};

    use super::*;

    fn ends(epoch: u32, position: u64, sessions: &[&str]) -> ControlBatch {
        let first = position + 1 - sessions.len() as u64;
        let events = (first..)
            .zip(sessions)
            .map(|(position, session)| ControlEvent {
                position,
                kind: Some(Kind::SessionEnded(SessionEnded { session: (*session).to_owned(), person: 1 })),
                ..ControlEvent::default()
            })
            .collect();
        ControlBatch { events, position, epoch }
    }

    #[test]
    fn an_ended_session_is_known_and_what_lies_outside_the_feed_is_not() {
        let feed = ControlFeed::new(8, 2);
        assert_eq!(feed.ended("a", 0, 0), None);
        feed.begin(7, 100);
        feed.take(ends(7, 101, &["a"]));
        assert_eq!(feed.ended("a", 7, 50), Some(true));
        assert_eq!(feed.ended("b", 7, 100), Some(false));
        assert_eq!(feed.ended("b", 7, 99), None, "before the feed began");
        assert_eq!(feed.ended("b", 7, 102), None, "ahead of the feed");
        assert_eq!(feed.ended("b", 6, 100), None, "of another incarnation");
        feed.take(ends(7, 103, &["c", "d"]));
        assert_eq!(feed.ended("b", 7, 100), None, "a is forgotten, so nothing before it can be judged");
        assert_eq!(feed.ended("b", 7, 101), Some(false));
    }

    #[tokio::test]
    async fn a_log_made_anew_tells_its_followers_to_look_at_everything() {
        let feed = ControlFeed::new(8, 8);
        feed.begin(7, 9);
        let mut followed = feed.follow();
        feed.take(ends(7, 10, &["a"]));
        assert!(matches!(followed.next().await, Some(ControlNews::Events(_))));
        feed.take(ends(8, 3, &[]));
        assert!(matches!(followed.next().await, Some(ControlNews::Missed)));
        assert_eq!(feed.at(), (8, 3));
    }

    #[tokio::test]
    async fn a_follower_that_lags_is_told_so() {
        let feed = ControlFeed::new(2, 8);
        feed.begin(7, 0);
        let mut followed = feed.follow();
        (1..=10).for_each(|position| feed.take(ends(7, position, &["a"])));
        assert!(matches!(followed.next().await, Some(ControlNews::Missed)));
    }
}
