//! The settings of presence.

use serde::{Deserialize, Serialize};

/// Everything that is bounded or chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The roles' shared key, which callers must show. Empty: none is asked for; within one process only.
    pub key: String,
    /// Time for which people of a gateway whose stream is lost still count, ms: it may come back.
    pub grace_ms: i64,
    /// Time after a start for which counts are marked incomplete, unless all gateways of the deployment have reported, ms.
    pub start_grace_ms: i64,
    /// Interval at which changed counts are sent to each gateway, ms.
    pub counts_ms: u64,
    /// A stream on which no report comes for this time is lost, ms.
    pub silence_ms: u64,
    /// A gateway's full set must have come within this time of the opening of its stream, ms.
    pub set_ms: u64,
    /// Gateways known at once.
    pub gateways_most: usize,
    /// Upper bound of the pairs of room and person that one gateway reports.
    pub here_most: usize,
    /// Messages with counts waiting for one gateway; it is cut off when they do not go.
    pub waiting_most: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key: String::new(),
            grace_ms: 2_000,
            start_grace_ms: 1_200,
            counts_ms: 500,
            silence_ms: 3_000,
            set_ms: 10_000,
            gateways_most: 256,
            here_most: 2_000_000,
            waiting_most: 8,
        }
    }
}
