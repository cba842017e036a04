//! The backbone carries hints between roles, at most once. A hint says where to look; the truth is in the store. A follower
//! must work without hints, and gets a [`Delivery::Gap`] whenever one may have been missed.

mod mailbox;
mod memory;
mod partitions;
mod redis;

use async_trait::async_trait;
use bytes::Bytes;

pub use memory::MemoryBackbone;
pub use partitions::{PARTITIONS, Partition, PartitionSet};
pub use redis::{RedisBackbone, RedisOptions};

/// Publishing failed, or is not known to have worked. Followers find what was to be published by comparing heads.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The backbone cannot be reached.
    #[error("the backbone cannot be reached: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("the backbone did not answer within {0} ms")]
    TimedOut(u64),
}

/// What a follower receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Something was published. At most once, in publishing order from one publisher's connection.
    Message {
        /// The partition it was published in.
        partition: Partition,
        /// The bytes as published, opaque here.
        payload: Bytes,
    },
    /// From now on, and not before, publications in these partitions arrive. Sent when a wanted subscription is
    /// confirmed, for the first time or again.
    Confirmed {
        /// Those whose subscription stands.
        partitions: PartitionSet,
    },
    /// Publications in these partitions may have been missed, and may go on being missed until `Confirmed` names them.
    Gap {
        /// Those in doubt.
        partitions: PartitionSet,
    },
}

/// Carries hints. Cheap to share as `Arc<dyn Backbone>`.
#[async_trait]
pub trait Backbone: Send + Sync + 'static {
    /// Publishes one hint. Returns when the backbone has accepted it, or after a time-out.
    ///
    /// # Errors
    /// When it was not accepted, or that is not known.
    async fn publish(&self, partition: Partition, payload: Bytes) -> Result<(), PublishError>;

    /// A new follower, which wants nothing yet.
    fn follow(&self) -> Box<dyn Follower>;

    /// Whether subscriptions work, as the last self-probe found.
    fn healthy(&self) -> bool;
}

/// One follower's desired set of partitions, and what arrives in them. Dropping it ends its subscriptions.
#[async_trait]
pub trait Follower: Send + 'static {
    /// Wants exactly these partitions from now on. Returns at once; `Confirmed` says when their subscriptions stand.
    fn want(&mut self, partitions: PartitionSet);

    /// The next delivery. Cancel-safe. Never ends while the backbone lives: `None` after it was dropped.
    /// The queue behind it is bounded; when the follower is too slow, what does not fit is dropped, and `Gap`, then
    /// `Confirmed` of the same partitions are delivered in its place.
    async fn next(&mut self) -> Option<Delivery>;
}
