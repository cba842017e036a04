//! Settings of the Redis backbone.

use serde::{Deserialize, Serialize};

/// Where Redis is, and what is bounded. Works with Redis 7 and Valkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisOptions {
    /// `redis://[user:password@]host:port` for one server; `redis-cluster://[user:password@]host:port,host:port,…` for a
    /// cluster, of which any nodes are named.
    pub url: String,
    /// Prefix of the name of every channel; deployments that share a Redis need different ones.
    pub prefix: String,
    /// A connection must be made within this time, ms.
    pub connect_ms: u64,
    /// A command must be answered within this time, ms.
    pub answer_ms: u64,
    /// Interval at which each subscription connection publishes a probe to itself, ms.
    pub probe_ms: u64,
    /// A subscription connection that receives none of its probes within this time is replaced, ms.
    pub silence_ms: u64,
    /// Wait before the first try after a failure, ms; each further failure doubles it.
    pub retry_min_ms: u64,
    /// Upper bound of the wait before a retry, ms.
    pub retry_max_ms: u64,
    /// Publications under way at once; more are refused.
    pub publishes_at_once: usize,
    /// Deliveries that wait for one follower; what does not fit becomes a gap.
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
