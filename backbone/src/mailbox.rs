//! What lies between a backbone and one follower: a bounded queue that turns what does not fit into a Gap, so that a slow
//! follower costs others nothing and never misses something without being told.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Delivery, Partition, PartitionSet};

/// News (Confirmed, Gap) may be this many beyond the room for messages.
const NEWS_MOST: usize = 1_024;

#[derive(Default)]
struct State {
    wanted: PartitionSet,
    confirmed: PartitionSet,
    queue: VecDeque<Delivery>,
    /// Partitions of which something was dropped: that is told already, and nothing more of them is queued until there is
    /// room again.
    dropped: PartitionSet,
    closed: bool,
}

impl State {
    fn push(&mut self, news: Delivery, room: usize) {
        // Of a follower that reads nothing, the news do not pile up either: they come down to how things stand now.
        if self.queue.len() >= room.saturating_add(NEWS_MOST) {
            self.queue.clear();
            self.dropped = PartitionSet::EMPTY;
            self.queue.push_back(Delivery::Gap { partitions: self.wanted });
            if !self.confirmed.is_empty() {
                self.queue.push_back(Delivery::Confirmed { partitions: self.confirmed });
            }
            return;
        }
        match (self.queue.back_mut(), &news) {
            (Some(Delivery::Gap { partitions: last }), Delivery::Gap { partitions })
            | (Some(Delivery::Confirmed { partitions: last }), Delivery::Confirmed { partitions }) => *last = last.union(partitions),
            _ => self.queue.push_back(news),
        }
    }

    /// What was dropped flows again once half the queue is free: not only when it is empty, which under a flood it never is.
    fn resume(&mut self, room: usize) {
        if self.dropped.is_empty() || self.queue.len() > room / 2 {
            return;
        }
        let again = std::mem::take(&mut self.dropped).intersection(&self.confirmed);
        if !again.is_empty() {
            self.push(Delivery::Confirmed { partitions: again }, room);
        }
    }
}

struct Shared {
    state: Mutex<State>,
    more: Notify,
    room: usize,
}

/// The backbone's side.
#[derive(Clone)]
pub struct Post(Arc<Shared>);

/// The follower's side; dropped, the post is told so.
pub struct Mailbox(Arc<Shared>);

/// A queue with room for `room` deliveries.
pub fn new(room: usize) -> (Post, Mailbox) {
    let shared = Arc::new(Shared { state: Mutex::default(), more: Notify::new(), room: room.max(1) });
    (Post(shared.clone()), Mailbox(shared))
}

impl Post {
    /// What the follower wants from now on; gives what is new in it. Of what it gave up nothing more is told, so that an old
    /// `Confirmed` does not speak for a subscription that is made anew.
    pub fn want(&self, partitions: PartitionSet) -> PartitionSet {
        let mut state = self.0.state.lock();
        let new = partitions.difference(&state.wanted);
        if !state.wanted.difference(&partitions).is_empty() {
            state.queue.retain_mut(|delivery| match delivery {
                Delivery::Message { partition, .. } => partitions.contains(*partition),
                Delivery::Confirmed { partitions: told } | Delivery::Gap { partitions: told } => {
                    *told = told.intersection(&partitions);
                    !told.is_empty()
                }
            });
            state.dropped = state.dropped.intersection(&partitions);
        }
        state.wanted = partitions;
        state.confirmed = state.confirmed.intersection(&partitions);
        new
    }

    /// What the follower wants.
    pub fn wanted(&self) -> PartitionSet {
        self.0.state.lock().wanted
    }

    /// These subscriptions work from now on.
    pub fn confirm(&self, partitions: PartitionSet) {
        let mut state = self.0.state.lock();
        let partitions = partitions.intersection(&state.wanted);
        if !partitions.is_empty() {
            state.confirmed = state.confirmed.union(&partitions);
            // Of what was dropped it is told when there is room.
            let now = partitions.difference(&state.dropped);
            if !now.is_empty() {
                state.push(Delivery::Confirmed { partitions: now }, self.0.room);
            }
            drop(state);
            self.0.more.notify_one();
        }
    }

    /// Something may have been missed in these, until they are confirmed again.
    pub fn gap(&self, partitions: PartitionSet) {
        let mut state = self.0.state.lock();
        let partitions = partitions.intersection(&state.wanted);
        state.confirmed = state.confirmed.difference(&partitions);
        if !partitions.is_empty() {
            state.push(Delivery::Gap { partitions }, self.0.room);
            drop(state);
            self.0.more.notify_one();
        }
    }

