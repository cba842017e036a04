//! Settings of the Redis backbone.

use serde::{Deserialize, Serialize};

/// Where Redis is, and what is bounded. Works with Redis 7 and Valkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port` for one server; `redis-cluster://[user:password@]host:port,host:port,…` for a
    /// cluster, of which any nodes are named.
    pub url: String,
    /// Before the name of every channel; deployments that share a Redis need different ones.
    pub prefix: String,
    /// To connect, ms.
    pub connect_ms: u64,
    /// For one answer, ms.
    pub answer_ms: u64,
    /// Each subscription connection hears itself this often, ms.
    pub probe_ms: u64,
    /// And is torn down when it does not for so long, ms.
    pub silence_ms: u64,
    /// After a failure it is tried again after so long at first, ms.
    pub retry_min_ms: u64,
    /// And at most, ms.
    pub retry_max_ms: u64,
    /// Publications under way at once; more are refused.
    pub publishes_at_once: usize,
    /// Deliveries that wait for one follower; what does not fit is told as a gap.
    pub queue: usize,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            prefix: "y".to_owned(),
            connect_ms: 1_000,
            answer_ms: 1_000,
            probe_ms: 400,
            silence_ms: 1_500,
            retry_min_ms: 50,
            retry_max_ms: 1_000,
            publishes_at_once: 1_024,
            queue: 8_192,
        }
    }
}
