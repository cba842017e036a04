//! The backbone of one process.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::{
    Backbone, Delivery, Follower, Partition, PartitionSet, PublishError,
    mailbox::{self, Mailbox, Post},
};

/// Carries hints within one process. Cheap to clone.
#[derive(Clone, Default)]
pub struct MemoryBackbone {
    followers: Arc<Mutex<Vec<Post>>>,
    queue: usize,
}

impl MemoryBackbone {
    /// With room for `queue` deliveries before each follower.
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
        let (post, mailbox) = mailbox::new(self.queue);
        self.followers.lock().push(post.clone());
        Box::new(MemoryFollower { post, mailbox })
    }

    fn healthy(&self) -> bool {
        true
    }
}

struct MemoryFollower {
    post: Post,
    mailbox: Mailbox,
}

#[async_trait]
impl Follower for MemoryFollower {
    fn want(&mut self, partitions: PartitionSet) {
        let new = self.post.want(partitions);
        self.post.confirm(new);
    }

    async fn next(&mut self) -> Option<Delivery> {
        self.mailbox.next().await
    }
}
