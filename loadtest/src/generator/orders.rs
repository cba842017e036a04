//! What the coordinator and its generators say to one another: a line of JSON each, over the generator's stdin and stdout.

use serde::{Deserialize, Serialize};

use super::catalogue::Stretch;

/// From the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Connect these sockets.
    Open(Plan),
    /// Tell how things stand.
    Tell,
    /// Forget what was seen until now: what is measured begins. Arrivals and counts start anew, positions stay.
    Begin,
    /// Tell everything that was found, and end.
    Finish,
}

/// Which sockets one generator holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// Gateways (host:port), the home of each socket in turn; after a break the next one is tried.
    pub targets: Vec<String>,
    /// Local addresses, in turn: one address has about 28,000 ports towards one target.
    pub sources: Vec<String>,
    /// One socket for each.
    pub tokens: Vec<String>,
    /// Conversations of the run, by their place in the coordinator's list.
    pub rooms: Vec<String>,
    /// For each socket, the room that it follows.
    pub follows: Vec<u32>,
    /// The mark of the run's posts.
    pub run: String,
    /// New connections a second, at most.
    pub per_s: u32,
    /// Whether clients can inflate.
    pub deflate: bool,
    /// Come back after a break, by resume token and position.
    pub reconnect: bool,
    /// A bare server (`loadtest floor`): connect and read frames, no sign-in.
    pub bare: bool,
}

/// How things stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Sockets that are signed in and subscribed.
    pub live: u32,
    /// Sockets that gave up.
    pub failed: u32,
    /// Events times sockets.
    pub delivered: u64,
    /// The lowest seq that all live sockets of each room have.
    pub whole_to: Vec<u64>,
    /// Lines broken and made anew since the beginning.
    pub reconnected: u64,
}

/// Everything found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Found {
    /// Distinct frames of live events, each with its arrivals.
    pub stretches: Vec<Stretch>,
    /// (room, from, to) of each socket: what was due, and how far it came without a hole.
    pub reached: Vec<(u32, u64, u64)>,
    /// Events that came twice over one wire without being asked for.
    pub duplicated: u64,
    /// Frames that did not follow the one before.
    pub out_of_order: u64,
    /// Events replayed or paged after a break, times sockets.
    pub replayed: u64,
    /// Lines broken and made anew.
    pub reconnected: u64,
    /// What went wrong, in words, with how often.
    pub errors: std::collections::BTreeMap<String, u64>,
    /// Times from the start of connecting to being subscribed, milliseconds.
    pub connect_ms: Vec<u32>,
    /// CPU of this generator, microseconds.
    pub cpu_us: u64,
}

/// From the generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// The answer to Tell, and once a second.
    Standing(Standing),
    /// The answer to Finish.
    Found(Box<Found>),
}
