//! A backbone that can be cut and mended.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use backbone::{Backbone, Delivery, Follower, MemoryBackbone, Partition, PartitionSet, PublishError};
use bytes::Bytes;
use tokio::sync::watch;

pub struct Lossy {
    inner: MemoryBackbone,
    cut: watch::Sender<bool>,
    /// Loses the next publication without a word.
    pub loses_next: AtomicBool,
}

impl Lossy {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryBackbone::new(4_096), cut: watch::Sender::new(false), loses_next: AtomicBool::new(false) })
    }

    pub fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }
}

#[async_trait]
impl Backbone for Lossy {
    async fn publish(&self, partition: Partition, payload: Bytes) -> Result<(), PublishError> {
        if *self.cut.borrow() {
            return Err(PublishError::Unavailable("cut".to_owned()));
        }
        if self.loses_next.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.inner.publish(partition, payload).await
    }

    fn follow(&self) -> Box<dyn Follower> {
        let mut cut = self.cut.subscribe();
        cut.mark_unchanged();
        Box::new(Followed { inner: self.inner.follow(), wanted: PartitionSet::EMPTY, cut })
    }

    fn healthy(&self) -> bool {
        !*self.cut.borrow()
    }
}

struct Followed {
    inner: Box<dyn Follower>,
    wanted: PartitionSet,
    cut: watch::Receiver<bool>,
}

#[async_trait]
impl Follower for Followed {
    fn want(&mut self, partitions: PartitionSet) {
        self.wanted = partitions;
        self.inner.want(partitions);
    }

    async fn next(&mut self) -> Option<Delivery> {
        tokio::select! {
            biased;
            changed = self.cut.changed() => {
                changed.ok()?;
                let partitions = self.wanted;
                Some(if *self.cut.borrow() { Delivery::Gap { partitions } } else { Delivery::Confirmed { partitions } })
            }
            delivery = self.inner.next() => delivery,
        }
    }
}
