//! Who waits for news of a conversation in this process. A waker says only "look again": the store tells what is new.

use std::sync::Arc;

use backbone::{Backbone, Delivery, PartitionSet};
use dashmap::DashMap;
use parking_lot::Mutex;
use prost::Message as _;
use proto::internal::v1::{Hint, hint};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::tasks::Tasks;

/// Waiting streams by conversation. Cheap to clone.
#[derive(Clone)]
pub struct Watchers {
    notifies: Arc<DashMap<Uuid, (Arc<Notify>, usize)>>,
    changed: Arc<Notify>,
    wanted: Arc<Mutex<[u32; backbone::PARTITIONS as usize]>>,
}

/// One stream's wait; dropped, it waits no more.
pub struct Watch {
    watchers: Watchers,
    conversation: Uuid,
    notify: Arc<Notify>,
}

impl Watchers {
    /// Follows the backbone for what others commit.
    #[must_use]
    pub fn start(backbone: &Arc<dyn Backbone>, tasks: &Tasks) -> Self {
        let watchers =
            Self { notifies: Arc::default(), changed: Arc::default(), wanted: Arc::new(Mutex::new([0; backbone::PARTITIONS as usize])) };
        let this = watchers.clone();
        let mut follower = backbone.follow();
        tasks.spawn("following the backbone", |stop| async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = this.changed.notified() => {
                        let wanted = this.wanted.lock().iter().zip(0..).filter(|(count, _)| **count > 0).map(|(_, partition)| partition).collect::<PartitionSet>();
                        follower.want(wanted);
                    }
                    delivery = follower.next() => match delivery {
                        Some(Delivery::Message { payload, .. }) => this.hint(&payload),
                        // Something may have been missed, or nothing will be from now on: all look again.
                        Some(Delivery::Gap { .. } | Delivery::Confirmed { .. }) => this.wake_all(),
                        None => return,
                    }
                }
            }
        });
        watchers
    }

    fn hint(&self, payload: &[u8]) {
        if let Ok(Hint { hint: Some(hint::Hint::Announcement(announcement)) }) = Hint::decode(payload)
            && let Some(Ok(conversation)) = announcement.head.map(|head| Uuid::try_parse(&head.conversation))
        {
            self.wake(conversation);
        }
    }

    /// Whoever waits for this conversation looks again.
    pub fn wake(&self, conversation: Uuid) {
        if let Some(entry) = self.notifies.get(&conversation) {
            entry.0.notify_waiters();
        }
    }

    fn wake_all(&self) {
        self.notifies.iter().for_each(|entry| entry.0.notify_waiters());
    }

    /// Starts to wait for a conversation.
    #[must_use]
    pub fn watch(&self, conversation: Uuid) -> Watch {
        let notify = {
            let mut entry = self.notifies.entry(conversation).or_insert_with(|| (Arc::default(), 0));
            entry.1 += 1;
            entry.0.clone()
        };
        self.count(conversation, 1);
        Watch { watchers: self.clone(), conversation, notify }
    }

    fn count(&self, conversation: Uuid, by: i32) {
        let count = &mut self.wanted.lock()[usize::from(proto::partition_of_conversation(conversation))];
        *count = count.saturating_add_signed(by);
        if *count <= 1 {
            self.changed.notify_one();
        }
    }
}

impl Watch {
    /// To be made before looking, and awaited after: news in between is not missed.
    pub fn news(&self) -> tokio::sync::futures::OwnedNotified {
        self.notify.clone().notified_owned()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watchers.notifies.remove_if_mut(&self.conversation, |_, entry| {
            entry.1 -= 1;
            entry.1 == 0
        });
        self.watchers.count(self.conversation, -1);
    }
}
