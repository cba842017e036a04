//! The servers of one scenario: only what it needs, with the demonstration's people, pinned to their core.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use testkit::{
    Postgres, Redis,
    topology::{Addresses, Endpoint, FrontPorts, RolePlan, RoleProcess, plan},
};

use crate::command::{pin, text};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Where logs and data go.
    pub folder: PathBuf,
    /// The executable.
    pub yitang: &'a Path,
    /// The core of all of it, as for taskset.
    pub cpus: &'a str,
    /// The roles' core, where PostgreSQL and Redis are on another.
    pub role_cpus: Option<&'a str>,
    /// The gateways' core, where they have one for themselves.
    pub gateway_cpus: Option<&'a str>,
    /// The number of gateways of roles that run apart; `None`: `yitang all` on SQLite.
    pub gateways: Option<usize>,
    /// Roles on SQLite instead of PostgreSQL.
    pub sqlite: bool,
    /// The gateway runs within this command.
    pub within: Vec<String>,
    /// Settings besides the defaults, as docs/settings.md names them.
    pub settings: Vec<(&'a str, String)>,
}

/// They run. Gone when dropped.
pub struct Stage {
    // Dropped in this order: callers before whom they call.
    gateways: Vec<RoleProcess>,
    chat_core: Option<RoleProcess>,
    presence: Option<RoleProcess>,
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    yitang: PathBuf,
    /// Arguments and settings that find the database.
    database: (Vec<String>, Vec<(String, String)>),
    /// Where the database's files are.
    data: PathBuf,
    /// PostgreSQL's URL.
    pub url: Option<String>,
    /// The consultation that is open; none is known with `yitang all`.
    pub consultation: Option<String>,
    /// The roles' key.
    pub key: String,
    tls: bool,
}

