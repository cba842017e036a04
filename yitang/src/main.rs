//! The executable: parses, reads settings, and runs what was asked for.

mod admin;
mod cli;
mod commands;
mod doctor;
mod lifecycle;
mod limits;
mod logs;
mod roles;
mod settings;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use gateway::Placement;
use tokio::{runtime::Builder, task::LocalSet};

use cli::{Cli, Command, SessionsCommand};
use settings::Settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("yitang: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    let small_pages = limits::keep_small_pages();
    let settings = settings::load(&cli.sources())?;
    logs::start(&settings.log)?;
    if let Err(error) = small_pages {
        tracing::info!(%error, "the kernel may make huge pages of this process's memory");
    }
    limits::raise_open_files();
    let placement = choose_placement(&cli.command, &settings);
    let mut builder = match placement {
        Placement::OwnThreads => Builder::new_multi_thread(),
        Placement::ThisThread => Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().context("starting the runtime")?;
    let code = match placement {
        Placement::OwnThreads => runtime.block_on(run(cli.command, settings, placement)),
        Placement::ThisThread => LocalSet::new().block_on(&runtime, run(cli.command, settings, placement)),
    };
    // Streams and blocking work that did not end in time are not waited for.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// A gateway that has one CPU is one thread: two would only take turns on it, and wake one another for every post.
fn choose_placement(command: &Command, settings: &Settings) -> Placement {
    let one_cpu = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() == 1);
    if one_cpu && matches!(command, Command::Gateway(_)) && settings.gateway.hub.cores <= 1 {
        Placement::ThisThread
    } else {
        Placement::OwnThreads
    }
}

async fn run(command: Command, settings: Settings, placement: Placement) -> anyhow::Result<ExitCode> {
    match command {
        Command::All(_) => Box::pin(roles::all(settings)).await?,
        Command::Gateway(_) => roles::gateway(settings, placement).await?,
        Command::ChatCore(_) => roles::chat_core(settings).await?,
        Command::Presence(_) => roles::presence(settings).await?,
        Command::Migrate => commands::migrate(&settings).await?,
        Command::SeedDemo => commands::seed_demo(&settings).await?,
        Command::FirstOperator => commands::first_operator(&settings).await?,
        Command::Config(args) => commands::config(&settings, args.document)?,
        Command::Sessions(SessionsCommand::Mint { count, out }) => commands::mint(&settings, count, &out).await?,
        Command::Backup { to } => commands::backup(&settings, &to).await?,
        Command::Restore { from, replace } => commands::restore(&settings, &from, replace).await?,
        Command::Doctor(args) => return doctor::doctor(&settings, args.role).await,
    }
    Ok(ExitCode::SUCCESS)
}
