//! What all viewers of a run share, and what each writes down.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use crate::checker::{History, Outcome, PostIndex};

/// "Post this now."
#[derive(Clone, Debug)]
pub struct Order {
    /// The post's number in the run.
    pub index: PostIndex,
    /// When the plan wanted it, whether or not the viewer is connected then.
    pub due: Instant,
}

/// What the whole run shares.
pub struct Shared {
    /// The gateways' addresses.
    pub targets: Vec<String>,
    /// The conversation that all follow.
    pub conversation: String,
    /// Written into every text, so that runs do not take one another's posts for theirs.
    pub run: String,
    /// How long a post is tried.
    pub post_deadline: Duration,
    /// Told whenever a viewer got something or a post ended.
    pub progress: Notify,
    /// Live counters for the progress bar.
    pub counters: Counters,
}

/// Live counters.
#[derive(Default)]
pub struct Counters {
    /// Viewers that are connected and subscribed.
    pub connected: std::sync::atomic::AtomicUsize,
    /// Posts acknowledged.
    pub acknowledged: std::sync::atomic::AtomicU64,
    /// Posts that ended in any way.
    pub ended: std::sync::atomic::AtomicU64,
    /// Comments of this run that came over the wire.
    pub delivered: std::sync::atomic::AtomicU64,
    /// Times that a line broke and was made anew.
    pub reconnects: std::sync::atomic::AtomicU64,
}

/// A post's end, and when.
#[derive(Clone, Copy, Debug)]
pub struct PostRecord {
    /// The post's number in the run.
    pub index: PostIndex,
    /// Acknowledged or not.
    pub outcome: Outcome,
    /// When it was due.
    pub due: Instant,
    /// When the answer came.
    pub at: Instant,
    /// Its refusal's code, where it was refused.
    pub refusal: Option<i32>,
}

/// When one comment came.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The post's number in the run.
    pub index: PostIndex,
    /// The time of its arrival.
    pub at: Instant,
}

/// What a viewer writes down.
#[derive(Default)]
pub struct Record {
    /// For the checker.
    pub history: History,
    /// Comments of this run, in the order of arrival.
    pub arrivals: Vec<Arrival>,
    /// Posts of this viewer that ended.
    pub ended: Vec<PostRecord>,
    /// Holes that the server did not tell of; each is a breach of order.
    pub holes: u64,
    /// Times that Tops showed something missing, which was then paged.
    pub healed: u64,
    /// Times that the whole conversation had to be loaded anew.
    pub resets: u64,
    /// Close codes seen, with how often.
    pub closes: BTreeMap<u16, u64>,
}
