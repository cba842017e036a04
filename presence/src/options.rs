//! The settings of presence.

use serde::{Deserialize, Serialize};

/// Everything that is bounded or chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The roles' shared key, which callers must show. Empty: none is asked for; within one process only.
    pub key: String,
    /// People of a gateway whose stream is lost are kept for so long: it may only be the line.
    pub grace_ms: i64,
    /// After a start, counts are marked incomplete for so long, unless as many gateways as there should be have reported.
    pub start_grace_ms: i64,
    /// Counts go to each gateway this often, if they changed.
    pub counts_ms: u64,
    /// A stream without a word for so long is lost.
    pub silence_ms: u64,
    /// A gateway's full set must have come within this time of its first word.
    pub set_ms: u64,
    /// Gateways known at once.
    pub gateways_most: usize,
    /// Pairs of room and person that one gateway may report.
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
