//! The topology of docker-compose.yml as plain processes: PostgreSQL, Redis (or a cluster), presence, two chat-cores, two
//! gateways, and nginx before them.

mod addresses;
mod process;
mod roles;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};

pub use addresses::{Addresses, FRONT_HERE, Place};
pub use process::{RoleProcess, is_ready};
pub use roles::{RolePlan, plan};

use crate::{Child, Postgres, Redis, RedisCluster, free_port};

/// The front proxy's configuration, with `${FRONT_…}` to be filled in.
pub const FRONT_TEMPLATE: &str = include_str!("front.conf.template");
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Which Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisKind {
    /// One server.
    Single,
    /// Three nodes.
    Cluster,
}

/// Redis as it runs.
#[derive(Debug)]
pub enum RedisServers {
    /// One server.
    Single(Redis),
    /// Three nodes.
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

/// All of it. Gone when dropped.
#[derive(Debug)]
pub struct Topology {
    // Dropped in this order: callers before whom they call.
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
    /// Which Redis.
    pub kind: RedisKind,
    /// Where everything is.
    pub addresses: Addresses,
    executable: PathBuf,
}

impl Topology {
    /// Starts all of it with the demonstration's data, and waits until it is ready. Logs go to `folder`.
    ///
    /// # Errors
    /// When a part does not come up.
    ///
    /// # Panics
    /// When PostgreSQL or Redis cannot be started.
    pub fn start(executable: &Path, kind: RedisKind, folder: &Path, front_port: Option<u16>) -> anyhow::Result<Self> {
        ensure!(executable.exists(), "{} is not there: build it first (cargo build -p yitang)", executable.display());
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let postgres = Postgres::start();
        let redis = match kind {
            RedisKind::Single => RedisServers::Single(Redis::start()),
            RedisKind::Cluster => RedisServers::Cluster(RedisCluster::start()),
        };
        let front_port = front_port.unwrap_or_else(free_port);
        // Not a secret: it guards ports on 127.0.0.1 for as long as this runs.
        let key = format!("up-local-{:0>32}", std::process::id());
        let addresses = Addresses::here(postgres.create_database(), redis.url(), key, front_port);
        let plans = plan(&addresses);
        run(executable, &["seed-demo"], &plans[1].settings)?;
        let start = |name: &str| -> anyhow::Result<Vec<RoleProcess>> {
            let of_role = plans.iter().filter(|plan| plan.arguments[0] == name);
            of_role.map(|plan| RoleProcess::start(executable, plan.clone(), folder)).collect()
        };
        let presence = start("presence")?.pop().context("a presence")?;
        let (chat_cores, gateways) = (start("chat-core")?, start("gateway")?);
        let front = front(&addresses, front_port, folder)?;
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
        self.addresses.gateways.iter().map(Place::uri).collect()
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

/// nginx before the gateways; `None` where it is not installed.
fn front(addresses: &Addresses, port: u16, folder: &Path) -> anyhow::Result<Option<Child>> {
    let Some(nginx) = ["/usr/sbin/nginx", "/usr/bin/nginx"].map(Path::new).into_iter().find(|path| path.exists()) else {
        return Ok(None);
    };
    let folder = folder.canonicalize()?;
    let servers: String =
        addresses.gateways.iter().map(|place| format!("server {} max_fails=1 fail_timeout=2s; ", place.address)).collect();
    let site = FRONT_TEMPLATE.replace("${FRONT_GATEWAYS}", &servers).replace("${FRONT_LISTEN}", &format!("127.0.0.1:{port}"));
    let site = site.replace("${FRONT_BIND}", &format!("proxy_bind {FRONT_HERE};"));
    let whole = format!(
        "daemon off; worker_processes 1; pid {0}/nginx.pid; error_log {0}/front.log warn;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; client_body_temp_path {0}/nginx-body; proxy_temp_path {0}/nginx-proxy;\n\
         fastcgi_temp_path {0}/nginx-f; uwsgi_temp_path {0}/nginx-u; scgi_temp_path {0}/nginx-s;\n{site}\n}}\n",
        folder.display()
    );
    let path = folder.join("nginx.conf");
    fs::write(&path, whole)?;
    let mut command = Command::new(nginx);
    command.arg("-c").arg(&path).arg("-p").arg(&folder).args(["-e", "stderr"]);
    Ok(Some(Child::start(command, "nginx-light")))
}
