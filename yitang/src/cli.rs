//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::settings::Sources;

/// Yitang 议堂: real-time deliberation for large bodies.
#[derive(Parser, Debug)]
#[command(version, about)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub struct Common {
    /// A TOML file of settings.
    #[arg(long, global = true, env = "YITANG_SETTINGS", value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// One setting, as docs/settings.md names it; may be given again.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// The data folder (the setting `data`).
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The whole service in one process, on SQLite, with nothing else installed.
    All(AllArgs),
    /// A gateway: the public edge.
    Gateway(ListenArgs),
    /// A chat-core: the rules and the log.
    ChatCore(ListenArgs),
    /// An instance of presence: who is here.
    Presence(ListenArgs),
    /// Bring the database to this executable's version.
    Migrate,
    /// Fill an empty service with the demonstration; refuses where other people already are.
    SeedDemo,
    /// Print the one-use link that makes the first operator of a new service (`yitang all` prints it by itself).
    FirstOperator,
    /// Say what is wrong with the settings, the database, Redis and this machine, and what to do.
    Doctor(DoctorArgs),
    /// Show the settings in force, secrets hidden.
    Config(ConfigArgs),
    /// Sessions without signing in, for load tests.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Write the whole database to one file, while the service runs.
    Backup {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Read the whole database from a backup; the service must be stopped. Every conversation gets a new epoch, so that
    /// no client mistakes the old log for what it knew.
    Restore {
        /// The backup.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Replace what is in the database.
        #[arg(long)]
        replace: bool,
    },
}

#[derive(Args, Debug)]
pub struct AllArgs {
    #[command(flatten)]
    pub listen: ListenArgs,
    /// With the demonstration's people and consultations (made once, kept afterwards).
    #[arg(long)]
    pub demo: bool,
}

#[derive(Args, Debug)]
pub struct ListenArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where metrics and health are served.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin: Option<SocketAddr>,
}

#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// For which role; without it, for `yitang all`.
    #[arg(long, value_enum)]
    pub role: Option<Role>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    All,
    Gateway,
    ChatCore,
    Presence,
}

#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// Write docs/settings.md instead: every key, its default, what it means.
    #[arg(long)]
    pub document: bool,
}

#[derive(Subcommand, Debug)]
pub enum SessionsCommand {
    /// Open sessions of the first people, members before staff, and write their tokens as JSON.
    Mint {
        /// The number of sessions.
        #[arg(long)]
        count: usize,
        /// The file to make, readable by its owner only.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "must be KEY=VALUE".to_owned())
}

impl Cli {
    /// Where this command's settings come from; its own flags are settings too.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let mut flags = self.common.set.clone();
        let mut flag = |key: &str, value: Option<String>| flags.extend(value.map(|value| (key.to_owned(), value)));
        flag("data", self.common.data.as_ref().map(|path| path.display().to_string()));
        let (listen, role) = match &self.command {
            Command::All(args) => (Some(&args.listen), "gateway"),
            Command::Gateway(args) => (Some(args), "gateway"),
            Command::ChatCore(args) => (Some(args), "chat_core"),
            Command::Presence(args) => (Some(args), "presence"),
            _ => (None, ""),
        };
        if let Some(listen) = listen {
            flag(&format!("listen.{role}"), listen.listen.map(|address| address.to_string()));
            flag(&format!("listen.{role}_admin"), listen.admin.map(|address| address.to_string()));
        }
        if matches!(&self.command, Command::All(args) if args.demo) {
            flag("gateway.edge.demo", Some("true".to_owned()));
        }
        Sources { file: self.common.settings.clone(), environment: std::env::vars().collect(), flags }
    }
}
