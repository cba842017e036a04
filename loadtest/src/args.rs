//! The command line of the scenarios.

use std::path::PathBuf;

use clap::Args;

use crate::{measure::Roles, report::ReportArgs};

/// The bare server, and how it is measured.
#[derive(Args, Clone, Debug)]
pub struct FloorArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Start it, connect this number of sockets, and print what a delivery costs.
    #[arg(long)]
    pub measure: Option<usize>,
    /// Bytes of a frame.
    #[arg(long, default_value_t = 300)]
    pub bytes: usize,
    /// Frames a second, at most: each is sent after the one before has reached all sockets.
    #[arg(long, default_value_t = 2.0)]
    pub per_s: f64,
    #[command(flatten)]
    pub report: ReportArgs,
    #[command(flatten)]
    pub cores: CoreArgs,
}

/// Cores, as taskset names them.
#[derive(Args, Clone, Debug, Default)]
pub struct CoreArgs {
    /// The server's cores, for the floor's server.
    #[arg(long)]
    pub server_cpus: Option<String>,
    /// The generators' cores.
    #[arg(long)]
    pub generator_cpus: Option<String>,
}

/// The service, and the sessions to use.
#[derive(Args, Clone, Debug)]
pub struct TargetArgs {
    /// Addresses of the gateways, as http://ip:port (or https://); several are taken in turn, and again after a connection is lost.
    #[arg(long, required = true, value_delimiter = ',')]
    pub target: Vec<String>,
    /// With https: the PEM file of certificates to trust.
    #[arg(long)]
    pub ca: Option<String>,
    /// A JSON file of sessions as `yitang sessions mint` writes it: an array of objects with `token`.
    #[arg(long, conflicts_with = "login_prefix")]
    pub sessions: Option<PathBuf>,
    /// Sign in as PREFIX1, PREFIX2 … instead (the demo's members: demo-member-).
    #[arg(long, requires = "password", required_unless_present = "sessions")]
    pub login_prefix: Option<String>,
    /// Their password.
    #[arg(long, env = "YITANG_LOADTEST_PASSWORD")]
    pub password: Option<String>,
    /// The consultation; without it, the first open one in which the first viewer may post.
    #[arg(long)]
    pub consultation: Option<String>,
}

/// The reference meeting.
#[derive(Args, Clone, Debug)]
pub struct ConsultationArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub report: ReportArgs,
    /// Viewers.
    #[arg(long, default_value_t = 221)]
    pub viewers: usize,
    /// Comments in all, the convenor's call among them.
    #[arg(long, default_value_t = 435)]
    pub comments: usize,
    /// Seconds over which they are posted.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Posts a second, evenly, instead of as in a meeting; `--comments` is then ignored.
    #[arg(long)]
    pub posts_per_s: Option<f64>,
    /// Seconds after its first try up to which a post is sent again until it is answered.
    #[arg(long, default_value_t = 90)]
    pub post_deadline_s: u64,
    /// Seconds after the last answer within which every viewer must have seen everything.
    #[arg(long, default_value_t = 30)]
    pub settle_s: u64,
    /// Put one row a post into the JSON: [posted, acknowledged, seen by the last viewer], milliseconds since 1970.
    #[arg(long)]
    pub detail: bool,
    /// The server's processes, as for the other scenarios.
    #[arg(long, default_value = "")]
    pub server_pids: Roles,
}

