//! All settings in one place: what the executable adds to the roles' own options.

mod document;
mod load;
mod secrets;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};

pub use document::document;
pub use load::{Sources, load};
pub use secrets::{mask_url, masked};

/// Everything that can be set, for whichever roles this process runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The secret that all roles of one service share, at least 32 characters. Required where roles run apart; with
    /// `yitang all`, left empty, one is made up and kept in the data folder.
    pub key: String,
    /// Where SQLite's file and the made-up key are kept.
    pub data: PathBuf,
    /// Logs.
    pub log: LogSettings,
    /// Where each role listens.
    pub listen: ListenSettings,
    /// Where the other roles are; unused by `yitang all`.
    pub peers: PeerSettings,
    /// Starting and stopping.
    pub lifecycle: LifecycleSettings,
    /// The time.
    pub clock: ClockSettings,
    /// Redis; unused by `yitang all`.
    pub redis: backbone::RedisOptions,
    /// The gateway.
    pub gateway: gateway::Options,
    /// Chat-core.
    pub chat_core: chat_core::Options,
    /// Presence.
    pub presence: presence::Options,
}

/// Logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
    /// What is logged, as `level` or `target=level`, separated by commas.
    pub filter: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// Where each role listens. Admin ports serve /metrics, /healthz and /readyz and are for the machine room only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenSettings {
    /// The gateway, for browsers or their proxy.
    pub gateway: SocketAddr,
    /// Chat-core, for gateways.
    pub chat_core: SocketAddr,
    /// Presence, for gateways.
    pub presence: SocketAddr,
    /// The gateway's admin port; also that of `yitang all`.
    pub gateway_admin: SocketAddr,
    /// Chat-core's admin port.
    pub chat_core_admin: SocketAddr,
    /// Presence's admin port.
    pub presence_admin: SocketAddr,
}

impl Default for ListenSettings {
    fn default() -> Self {
        let local = |port| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port);
        Self {
            gateway: local(8080),
            chat_core: local(7100),
            presence: local(7200),
            gateway_admin: local(9080),
            chat_core_admin: local(9100),
            presence_admin: local(9200),
        }
    }
}

/// Where the other roles are, as `http://host:port`; all gateways must be told the same addresses.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// Chat-cores, at most 64.
    pub chat_cores: Vec<String>,
    /// Instances of presence.
    pub presences: Vec<String>,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self { chat_cores: vec!["http://127.0.0.1:7100".to_owned()], presences: vec!["http://127.0.0.1:7200".to_owned()] }
    }
}

/// Starting and stopping.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleSettings {
    /// Time for which a chat-core waits at its start for a database that is away, s.
    pub database_wait_s: u64,
    /// Stopping: time for which chat-core and presence report not ready before they stop, so that callers go elsewhere, ms.
    pub notice_ms: u64,
    /// Stopping: time for calls in flight to finish, ms.
    pub finish_ms: u64,
    /// Stopping: time after which the process ends, whatever is still going on, s.
    pub stop_s: u64,
    /// gRPC: interval of pings to each caller, ms.
    pub keepalive_ms: u64,
    /// Hints waiting for one follower within `yitang all`; what does not fit is read from the store instead.
    pub hints_most: usize,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        Self { database_wait_s: 60, notice_ms: 500, finish_ms: 5_000, stop_s: 60, keepalive_ms: 10_000, hints_most: 8_192 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let mut gateway = gateway::Options::default();
        // Both follow from where the gateway listens unless they are set.
        gateway.edge.public_url = String::new();
        gateway.edge.origins = Vec::new();
        let mut chat_core = chat_core::Options::default();
        chat_core.store.url = String::new();
        Self {
            key: String::new(),
            data: PathBuf::from("data"),
            log: LogSettings::default(),
            listen: ListenSettings::default(),
            peers: PeerSettings::default(),
            lifecycle: LifecycleSettings::default(),
            clock: ClockSettings::default(),
            redis: backbone::RedisOptions::default(),
            gateway,
            chat_core,
            presence: presence::Options::default(),
        }
    }
}

