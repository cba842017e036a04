//! What lies between a backbone and one follower: a bounded queue that turns what does not fit into a Gap, so that a slow
//! follower costs others nothing and never misses something without being told.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Delivery, Partition, PartitionSet};

#[derive(Default)]
struct State {
    wanted: PartitionSet,
    confirmed: PartitionSet,
    queue: VecDeque<Delivery>,
    /// Partitions of which something was dropped; told as soon as the queue is empty again.
    dropped: PartitionSet,
    closed: bool,
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
    let shared = Arc::new(Shared { state: Mutex::default(), more: Notify::new(), room });
    (Post(shared.clone()), Mailbox(shared))
}

impl Post {
    /// What the follower wants from now on; gives what is new in it.
    pub fn want(&self, partitions: PartitionSet) -> PartitionSet {
        let mut state = self.0.state.lock();
        let new = partitions.difference(&state.wanted);
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
            state.queue.push_back(Delivery::Confirmed { partitions });
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
            state.queue.push_back(Delivery::Gap { partitions });
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
        if state.queue.len() >= self.0.room {
            metrics::counter!("yitang_backbone_dropped_total").increment(1);
            state.dropped.insert(partition);
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
                if let Some(delivery) = state.queue.pop_front() {
                    return Some(delivery);
                }
                if !state.dropped.is_empty() {
                    // What was dropped is told, and that from here on nothing is.
                    let partitions = std::mem::take(&mut state.dropped);
                    let again = partitions.intersection(&state.confirmed);
                    if !again.is_empty() {
                        state.queue.push_back(Delivery::Confirmed { partitions: again });
                    }
                    return Some(Delivery::Gap { partitions });
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
}
