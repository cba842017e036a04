//! The backbone of one process.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Backbone, Delivery, Follower, Partition, PartitionSet, PublishError,
    mailbox::{self, Mailbox, MailboxSender},
};

/// Carries hints within one process. Cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryBackbone {
    followers: Arc<Mutex<Vec<MailboxSender>>>,
    queue: usize,
}

impl MemoryBackbone {
    /// A backbone whose followers each have a queue of `queue` deliveries.
    #[must_use]
    pub fn new(queue: usize) -> Self {
        Self { followers: Arc::default(), queue: queue.max(1) }
    }
}

#[async_trait]
impl Backbone for MemoryBackbone {
    async fn publish(&self, partition: Partition, payload: Bytes) -> Result<(), PublishError> {
        self.followers.lock().retain(|follower| follower.deliver(partition, &payload));
        Ok(())
    }

    fn follow(&self) -> Box<dyn Follower> {
        let (sender, mailbox) = mailbox::new(self.queue);
        self.followers.lock().push(sender.clone());
        Box::new(MemoryFollower { sender, mailbox })
    }

    fn healthy(&self) -> bool {
        true
    }
}

struct MemoryFollower {
    sender: MailboxSender,
    mailbox: Mailbox,
}

#[async_trait]
impl Follower for MemoryFollower {
    fn want(&mut self, partitions: PartitionSet) {
        let new = self.sender.want(partitions);
        self.sender.confirm(new);
    }

    async fn next(&mut self) -> Option<Delivery> {
        self.mailbox.next().await
    }
}
