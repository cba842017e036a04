//! What lies between a backbone and one follower: a bounded queue that turns what does not fit into a Gap, so that a slow
//! follower costs others nothing and never misses something without being told.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Delivery, Partition, PartitionSet};

/// Notices (Confirmed, Gap) that may wait beyond the room for messages.
const NOTICES_MOST: usize = 1_024;

#[derive(Default)]
struct State {
    wanted: PartitionSet,
    confirmed: PartitionSet,
    queue: VecDeque<Delivery>,
    /// Partitions of which something was dropped: their Gap is queued, and nothing more of them is until there is room again.
    dropped: PartitionSet,
    closed: bool,
}

impl State {
    /// Queues a notice (Confirmed, Gap), joined with the last one where that is of the same kind.
    fn push_notice(&mut self, notice: Delivery, room: usize) {
        // Notices for a follower that reads nothing are bounded too: all are replaced by the state of now.
        if self.queue.len() >= room.saturating_add(NOTICES_MOST) {
            self.queue.clear();
            self.dropped = PartitionSet::EMPTY;
            self.queue.push_back(Delivery::Gap { partitions: self.wanted });
            if !self.confirmed.is_empty() {
                self.queue.push_back(Delivery::Confirmed { partitions: self.confirmed });
            }
            return;
        }
        match (self.queue.back_mut(), &notice) {
            (Some(Delivery::Gap { partitions: last }), Delivery::Gap { partitions })
            | (Some(Delivery::Confirmed { partitions: last }), Delivery::Confirmed { partitions }) => *last = last.union(partitions),
            _ => self.queue.push_back(notice),
        }
    }

