//! The topology of docker-compose.yml as plain processes: PostgreSQL, Redis (or a cluster), presence, two chat-cores, two
//! gateways, and nginx before them.

mod addresses;
mod front;
mod process;
mod roles;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};

pub use addresses::{Addresses, Endpoint, FRONT_HERE, FrontPorts};
pub use front::FRONT_TEMPLATE;
pub use process::{RoleProcess, is_ready};
pub use roles::{RolePlan, plan};

use crate::{Child, Postgres, Redis, RedisCluster};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// The kind of Redis that a topology runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisKind {
    /// A single server.
    Single,
    /// A cluster of three masters.
    Cluster,
}

/// Redis as it runs.
#[derive(Debug)]
pub enum RedisServers {
    /// A single server.
    Single(Redis),
    /// A cluster of three masters.
    Cluster(RedisCluster),
}

impl RedisServers {
    /// Every node.
    pub fn nodes(&mut self) -> &mut [Redis] {
        match self {
            Self::Single(redis) => std::slice::from_mut(redis),
            Self::Cluster(cluster) => &mut cluster.nodes,
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Single(redis) => redis.url(),
            Self::Cluster(cluster) => cluster.url(),
        }
    }
}

/// The running topology. Its processes end when it is dropped.
#[derive(Debug)]
pub struct Topology {
    // Dropped in this order: callers before those that they call.
    front: Option<Child>,
    /// Gateways.
    pub gateways: Vec<RoleProcess>,
    /// Chat-cores.
    pub chat_cores: Vec<RoleProcess>,
    /// Presence.
    pub presence: RoleProcess,
    /// Redis.
    pub redis: RedisServers,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// The kind of Redis it runs on.
    pub kind: RedisKind,
    /// Where everything is.
    pub addresses: Addresses,
    executable: PathBuf,
}

impl Topology {
    /// Starts all of it with the demonstration's data, and waits until it is ready. Logs go to `folder`; nginx listens on the
    /// ports of `front`, by default on free ones.
    ///
    /// # Errors
    /// When a part does not come up.
    ///
    /// # Panics
    /// When PostgreSQL or Redis cannot be started.
    pub fn start(executable: &Path, kind: RedisKind, folder: &Path, front: Option<FrontPorts>) -> anyhow::Result<Self> {
        ensure!(executable.exists(), "{} is not there: build it first (cargo build -p yitang)", executable.display());
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let postgres = Postgres::start();
        let redis = match kind {
            RedisKind::Single => RedisServers::Single(Redis::start()),
            RedisKind::Cluster => RedisServers::Cluster(RedisCluster::start()),
        };
        // Not a secret: it guards ports on 127.0.0.1 for as long as this runs.
        let key = format!("up-local-{:0>32}", std::process::id());
        let addresses = Addresses::here(postgres.create_database(), redis.url(), key, front.unwrap_or_else(FrontPorts::free));
        let plans = plan(&addresses);
        run(executable, &["seed-demo"], &plans[1].settings)?;
        let start = |name: &str| -> anyhow::Result<Vec<RoleProcess>> {
            let of_role = plans.iter().filter(|plan| plan.arguments[0] == name);
            of_role.map(|plan| RoleProcess::start(executable, plan.clone(), folder)).collect()
        };
        let presence = start("presence")?.pop().context("a presence")?;
        let (chat_cores, gateways) = (start("chat-core")?, start("gateway")?);
        let front = front::start(&addresses, folder)?;
        let executable = executable.to_owned();
        let mut this = Self { front, gateways, chat_cores, presence, redis, postgres, kind, addresses, executable };
        for role in this.roles() {
            role.wait_ready(READY_WITHIN)?;
        }
        Ok(this)
    }

    /// Every process of the executable.
    pub fn roles(&mut self) -> impl Iterator<Item = &mut RoleProcess> {
        std::iter::once(&mut self.presence).chain(&mut self.chat_cores).chain(&mut self.gateways)
    }

    /// Opens sessions of demo members and writes their tokens to `out`, as `loadtest --sessions` reads them.
    ///
    /// # Errors
    /// When that fails.
    pub fn mint_sessions(&self, count: usize, out: &Path) -> anyhow::Result<()> {
        let out = out.to_str().context("the path must be UTF-8")?;
        run(&self.executable, &["sessions", "mint", "--count", &count.to_string(), "--out", out], &self.chat_cores[0].plan().settings)
    }

    /// The gateways' addresses for clients that take several.
    #[must_use]
    pub fn targets(&self) -> Vec<String> {
        self.addresses.gateways.iter().map(Endpoint::uri).collect()
    }

    /// The front proxy's process id, where nginx is installed.
    #[must_use]
    pub fn front_pid(&self) -> Option<u32> {
        self.front.as_ref().map(Child::pid)
    }
}

/// Runs a command of the executable to its end.
pub(crate) fn run(executable: &Path, arguments: &[&str], settings: &[(String, String)]) -> anyhow::Result<()> {
    let output = Command::new(executable).args(arguments).envs(settings.iter().cloned()).output();
    let output = output.with_context(|| format!("running {}", executable.display()))?;
    ensure!(output.status.success(), "yitang {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}