/// Sockets held by generator processes, and who posts.
#[derive(Args, Clone, Debug)]
pub struct CrowdArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub report: ReportArgs,
    #[command(flatten)]
    pub cores: CoreArgs,
    /// Sockets that watch.
    #[arg(long, default_value_t = 2_000)]
    pub viewers: usize,
    /// Comments a second of all posters together.
    #[arg(long, default_value_t = 2.0)]
    pub posts_per_s: f64,
    /// Seconds of the measurement.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Sockets that only post.
    #[arg(long, default_value_t = 20)]
    pub posters: usize,
    /// Bytes of one comment's event, about.
    #[arg(long, default_value_t = 300)]
    pub bytes: usize,
    /// New connections a second, at most.
    #[arg(long, default_value_t = 3_000)]
    pub connects_per_s: u32,
    /// First connections under way at once, at most: above `gateway.edge.handshakes_most` a gateway refuses handshakes for the
    /// moment.
    #[arg(long, default_value_t = 200)]
    pub connecting_most: u32,
    /// Generator processes for those who watch; those who post have one more.
    #[arg(long, default_value_t = 1)]
    pub generators: usize,
    /// The server's processes by role: `gateway=PID,PID;chat-core=PID;postgres=PID`. What a delivery costs is the gateways'.
    #[arg(long, default_value = "")]
    pub server_pids: Roles,
    /// Admin ports (host:port) whose metrics are read.
    #[arg(long, value_delimiter = ',')]
    pub admin: Vec<String>,
    /// Seconds for which the quiet room is measured first.
    #[arg(long, default_value_t = 0)]
    pub idle_s: u64,
    /// Measure the floor in the same run.
    #[arg(long)]
    pub floor: bool,
    /// With --floor, in one room: parts into which the posts are cut, with the floor measured between them too.
    #[arg(long, default_value_t = 1)]
    pub turns: u32,
    /// Bytes of the floor's frame.
    #[arg(long, default_value_t = 300)]
    pub floor_bytes: usize,
    /// Viewers say that they can inflate.
    #[arg(long)]
    pub deflate: bool,
    /// Seconds after the last answer within which every viewer must have seen everything.
    #[arg(long, default_value_t = 30)]
    pub settle_s: u64,
}

/// `ramp`.
#[derive(Args, Clone, Debug)]
pub struct RampArgs {
    #[command(flatten)]
    pub crowd: CrowdArgs,
    /// Posts a second of the first step.
    #[arg(long, default_value_t = 200.0)]
    pub from: f64,
    /// Each step's rate over the one's before.
    #[arg(long, default_value_t = 1.5)]
    pub factor: f64,
    /// Seconds of a step; the first is not counted.
    #[arg(long, default_value_t = 4)]
    pub step_s: u64,
    /// The 99th percentile must stay below this.
    #[arg(long, default_value_t = 250)]
    pub limit_ms: u64,
    /// The core that the gateway has for itself.
    #[arg(long)]
    pub gateway_cpu: Option<usize>,
}

/// `rooms`.
#[derive(Args, Clone, Debug)]
pub struct RoomsArgs {
    #[command(flatten)]
    pub crowd: CrowdArgs,
    /// People of a room; there are as many rooms as `--viewers` fill.
    #[arg(long, default_value_t = 50)]
    pub people: usize,
}

/// `storm`.
#[derive(Args, Clone, Debug)]
pub struct StormArgs {
    #[command(flatten)]
    pub crowd: CrowdArgs,
    /// Sockets on the first gateway; the others, and the posters, are on the second.
    #[arg(long, default_value_t = 13_500)]
    pub on_first: usize,
    /// The first gateway's process, to be killed.
    #[arg(long)]
    pub kill_pid: u32,
    /// PostgreSQL's URL, to count its statements by psql.
    #[arg(long)]
    pub database: Option<String>,
    /// All must be back within this time.
    #[arg(long, default_value_t = 60)]
    pub patience_s: u64,
}

/// `soak`.
#[derive(Args, Clone, Debug)]
pub struct SoakArgs {
    #[command(flatten)]
    pub crowd: CrowdArgs,
    /// Minutes.
    #[arg(long, default_value_t = 20.0)]
    pub minutes: f64,
    /// Connections broken a second, by their clients.
    #[arg(long, default_value_t = 25.0)]
    pub churn_per_s: f64,
    /// Mean time that each stays away, ms.
    #[arg(long, default_value_t = 5_000)]
    pub away_ms: u64,
}

/// `post`.
#[derive(Args, Clone, Debug)]
pub struct PostArgs {
    #[command(flatten)]
    pub crowd: CrowdArgs,
    /// Direct conversations of the posters that are posted to; 0: all into the one consultation.
    #[arg(long, default_value_t = 0)]
    pub conversations: usize,
    /// Posts of one author under way at once, when as much as possible is posted.
    #[arg(long, default_value_t = 2)]
    pub at_once: u32,
    /// The same without the gateway: chat-core's address (http://host:port) instead of sockets.
    #[arg(long)]
    pub chat_core: Option<String>,
    /// The roles' shared key, for `--chat-core`.
    #[arg(long, env = "YITANG_KEY", default_value = "")]
    pub key: String,
}