    /// Partitions of which something was dropped are delivered again once half the queue is free; waiting for an empty queue
    /// would take as long as a flood lasts.
    fn resume(&mut self, room: usize) {
        if self.dropped.is_empty() || self.queue.len() > room / 2 {
            return;
        }
        let resumed = std::mem::take(&mut self.dropped).intersection(&self.confirmed);
        if !resumed.is_empty() {
            self.push_notice(Delivery::Confirmed { partitions: resumed }, room);
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
pub struct MailboxSender(Arc<Shared>);

/// The follower's side. Dropping it closes the sender.
pub struct Mailbox(Arc<Shared>);

/// A queue with room for `room` deliveries.
pub fn new(room: usize) -> (MailboxSender, Mailbox) {
    let shared = Arc::new(Shared { state: Mutex::default(), more: Notify::new(), room: room.max(1) });
    (MailboxSender(shared.clone()), Mailbox(shared))
}

impl MailboxSender {
    /// Sets the partitions that the follower wants; returns those it did not want before. What is queued of others is removed:
    /// an old `Confirmed` must not stand for a subscription that is made anew.
    pub fn want(&self, partitions: PartitionSet) -> PartitionSet {
        let mut state = self.0.state.lock();
        let new = partitions.difference(&state.wanted);
        if !state.wanted.difference(&partitions).is_empty() {
            state.queue.retain_mut(|delivery| match delivery {
                Delivery::Message { partition, .. } => partitions.contains(*partition),
                Delivery::Confirmed { partitions: named } | Delivery::Gap { partitions: named } => {
                    *named = named.intersection(&partitions);
                    !named.is_empty()
                }
            });
            state.dropped = state.dropped.intersection(&partitions);
        }
        state.wanted = partitions;
        state.confirmed = state.confirmed.intersection(&partitions);
        new
    }

    /// The partitions that the follower wants.
    pub fn wanted(&self) -> PartitionSet {
        self.0.state.lock().wanted
    }

    /// These subscriptions work from now on.
    pub fn confirm(&self, partitions: PartitionSet) {
        let mut state = self.0.state.lock();
        let partitions = partitions.intersection(&state.wanted);
        if !partitions.is_empty() {
            state.confirmed = state.confirmed.union(&partitions);
            // Those of which something was dropped are confirmed by `resume`, when there is room.
            let now = partitions.difference(&state.dropped);
            if !now.is_empty() {
                state.push_notice(Delivery::Confirmed { partitions: now }, self.0.room);
            }
            drop(state);
            self.0.more.notify_one();
        }
    }

    /// Something may have been missed in these, until they are confirmed again.
    pub fn report_gap(&self, partitions: PartitionSet) {
        let mut state = self.0.state.lock();
        let partitions = partitions.intersection(&state.wanted);
        state.confirmed = state.confirmed.difference(&partitions);
        if !partitions.is_empty() {
            state.push_notice(Delivery::Gap { partitions }, self.0.room);
            drop(state);
            self.0.more.notify_one();
        }
    }

    /// Queues a publication, if it is wanted. `false`: the follower was dropped.
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
                state.push_notice(Delivery::Gap { partitions: [partition].into_iter().collect() }, self.0.room);
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

    /// Whether the follower was dropped.
    pub fn is_closed(&self) -> bool {
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
        let (sender, mailbox) = new(2);
        let wanted: PartitionSet = [1, 2].into_iter().collect();
        let new = sender.want(wanted);
        sender.confirm(new);
        assert_eq!(mailbox.next().await, Some(Delivery::Confirmed { partitions: wanted }));
        let payload = Bytes::from_static(b"x");
        for _ in 0..5 {
            assert!(sender.deliver(1, &payload));
        }
        assert!(matches!(mailbox.next().await, Some(Delivery::Message { .. })));
        assert!(matches!(mailbox.next().await, Some(Delivery::Message { .. })));
        let missed: PartitionSet = [1].into_iter().collect();
        assert_eq!(mailbox.next().await, Some(Delivery::Gap { partitions: missed }));
        assert_eq!(mailbox.next().await, Some(Delivery::Confirmed { partitions: missed }));
        drop(mailbox);
        assert!(!sender.deliver(1, &payload), "a dropped follower takes nothing");
    }

    #[tokio::test]
    async fn a_gap_is_delivered_even_when_the_queue_is_never_empty() {
        let (sender, mailbox) = new(8);
        let wanted: PartitionSet = [1].into_iter().collect();
        sender.confirm(sender.want(wanted));
        let payload = Bytes::from_static(b"x");
        (0..20).for_each(|_| assert!(sender.deliver(1, &payload)));
        let mut notices = Vec::new();
        for _ in 0..40 {
            // For each that is read, another comes.
            let delivery = mailbox.next().await.unwrap();
            sender.deliver(1, &payload);
            if !matches!(delivery, Delivery::Message { .. }) {
                notices.push(delivery);
            }
        }
        let expected =
            [Delivery::Confirmed { partitions: wanted }, Delivery::Gap { partitions: wanted }, Delivery::Confirmed { partitions: wanted }];
        assert_eq!(notices[..3], expected);
    }

    #[tokio::test]
    async fn nothing_queued_of_an_unwanted_partition_is_delivered() {
        let (sender, mailbox) = new(8);
        let both: PartitionSet = [1, 2].into_iter().collect();
        let second: PartitionSet = [2].into_iter().collect();
        sender.confirm(sender.want(both));
        sender.deliver(1, &Bytes::from_static(b"given up"));
        sender.want(second);
        sender.want(both);
        sender.deliver(2, &Bytes::from_static(b"kept"));
        assert_eq!(mailbox.next().await, Some(Delivery::Confirmed { partitions: second }));
        assert!(matches!(mailbox.next().await, Some(Delivery::Message { partition: 2, .. })));
    }

    #[tokio::test]
    async fn notices_for_a_follower_that_reads_nothing_are_replaced_by_the_state_of_now() {
        let (sender, mailbox) = new(2);
        let wanted: PartitionSet = [1].into_iter().collect();
        sender.want(wanted);
        for _ in 0..10_000 {
            sender.confirm(wanted);
            sender.report_gap(wanted);
        }
        assert!(sender.0.state.lock().queue.len() <= 2 + NOTICES_MOST);
        sender.confirm(wanted);
        let mut last = None;
        while !sender.0.state.lock().queue.is_empty() {
            last = mailbox.next().await;
        }
        assert_eq!(last, Some(Delivery::Confirmed { partitions: wanted }));
    }
}
