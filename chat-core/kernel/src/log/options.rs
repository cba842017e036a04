//! Bounds of the log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogOptions {
    /// Posts that wait for a transaction, in each lane; more are refused as OVERLOADED.
    pub waiting_posts: usize,
    /// Posts in one transaction.
    pub batch_posts: usize,
    /// Bytes of posts in one transaction.
    pub batch_bytes: usize,
    /// Transactions at once on PostgreSQL, each on a connection of its own (SQLite has one writer): conversations are spread over them.
    pub lanes: usize,
    /// A post waits so long for a database that is away before it is refused as UNAVAILABLE, ms.
    pub post_timeout_ms: u64,
    /// A transaction on PostgreSQL that is not over in so long is given up with its connection, and tried again, ms: the network has
    /// gone away, or the disk stands still. Each time that it happens again twice as long, up to 16 times. At least 1,000.
    pub silence_ms: u64,
    /// Announcements that wait for the backbone, bytes in each of the relay's lanes.
    pub relay_bytes: usize,
    /// Heads are read at most this often, however many gateways ask, ms.
    pub heads_cache_ms: u64,
    /// Commits may become visible this much later than the time they carry, ms.
    pub heads_overlap_ms: i64,
    /// Streams look at heads themselves this often, in case a hint was lost, ms.
    pub follow_poll_ms: u64,
    /// Streams of `Follow` at once.
    pub followers: usize,
}

impl LogOptions {
    pub(super) fn silence(&self) -> Duration {
        Duration::from_millis(self.silence_ms.max(1_000))
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            waiting_posts: 8_192,
            batch_posts: 512,
            batch_bytes: 1 << 20,
            lanes: 2,
            post_timeout_ms: 5_000,
            silence_ms: 10_000,
            relay_bytes: 16 << 20,
            heads_cache_ms: 100,
            heads_overlap_ms: 10_000,
            follow_poll_ms: 1_000,
            followers: 1_024,
        }
    }
}
