//! A black box around any running Yitang: real sockets, real sign-in, and a checker of every history that was seen.

mod args;
mod checker;
mod client;
mod fleet;
mod floor;
mod generator;
mod measure;
mod report;
mod scenario;
mod schedule;

use anyhow::Context as _;
use args::{ConsultationArgs, CrowdArgs, FloorArgs, PostArgs, RampArgs, RoomsArgs, SoakArgs, StormArgs};
use clap::{Parser, Subcommand};

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
    /// How fast viewers come in.
    Connect(CrowdArgs),
    /// Signed in, subscribed, and quiet: memory and CPU of a connection.
    Idle(CrowdArgs),
    /// One room, thousands of viewers, few large broadcasts: what a delivery costs.
    Broadcast(CrowdArgs),
    /// One room, a steady flow of comments.
    Steady(CrowdArgs),
    /// One room, everybody in it, as much as is planned for.
    Flood(CrowdArgs),
    /// The rate of posts rises until it is too much for one gateway.
    Ramp(RampArgs),
    /// Many groups at once.
    Rooms(RoomsArgs),
    /// Many pairs at once.
    Direct(CrowdArgs),
    /// One of two gateways is killed.
    Storm(StormArgs),
    /// Durable posts, at a rate or as many as the service takes.
    Post(PostArgs),
    /// Sockets come and go for a long time.
    Soak(SoakArgs),
    /// The bare epoll server, or with `--measure` what a delivery of it costs on this machine.
    Floor(FloorArgs),
    /// A process of sockets, started and directed by a scenario.
    #[command(hide = true)]
    Generator,
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
        Scenario::Floor(args) if args.measure.is_none() => floor::run(args.listen, "floor"),
        Scenario::Floor(args) => runtime.block_on(scenario::floor::run(args)),
        Scenario::Connect(args) => runtime.block_on(scenario::room::run("connect", CrowdArgs { posts_per_s: 0.0, idle_s: 0, ..args })),
        Scenario::Idle(args) => runtime.block_on(scenario::room::run("idle", CrowdArgs { posts_per_s: 0.0, ..args })),
        Scenario::Broadcast(args) => runtime.block_on(scenario::room::run("broadcast", args)),
        Scenario::Steady(args) => runtime.block_on(scenario::room::run("steady", args)),
        Scenario::Flood(args) => runtime.block_on(scenario::room::run("flood", args)),
        Scenario::Ramp(args) => runtime.block_on(scenario::ramp::run(args)),
        Scenario::Rooms(args) => runtime.block_on(scenario::rooms::groups(args)),
        Scenario::Direct(args) => runtime.block_on(scenario::rooms::direct(args)),
        Scenario::Storm(args) => runtime.block_on(scenario::storm::run(args)),
        Scenario::Post(args) => runtime.block_on(scenario::post::run(args)),
        Scenario::Soak(args) => runtime.block_on(scenario::soak::run(args)),
        Scenario::Consultation(args) => runtime.block_on(scenario::consultation::run(args)),
    }
}