impl Stage {
    /// Starts all that is wanted.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn start(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        fs::create_dir_all(&wanted.folder)?;
        pin(wanted.cpus)?;
        match wanted.gateways {
            None => Self::start_all(wanted),
            Some(gateways) => Self::start_roles(wanted, gateways),
        }
    }

    fn start_all(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let data = wanted.folder.join("data");
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data)?;
        let data = text(&data)?;
        let (address, admin) = (free(), free());
        let endpoint = Endpoint { name: "all".to_owned(), address: address.clone(), listen: address.clone(), admin: admin.clone() };
        let arguments = ["all", "--demo", "--listen", &address, "--admin", &admin, "--data", &data].map(str::to_owned).to_vec();
        let plan = RolePlan { endpoint, arguments, settings: environment(&wanted.settings) };
        let mut process = RoleProcess::start(wanted.yitang, plan, &wanted.folder)?;
        process.wait_ready(READY_WITHIN)?;
        Ok(Self {
            gateways: vec![process],
            chat_core: None,
            presence: None,
            redis: None,
            postgres: None,
            yitang: wanted.yitang.to_owned(),
            data: PathBuf::from(&data),
            database: (vec!["--data".to_owned(), data], Vec::new()),
            url: None,
            consultation: None,
            key: String::new(),
            tls: false,
        })
    }

    fn start_roles(wanted: &Wanted<'_>, gateways: usize) -> anyhow::Result<Self> {
        let redis = Redis::start();
        let postgres = if wanted.sqlite { None } else { Some(start_postgres()?) };
        let file = wanted.folder.join("yitang.db");
        let url = match &postgres {
            Some(postgres) => postgres.create_database(),
            None => {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = fs::remove_file(wanted.folder.join(format!("yitang.db{suffix}")));
                }
                format!("sqlite:{}", text(&std::path::absolute(&file)?)?)
            }
        };
        if postgres.is_some() {
            count_statements(&url)?;
        }
        // Not a secret: it guards ports on 127.0.0.1 for as long as this runs.
        let key = format!("bench-{:0>32}", std::process::id());
        let mut addresses = Addresses::here(url.clone(), redis.url(), key.clone(), FrontPorts::free());
        addresses.chat_cores.truncate(1);
        addresses.gateways.truncate(gateways);
        let mut plans = plan(&addresses);
        for plan in &mut plans {
            plan.settings.extend(environment(&wanted.settings));
            if wanted.sqlite {
                plan.settings.push(("YITANG_DATA".to_owned(), text(&wanted.folder)?));
            }
        }
        let core_settings = plans.iter().find(|plan| plan.arguments[0] == "chat-core").context("a chat-core")?.settings.clone();
        let seeded = run(wanted.yitang, &["seed-demo".to_owned()], &core_settings)?;
        let consultation = seeded.trim().rsplit(' ').next().map(str::to_owned);
        if let Some(cpus) = wanted.role_cpus {
            pin(cpus)?;
        }
        let processes = |name: &str| -> anyhow::Result<Vec<RoleProcess>> {
            let of_role = plans.iter().filter(|plan| plan.arguments[0] == name);
            let start = |plan: &RolePlan| match wanted.within.split_first() {
                Some((program, before)) if name == "gateway" => {
                    let mut within = plan.clone();
                    within.arguments = before.iter().cloned().chain([text(wanted.yitang)?]).chain(plan.arguments.clone()).collect();
                    RoleProcess::start(Path::new(program), within, &wanted.folder)
                }
                _ => RoleProcess::start(wanted.yitang, plan.clone(), &wanted.folder),
            };
            of_role.map(start).collect()
        };
        let presence = processes("presence")?.pop();
        let chat_core = processes("chat-core")?.pop();
        if let Some(cpus) = wanted.gateway_cpus {
            // It counts its cores when it starts.
            pin(cpus)?;
        }
        let gateways = if gateways > 0 { processes("gateway")? } else { Vec::new() };
        pin(wanted.cpus)?;
        let tls = wanted.settings.iter().any(|(key, _)| *key == "gateway.edge.tls_certificate");
        let mut this = Self {
            gateways,
            chat_core,
            presence,
            redis: Some(redis),
            data: postgres.as_ref().map_or_else(|| wanted.folder.clone(), |postgres| postgres.folder().to_owned()),
            postgres,
            yitang: wanted.yitang.to_owned(),
            database: (Vec::new(), core_settings),
            url: Some(url),
            consultation,
            key,
            tls,
        };
        for role in this.presence.iter_mut().chain(&mut this.chat_core).chain(&mut this.gateways) {
            role.wait_ready(READY_WITHIN)?;
        }
        Ok(this)
    }

    /// Opens sessions of demo members and writes them to `out`.
    ///
    /// # Errors
    /// When that fails.
    pub fn mint(&self, count: usize, out: &Path) -> anyhow::Result<()> {
        let mut arguments: Vec<String> = ["sessions", "mint", "--count"].map(str::to_owned).to_vec();
        arguments.extend([count.to_string(), "--out".to_owned(), text(out)?]);
        arguments.extend(self.database.0.iter().cloned());
        run(&self.yitang, &arguments, &self.database.1).map(|_| ())
    }

    /// The gateways' addresses.
    #[must_use]
    pub fn targets(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        self.gateways.iter().map(|role| format!("{scheme}://{}", role.plan().endpoint.address)).collect::<Vec<_>>().join(",")
    }

    /// Chat-core's address.
    #[must_use]
    pub fn chat_core(&self) -> Option<String> {
        self.chat_core.as_ref().map(|role| role.plan().endpoint.uri())
    }

    /// Admin ports: gateways, chat-core, presence.
    #[must_use]
    pub fn admins(&self) -> String {
        let roles = self.gateways.iter().chain(&self.chat_core).chain(&self.presence);
        roles.map(|role| role.plan().endpoint.admin.clone()).collect::<Vec<_>>().join(",")
    }

    /// The first gateway's process.
    #[must_use]
    pub fn first_gateway(&self) -> Option<u32> {
        self.gateways.first().and_then(RoleProcess::pid)
    }

    /// What receipts of this run rest on: `stored_in`, `file_system`, and the database's own settings. SQLite's are what the
    /// service opens it with, as `yitang doctor` finds them.
    ///
    /// # Errors
    /// When the database does not say.
    pub fn stored(&self) -> anyhow::Result<Vec<(String, String)>> {
        let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(&self.data).output().context("running stat")?;
        let mut stored = vec![("file_system".to_owned(), String::from_utf8_lossy(&output.stdout).trim().to_owned())];
        if self.postgres.is_some() {
            stored.push(("stored_in".to_owned(), "PostgreSQL".to_owned()));
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                let url = self.url.as_deref().context("PostgreSQL")?;
                stored.push((name.to_owned(), psql(url, &format!("SHOW {name}"))?.trim().to_owned()));
            }
        } else {
            stored.push(("stored_in".to_owned(), "SQLite".to_owned()));
            let arguments: Vec<String> = std::iter::once("doctor".to_owned()).chain(self.database.0.iter().cloned()).collect();
            let output = Command::new(&self.yitang).args(&arguments).envs(self.database.1.iter().cloned()).output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            for name in ["journal_mode", "synchronous"] {
                let found = said.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
                let value = found.with_context(|| format!("the doctor does not tell {name}: {said}"))?;
                stored.push((name.to_owned(), value.trim_end_matches(':').to_owned()));
            }
        }
        Ok(stored)
    }

    /// What PostgreSQL was asked, the costliest first: total ms, calls, text. `None` where it does not count.
    #[must_use]
    pub fn statements(&self) -> Option<String> {
        let text = "regexp_replace(left(query, 160), E'\\\\s+', ' ', 'g')";
        let ask = format!("SELECT round(total_exec_time::numeric, 1), calls, {text} FROM pg_stat_statements ORDER BY 1 DESC LIMIT 25");
        self.postgres.as_ref()?;
        psql(self.url.as_deref()?, &ask).ok()
    }

    /// Processes by role, as `loadtest --server-pids` takes them.
    #[must_use]
    pub fn pids(&self) -> String {
        let gateways: Vec<_> = self.gateways.iter().filter_map(RoleProcess::pid).map(|pid| pid.to_string()).collect();
        let mut roles = Vec::new();
        if !gateways.is_empty() {
            roles.push(format!("gateway={}", gateways.join(",")));
        }
        for (role, pid) in [
            ("chat-core", self.chat_core.as_ref().and_then(RoleProcess::pid)),
            ("presence", self.presence.as_ref().and_then(RoleProcess::pid)),
            ("postgres", self.postgres.as_ref().map(Postgres::pid)),
            ("redis", self.redis.as_ref().map(Redis::pid)),
        ] {
            roles.extend(pid.map(|pid| format!("{role}={pid}")));
        }
        roles.join(";")
    }
}

