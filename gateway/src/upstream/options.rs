//! The settings of calls to other roles.

use serde::{Deserialize, Serialize};

/// Calls to chat-core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamOptions {
    /// To connect to a node.
    pub connect_ms: u64,
    /// From one ping on a connection to the next; the connection is dead when none is answered for as long again.
    pub keepalive_ms: u64,
    /// How often every node is asked whether it serves.
    pub probe_ms: u64,
    /// One attempt of one call.
    pub attempt_ms: u64,
    /// How long a post is tried again, on other nodes.
    pub submit_deadline_ms: u64,
    /// How long a sign-in may wait its turn: checking a password is slow on purpose, and everybody comes at once.
    pub sign_in_ms: u64,
    /// How long every other call is tried again.
    pub call_deadline_ms: u64,
    /// Things gathered into one call at most.
    pub batch_most: usize,
    /// Bytes of posts gathered into one call at most.
    pub batch_bytes: usize,
    /// While a call is in flight: how long later things are gathered before the next call starts beside it.
    pub gather_ms: u64,
    /// How long posts to a conversation that is flooded with them (more than four in 50 ms through this gateway) are gathered, or
    /// until they are 64, before they are passed on together; 0: never. All others go at once.
    pub hot_gather_ms: u64,
    /// The longest that tickets and questions of who may watch are gathered when they come by the thousand.
    pub storm_gather_ms: u64,
    /// Calls of one kind in flight to one node.
    pub in_flight_most: usize,
    /// Things of one kind waiting for one node; past it they are refused as OVERLOADED.
    pub waiting_most: usize,
    /// How long read positions are gathered.
    pub marks_ms: u64,
    /// Pages read at once, by whomever.
    pub reads_most: usize,
    /// Events of the control log that a follower may lag behind before it has to check everything again.
    pub control_lag_most: usize,
    /// Ended sessions remembered, the newest of them.
    pub control_ended_most: usize,
    /// Events of the control log read back at start, so that older resume tokens can be judged without a question.
    pub control_back_most: u64,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            connect_ms: 1_000,
            keepalive_ms: 2_000,
            probe_ms: 500,
            attempt_ms: 4_000,
            submit_deadline_ms: 10_000,
            sign_in_ms: 60_000,
            call_deadline_ms: 5_000,
            batch_most: 512,
            batch_bytes: 1024 * 1024,
            gather_ms: 2,
            hot_gather_ms: 12,
            storm_gather_ms: 100,
            in_flight_most: 4,
            waiting_most: 65_536,
            marks_ms: 50,
            reads_most: 64,
            control_lag_most: 4_096,
            control_ended_most: 100_000,
            control_back_most: 20_000,
        }
    }
}
