//! The backbone carries hints between roles: fast, at most once, and never the truth. Whoever follows it must be able
//! to live without it, and is told by [`Delivery::Gap`] whenever something may have been missed.

mod mailbox;
mod memory;
mod partitions;
mod redis;

use async_trait::async_trait;
use bytes::Bytes;

pub use memory::MemoryBackbone;
pub use partitions::PartitionSet;
pub use redis::{RedisBackbone, RedisOptions};

/// A channel of the backbone: a number below [`PARTITIONS`]. Fixed for a deployment.
pub type Partition = u16;

/// How many partitions there are; the same number as the contract's (a test in the executable compares them).
pub const PARTITIONS: Partition = 256;

/// Publishing did not work, or is not known to have worked. What was to be published is hinted at again by heads.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The backbone cannot be reached.
    #[error("the backbone cannot be reached: {0}")]
    Unavailable(String),
    /// It did not answer in time.
    #[error("the backbone did not answer within {0} ms")]
    TimedOut(u64),
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Something was published. At most once, in publishing order from one publisher's connection.
    Message {
        /// Where.
        partition: Partition,
        /// What: opaque here.
        payload: Bytes,
    },
    /// From now on, and not before, publications in these partitions arrive. Sent when a wanted subscription is
    /// confirmed, for the first time or again.
    Confirmed {
        /// Which.
        partitions: PartitionSet,
    },
    /// Publications in these partitions may have been missed, and may go on being missed until `Confirmed` names them.
    Gap {
        /// Which.
        partitions: PartitionSet,
    },
}

/// Carries hints. Cheap to share as `Arc<dyn Backbone>`.
#[async_trait]
pub trait Backbone: Send + Sync + 'static {
    /// Publishes one hint. Returns when the backbone has taken it; bounded by a time-out.
    ///
    /// # Errors
    /// When it was not taken, or that is not known.
    async fn publish(&self, partition: Partition, payload: Bytes) -> Result<(), PublishError>;

    /// A new follower, which wants nothing yet.
    fn follow(&self) -> Box<dyn Follower>;

    /// Whether subscriptions work at this moment, as the self-probe last saw it.
    fn healthy(&self) -> bool;
}

/// One follower's desired set of partitions, and what arrives in them. Dropping it ends its subscriptions.
#[async_trait]
pub trait Follower: Send + 'static {
    /// Wants exactly these partitions from now on. Returns at once; `Confirmed` tells when they are there.
    fn want(&mut self, partitions: PartitionSet);

    /// The next delivery. Cancel-safe. Never ends while the backbone lives: `None` after it was dropped.
    /// The queue behind it is bounded; when the follower is too slow, what does not fit is dropped and told as `Gap`
    /// and then `Confirmed` of the same partitions.
    async fn next(&mut self) -> Option<Delivery>;
}