/// The time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClockSettings {
    /// How far this process's time is ahead of the machine's, ms (negative: behind it). For tests and rehearsals; the same in every
    /// role.
    pub offset_ms: i64,
}

impl ClockSettings {
    /// The one clock of this process.
    #[must_use]
    pub fn clock(&self) -> clock::Clock {
        clock::Clock::with_offset_ms(self.offset_ms)
    }
}

/// The least length of the shared key.
const KEY_LEAST: usize = 32;

impl Settings {
    /// The database's URL: the one set, or a file in the data folder.
    #[must_use]
    pub fn database_url(&self) -> String {
        match self.chat_core.store.url.as_str() {
            "" => format!("sqlite:{}", self.data.join("yitang.db").display()),
            url => url.to_owned(),
        }
    }

    /// Where browsers find the service.
    ///
    /// # Errors
    /// When it is neither set nor follows from the address listened on.
    pub fn public_url(&self) -> anyhow::Result<String> {
        match self.gateway.edge.public_url.as_str() {
            "" if self.listen.gateway.ip().is_unspecified() => {
                bail!("set gateway.edge.public_url: listening on {} does not tell how browsers find this", self.listen.gateway)
            }
            "" => Ok(format!("http://{}", self.listen.gateway)),
            url => Ok(url.trim_end_matches('/').to_owned()),
        }
    }

    /// The gateway's options with what follows from other settings filled in.
    ///
    /// # Errors
    /// When something needed is neither set nor follows.
    pub fn gateway_options(&self) -> anyhow::Result<gateway::Options> {
        let mut options = self.gateway.clone();
        options.edge.public_url = self.public_url()?;
        if self.gateway.edge.public_url.is_empty() && self.listen.gateway.ip().is_loopback() {
            options.edge.origins.push(format!("http://localhost:{}", self.listen.gateway.port()));
        }
        if options.tokens.resume_key.is_empty() && !self.key.is_empty() {
            options.tokens.resume_key = secrets::derive(&self.key, "resume tokens");
        }
        Ok(options)
    }

    /// Chat-core's options, likewise.
    #[must_use]
    pub fn chat_core_options(&self) -> chat_core::Options {
        let mut options = self.chat_core.clone();
        options.store.url = self.database_url();
        options
    }

    /// Presence's options, likewise.
    #[must_use]
    pub fn presence_options(&self) -> presence::Options {
        let mut options = self.presence.clone();
        if options.key.is_empty() {
            options.key.clone_from(&self.key);
        }
        options
    }

    /// Whether the shared key is there and long enough, for roles that run apart.
    ///
    /// # Errors
    /// When it is not, saying what to do.
    pub fn check_key(&self) -> anyhow::Result<()> {
        ensure!(
            !self.key.is_empty(),
            "set key (YITANG_KEY), the secret that the roles share: without it, whoever reaches a role's port could act for anybody"
        );
        ensure!(self.key.len() >= KEY_LEAST, "key is too short: at least {KEY_LEAST} characters, such as `openssl rand -hex 32` prints");
        ensure!(self.key.bytes().all(|byte| byte.is_ascii_graphic()), "key must be printable ASCII without spaces");
        Ok(())
    }

    /// For one process: keeps the key set, or takes the one in the data folder, generating it where there is none.
    ///
    /// # Errors
    /// When the data folder cannot be written.
    pub fn ensure_key(&mut self) -> anyhow::Result<()> {
        if !self.key.is_empty() {
            return self.check_key();
        }
        std::fs::create_dir_all(&self.data).with_context(|| format!("making the data folder {}", self.data.display()))?;
        self.key = secrets::read_or_create_key(&self.data.join("key"))?;
        Ok(())
    }
}