    /// Hands a publication over, if it is wanted; false: the follower is gone.
    pub fn deliver(&self, partition: Partition, payload: &Bytes) -> bool {
        let mut state = self.0.state.lock();
        if state.closed {
            return false;
        }
        if !state.wanted.contains(partition) {
            return true;
        }
        let known = state.dropped.contains(partition);
        if known || state.queue.len() >= self.0.room {
            metrics::counter!("yitang_backbone_dropped_total").increment(1);
            if !known {
                state.dropped.insert(partition);
                state.push(Delivery::Gap { partitions: [partition].into_iter().collect() }, self.0.room);
            }
        } else {
            state.queue.push_back(Delivery::Message { partition, payload: payload.clone() });
        }
        drop(state);
        self.0.more.notify_one();
        true
    }

    /// The backbone is gone.
    pub fn close(&self) {
        self.0.state.lock().closed = true;
        self.0.more.notify_one();
    }

    /// Whether the follower is gone.
    pub fn closed(&self) -> bool {
        self.0.state.lock().closed
    }
}

impl Mailbox {
    /// The next delivery; `None` after the backbone is gone. Cancel-safe.
    pub async fn next(&self) -> Option<Delivery> {
        loop {
            {
                let mut state = self.0.state.lock();
                let delivery = state.queue.pop_front();
                state.resume(self.0.room);
                if delivery.is_some() {
                    return delivery;
                }
                if state.closed {
                    return None;
                }
            }
            self.0.more.notified().await;
        }
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_follower_is_told_of_what_it_missed_and_costs_nobody_else() {
        let (post, mailbox) = new(2);
        let wanted: PartitionSet = [1, 2].into_iter().collect();
        let new = post.want(wanted);
        post.confirm(new);
        assert_eq!(mailbox.next().await, Some(Delivery::Confirmed { partitions: wanted }));
        let payload = Bytes::from_static(b"x");
        for _ in 0..5 {
            assert!(post.deliver(1, &payload));
        }
        assert!(matches!(mailbox.next().await, Some(Delivery::Message { .. })));
        assert!(matches!(mailbox.next().await, Some(Delivery::Message { .. })));
        let missed: PartitionSet = [1].into_iter().collect();
        assert_eq!(mailbox.next().await, Some(Delivery::Gap { partitions: missed }));
        assert_eq!(mailbox.next().await, Some(Delivery::Confirmed { partitions: missed }));
        drop(mailbox);
        assert!(!post.deliver(1, &payload), "whoever is gone is forgotten");
    }

    #[tokio::test]
    async fn a_gap_is_told_even_when_the_queue_is_never_empty() {
        let (post, mailbox) = new(8);
        let wanted: PartitionSet = [1].into_iter().collect();
        post.confirm(post.want(wanted));
        let payload = Bytes::from_static(b"x");
        (0..20).for_each(|_| assert!(post.deliver(1, &payload)));
        let mut told = Vec::new();
        for _ in 0..40 {
            // For each that is read, another comes.
            let delivery = mailbox.next().await.unwrap();
            post.deliver(1, &payload);
            if !matches!(delivery, Delivery::Message { .. }) {
                told.push(delivery);
            }
        }
        let expected =
            [Delivery::Confirmed { partitions: wanted }, Delivery::Gap { partitions: wanted }, Delivery::Confirmed { partitions: wanted }];
        assert_eq!(told[..3], expected);
    }

    #[tokio::test]
    async fn what_is_given_up_is_not_told_of_any_more() {
        let (post, mailbox) = new(8);
        let both: PartitionSet = [1, 2].into_iter().collect();
        let second: PartitionSet = [2].into_iter().collect();
        post.confirm(post.want(both));
        post.deliver(1, &Bytes::from_static(b"given up"));
        post.want(second);
        post.want(both);
        post.deliver(2, &Bytes::from_static(b"kept"));
        assert_eq!(mailbox.next().await, Some(Delivery::Confirmed { partitions: second }));
        assert!(matches!(mailbox.next().await, Some(Delivery::Message { partition: 2, .. })));
    }

    #[tokio::test]
    async fn news_for_a_follower_that_reads_nothing_come_down_to_how_things_stand() {
        let (post, mailbox) = new(2);
        let wanted: PartitionSet = [1].into_iter().collect();
        post.want(wanted);
        for _ in 0..10_000 {
            post.confirm(wanted);
            post.gap(wanted);
        }
        assert!(post.0.state.lock().queue.len() <= 2 + NEWS_MOST);
        post.confirm(wanted);
        let mut last = None;
        while !post.0.state.lock().queue.is_empty() {
            last = mailbox.next().await;
        }
        assert_eq!(last, Some(Delivery::Confirmed { partitions: wanted }));
    }
}
