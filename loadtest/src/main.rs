//! A black box around any running Yitang: real sockets, real sign-in, and a checker of every history that was seen.

mod checker;
mod client;
mod fleet;
mod floor;
mod generator;
mod measure;
mod report;
mod scenario;
mod schedule;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

/// Drives a running Yitang service over real sockets and checks what every viewer saw.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Subcommand)]
enum Scenario {
    /// The reference meeting: the call, the flood of the first minutes, the tail; every viewer checked.
    Consultation(ConsultationArgs),
    /// One room, thousands of viewers, few large broadcasts: what a delivery costs.
    Broadcast(CrowdArgs),
    /// One room, a steady flow of comments.
    Steady(CrowdArgs),
    /// One room, everybody in it, as much as the mission plans for.
    Flood(CrowdArgs),
    /// Signed in, subscribed, and quiet: memory and CPU of a connection.
    Idle(CrowdArgs),
    /// How fast viewers come in.
    Connect(CrowdArgs),
    /// The bare epoll server, or with `--measure` what a delivery of it costs on this machine.
    Floor(FloorArgs),
    /// A process of sockets, started and told what to do by a scenario.
    #[command(hide = true)]
    Generator,
}

#[derive(Args, Clone, Debug)]
pub struct FloorArgs {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Measure it: start it, connect so many sockets, and say what a delivery costs.
    #[arg(long)]
    pub measure: Option<usize>,
    /// Bytes of a frame.
    #[arg(long, default_value_t = 300)]
    pub bytes: usize,
    /// How many frames, one after the other.
    #[arg(long, default_value_t = 20)]
    pub rounds: u32,
    /// At most so many a second.
    #[arg(long, default_value_t = 2.0)]
    pub per_s: f64,
    /// The server's cores, as for taskset.
    #[arg(long)]
    pub server_cpus: Option<String>,
    /// The generators' cores.
    #[arg(long)]
    pub generator_cpus: Option<String>,
}

/// Where the service is, and as whom to come.
#[derive(Args, Clone, Debug)]
pub struct TargetArgs {
    /// Addresses of the gateways, as http://host:port; several are taken in turn, and again after a connection is lost.
    #[arg(long, required = true, value_delimiter = ',')]
    pub target: Vec<String>,
    /// A JSON file of sessions as `yitang sessions mint` writes it: an array of objects with `token`.
    #[arg(long, conflicts_with = "login_prefix")]
    pub sessions: Option<PathBuf>,
    /// Sign in as PREFIX1, PREFIX2 … instead (the demo's members: demo-member-).
    #[arg(long, requires = "password", required_unless_present = "sessions")]
    pub login_prefix: Option<String>,
    /// Their password.
    #[arg(long, env = "YITANG_LOADTEST_PASSWORD")]
    pub password: Option<String>,
}

/// Where results go.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Write the figures here.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Write a page with plots here.
    #[arg(long)]
    pub html: Option<PathBuf>,
    /// Put one row a post into the JSON: [posted, acknowledged, seen by the last viewer], milliseconds since 1970.
    #[arg(long)]
    pub detail: bool,
    /// No progress bar and no table.
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Debug)]
pub struct ConsultationArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub report: ReportArgs,
    /// How many watch.
    #[arg(long, default_value_t = 221)]
    pub viewers: usize,
    /// How many comments are posted, the convenor's call among them.
    #[arg(long, default_value_t = 435)]
    pub comments: usize,
    /// Over how long they are posted.
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Post evenly, so many a second, instead of as in a meeting; `--comments` is then ignored.
    #[arg(long)]
    pub posts_per_s: Option<f64>,
    /// The consultation; without it, the first open one in which the first viewer may post.
    #[arg(long)]
    pub consultation: Option<String>,
    /// A post is sent again and again until it is answered, at most so long after its first try.
    #[arg(long, default_value_t = 90)]
    pub post_deadline_s: u64,
    /// After the last answer, viewers get so long to have seen everything.
    #[arg(long, default_value_t = 30)]
    pub settle_s: u64,
    /// Exit 0 only if nothing was lost, doubled, out of order or seen without being acknowledged.
    #[arg(long)]
    pub strict: bool,
}

/// A room full of viewers, held by generator processes.
#[derive(Args, Clone, Debug)]
pub struct CrowdArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Write the figures here.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// How many watch.
    #[arg(long, default_value_t = 2_000)]
    pub viewers: usize,
    /// Comments a second, together.
    #[arg(long, default_value_t = 2.0)]
    pub posts_per_s: f64,
    /// For how long.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// How many sockets post.
    #[arg(long, default_value_t = 20)]
    pub posters: usize,
    /// Bytes of one comment's event, about.
    #[arg(long, default_value_t = 300)]
    pub bytes: usize,
    /// New connections a second, at most.
    #[arg(long, default_value_t = 3_000)]
    pub connects_per_s: u32,
    /// Generator processes.
    #[arg(long, default_value_t = 1)]
    pub generators: usize,
    /// Their cores, as for taskset.
    #[arg(long)]
    pub generator_cpus: Option<String>,
    /// The server's cores, for the floor.
    #[arg(long)]
    pub server_cpus: Option<String>,
    /// The server's processes: their CPU and memory is read.
    #[arg(long, value_delimiter = ',')]
    pub server_pids: Vec<u32>,
    /// Measure the quiet room for so long first.
    #[arg(long, default_value_t = 0)]
    pub idle_s: u64,
    /// Measure the floor in the same run.
    #[arg(long)]
    pub floor: bool,
    /// Bytes of the floor's frame.
    #[arg(long, default_value_t = 300)]
    pub floor_bytes: usize,
    /// Viewers say that they can inflate.
    #[arg(long)]
    pub deflate: bool,
    /// The consultation; without it, the first open one in which the first viewer may post.
    #[arg(long)]
    pub consultation: Option<String>,
    /// After the last answer, viewers get so long to have seen everything.
    #[arg(long, default_value_t = 30)]
    pub settle_s: u64,
    /// Exit 0 only if the histories are clean.
    #[arg(long)]
    pub strict: bool,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    match cli.scenario {
        Scenario::Generator => generator::run(),
        Scenario::Floor(args) => match args.measure {
            None => floor::run(args.listen, "floor"),
            Some(connections) => runtime.block_on(async {
                let (server, generators) = (args.server_cpus.as_deref(), args.generator_cpus.as_deref());
                let floor = scenario::broadcast::floor(connections, args.bytes, args.rounds, args.per_s, server, generators).await?;
                println!("{}", serde_json::to_string_pretty(&floor)?);
                Ok(())
            }),
        },
        Scenario::Broadcast(args) => runtime.block_on(scenario::crowd::run("broadcast", args)),
        Scenario::Steady(args) => runtime.block_on(scenario::crowd::run("steady", args)),
        Scenario::Flood(args) => runtime.block_on(scenario::crowd::run("flood", args)),
        Scenario::Idle(args) => runtime.block_on(scenario::crowd::run("idle", CrowdArgs { posts_per_s: 0.0, ..args })),
        Scenario::Connect(args) => runtime.block_on(scenario::crowd::run("connect", CrowdArgs { posts_per_s: 0.0, idle_s: 0, ..args })),
        Scenario::Consultation(args) => runtime.block_on(scenario::consultation::run(args)),
    }
}
