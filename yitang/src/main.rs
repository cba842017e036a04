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
    let settings = settings::load(&cli.sources())?;
    logs::start(&settings.log)?;
    limits::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let code = runtime.block_on(run(cli.command, settings));
    // Streams and blocking work that did not end in time are not waited for.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::All(_) => Box::pin(roles::all(settings)).await?,
        Command::Gateway(_) => roles::gateway(settings).await?,
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
