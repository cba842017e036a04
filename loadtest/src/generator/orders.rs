//! Messages between the coordinator and its generators: a line of JSON each, over the generator's stdin and stdout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::arrivals::{Sparse, SparseLatencies};

/// From the coordinator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Connect these sockets.
    Open(Box<Plan>),
    /// Answer with the progress so far.
    Progress,
    /// Begin the measurement: counts and latencies start at zero, positions stay.
    Begin,
    /// Post.
    Post(Flow),
    /// End the flow of posts; those under way go on.
    Stop,
    /// Break connections at this rate from now on, and let each come back; rate 0: no more.
    Churn {
        /// Connections broken a second.
        per_s: f64,
        /// Mean time before each comes back, milliseconds.
        away_ms: u64,
    },
    /// Answer with the latencies by second.
    Seconds,
    /// Answer with all findings, and end.
    Finish,
}

/// Which sockets one generator holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Gateways (host:port). A seat has its home among them; after a break the next one is tried.
    pub targets: Vec<String>,
    /// TLS, trusting the certificates of this PEM file.
    pub ca: Option<String>,
    /// Local addresses, in turn: one address has about 28,000 ports towards one target.
    pub sources: Vec<String>,
    /// Conversations of the run, by their place in the coordinator's list.
    pub rooms: Vec<String>,
    /// One socket each.
    pub seats: Vec<Seat>,
    /// How many of all generators' seats post.
    pub posters: u32,
    /// The mark of the run's posts.
    pub run: String,
    /// First connections a second, at most. Later ones are as the server's RETRY says.
    pub per_s: u32,
    /// First connections under way at once, at most; 0: no bound.
    pub connecting_most: u32,
    /// Whether clients can inflate.
    pub deflate: bool,
    /// Come back after a break, by resume token and position.
    pub reconnect: bool,
    /// A bare server (`loadtest floor`): connect and read frames, no sign-in.
    pub bare: bool,
    /// Width of an arrival bucket, microseconds.
    pub bucket_us: i64,
}

/// One socket of a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seat {
    /// The session's token.
    pub token: String,
    /// Its home among the targets.
    pub target: u16,
    /// The room that it follows.
    pub room: Option<u32>,
    /// Latencies are kept by group.
    pub group: u8,
    /// Its number among those who post, and the room that it posts to.
    pub posts: Option<(u32, u32)>,
}

/// A flow of posts. Post `n` is poster `n % posters`'s.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Flow {
    /// Number of the first one.
    pub first: u32,
    /// Number of posts; 0: until Stop.
    pub count: u32,
    /// When the first is due, microseconds since 1970.
    pub start_us: i64,
    /// Open loop: posts a second of all posters together, whether those before were answered or not. 0: closed loop.
    pub per_s: f64,
    /// Closed loop: posts of each poster under way at once.
    pub at_once: u32,
    /// Bytes of a comment's event, about.
    pub bytes: usize,
    /// Also edits and recalls of one's own comments.
    pub mixed: bool,
}

/// The state of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Sockets that are signed in and subscribed.
    pub live: u32,
    /// Sockets that gave up.
    pub failed: u32,
    /// Events times sockets.
    pub delivered: u64,
    /// The lowest seq that all live sockets of each room have.
    pub whole_to: Vec<u64>,
    /// The highest seq of a receipt, by room.
    pub acknowledged_to: Vec<u64>,
    /// Connections broken and made anew since the beginning.
    pub reconnected: u64,
    /// Posts acknowledged.
    pub acknowledged: u64,
    /// Posts that began and have not ended.
    pub posting: u64,
}

/// A frame of live events, in short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameSummary {
    /// Its conversation, by place in the plan.
    pub room: u32,
    /// The posts of the run in it: (seq, number).
    pub posts: Vec<(u64, u32)>,
    /// Events.
    pub count: u32,
    /// Bytes of the frame.
    pub bytes: u32,
    /// Number of sockets that received it.
    pub sockets: u64,
    /// The room's window, as the frame says.
    pub window_ms: u32,
}

/// The events that a socket received without a hole.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reached {
    /// The conversation, by place in the plan.
    pub room: u32,
    /// Everything after this seq was due to it.
    pub from: u64,
    /// Everything up to this seq came, without a hole.
    pub to: u64,
}

/// What a generator saw in a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunFindings {
    /// Distinct frames of live events.
    pub frames: Vec<FrameSummary>,
    /// How far each socket came.
    pub reached: Vec<Reached>,
    /// Events that came twice over one wire without being asked for.
    pub duplicated: u64,
    /// Frames that did not follow the one before.
    pub out_of_order: u64,
    /// Events replayed or paged after a break, times sockets.
    pub replayed: u64,
    /// Connections broken and made anew.
    pub reconnected: u64,
    /// Errors by description, with their counts.
    pub errors: BTreeMap<String, u64>,
    /// Times from the start of connecting to being subscribed, the first time, milliseconds.
    pub connect_ms: Vec<u32>,
    /// Times from the start of connecting to being subscribed, after a break, milliseconds.
    pub back_ms: Vec<u32>,
    /// Verdicts that subscriptions after a break were answered with.
    pub verdicts: BTreeMap<String, u64>,
    /// Due to screen, by group.
    pub latencies: BTreeMap<u8, SparseLatencies>,
    /// Due to receipt.
    pub receipts: SparseLatencies,
    /// Receipts: (number, room, seq).
    pub acknowledged: Vec<(u32, u32, u64)>,
    /// Posts refused for good or never answered, by the refusal's code.
    pub unacknowledged: BTreeMap<String, u64>,
    /// Posts that were due.
    pub due: u64,
    /// CPU of this generator, microseconds.
    pub cpu_us: u64,
}

/// From the generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The answer to Progress.
    Progress(Progress),
    /// The answer to Seconds: by group, (second since 1970, latencies).
    Seconds(BTreeMap<u8, Vec<(i64, Sparse)>>),
    /// The answer to Finish.
    Findings(Box<RunFindings>),
}