/// Names of settings as environment variables.
fn environment(settings: &[(&str, String)]) -> Vec<(String, String)> {
    settings.iter().map(|(key, value)| (format!("YITANG_{}", key.replace('.', "__").to_uppercase()), value.clone())).collect()
}

fn free() -> String {
    format!("127.0.0.1:{}", testkit::free_port())
}

/// PostgreSQL with the module that counts statements, where it is installed.
fn start_postgres() -> anyhow::Result<Postgres> {
    let mut postgres = Postgres::start();
    if psql(&postgres.url(), "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'").is_ok() {
        postgres.restart();
    }
    Ok(postgres)
}

fn count_statements(url: &str) -> anyhow::Result<()> {
    if let Err(error) = psql(url, "CREATE EXTENSION IF NOT EXISTS pg_stat_statements") {
        println!("statements are not counted one by one: {error:#}");
    }
    Ok(())
}

fn psql(url: &str, sql: &str) -> anyhow::Result<String> {
    let output = Command::new("psql").args(["-XAtc", sql, url]).output().context("running psql")?;
    ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run(yitang: &Path, arguments: &[String], settings: &[(String, String)]) -> anyhow::Result<String> {
    let output = Command::new(yitang).args(arguments).envs(settings.iter().cloned()).output();
    let output = output.with_context(|| format!("running {}", yitang.display()))?;
    ensure!(output.status.success(), "yitang {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A certificate for 127.0.0.1 that stands for itself, and its key, as PEM files in `folder`.
///
/// # Errors
/// When openssl cannot make one.
pub fn certificate(folder: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    fs::create_dir_all(folder)?;
    let folder = std::path::absolute(folder)?;
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let output = command.output().context("running openssl (package openssl)")?;
    ensure!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
    Ok((certificate, key))
}
