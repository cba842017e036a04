//! PostgreSQL, with everything that makes a commit last.
#![allow(unsafe_code, reason = "geteuid has no safe way in the standard library")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Child, free_port};

/// One PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    child: Option<Child>,
    port: u16,
    folder: TempDir,
    databases: AtomicU32,
}

impl Postgres {
    /// Makes a cluster, from a template that is kept in the temporary folder, and starts it; waits until it answers. fsync and synchronous_commit stay on.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("yitang-pg-").tempdir_in(real_folder()).expect("a scratch folder");
        // PostgreSQL does not run as root: the folder is then for the user that its package made.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        copy(&template(&real_folder()), &folder.path().join("data"));
        let mut this = Self { child: None, port: free_port(), folder, databases: AtomicU32::new(0) };
        this.launch();
        this
    }

    fn launch(&mut self) {
        let data = self.folder.path().join("data");
        let _ = fs::remove_file(data.join("postmaster.pid"));
        let mut command = as_user(&program("postgres"));
        command.arg("-D").arg(&data);
        for setting in [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "max_connections=120".to_owned(),
            "fsync=on".to_owned(),
            "synchronous_commit=on".to_owned(),
            "full_page_writes=on".to_owned(),
            "restart_after_crash=on".to_owned(),
        ] {
            command.args(["-c", &setting]);
        }
        self.child = Some(Child::start(command, "postgresql"));
        let started = Instant::now();
        while !self.answers() {
            assert!(started.elapsed() < Duration::from_secs(30), "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let mut command = Command::new(program("pg_isready"));
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.status().is_ok_and(|status| status.success())
    }

    /// The first database.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Another database on the same server, empty.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn create_database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(program("createdb"));
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), &name]);
        let made = command.output().expect("createdb runs");
        assert!(made.status.success(), "createdb: {}", String::from_utf8_lossy(&made.stderr));
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").pid()
    }

    /// Where its data is.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder that its data is in; anybody may look at it, which they may not at the data.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it with all its processes (-9), as a loss of power does.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Stops it (SIGSTOP).
    pub fn stop(&self) {
        self.child.iter().for_each(|child| child.signal(libc::SIGSTOP));
    }

    /// Continues it (SIGCONT).
    pub fn cont(&self) {
        self.child.iter().for_each(|child| child.signal(libc::SIGCONT));
    }

    /// Kills it where it runs, and starts it again on the same port and data.
    pub fn restart(&mut self) {
        self.child = None;
        self.launch();
    }
}

/// An empty cluster that initdb made once for all tests of this machine, to be copied.
fn template(within: &Path) -> PathBuf {
    let initdb = program("initdb");
    let version = initdb.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let kept = within.join(format!("yitang-pg-template-{version}-{}", if is_root() { "postgres" } else { "own" }));
    if kept.join("PG_VERSION").exists() {
        return kept;
    }
    let folder = tempfile::Builder::new().prefix("yitang-pg-").tempdir_in(within).expect("a scratch folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder for the data");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("permissions");
    if is_root() {
        let owned = Command::new("chown").args(["-R", "postgres:postgres"]).arg(&data).status();
        assert!(owned.is_ok_and(|status| status.success()), "there is no user postgres: install the Debian package postgresql");
    }
    let mut command = as_user(&initdb);
    // Only what is copied from it is synced: a template that a crash has torn is no loss.
    command.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data);
    let made = command.output().expect("initdb runs: install the Debian package postgresql");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
    // Whole or not at all; where two made one at once, the first stays.
    let _ = fs::rename(&data, &kept);
    kept
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).output().expect("cp runs");
    assert!(copied.status.success(), "cp: {}", String::from_utf8_lossy(&copied.stderr));
}

/// Where a commit goes to a disk: not a tmpfs, and open to the user postgres.
fn real_folder() -> PathBuf {
    [std::env::temp_dir(), PathBuf::from("/var/tmp")]
        .into_iter()
        .find(|folder| folder.is_dir() && !is_tmpfs(folder))
        .unwrap_or_else(std::env::temp_dir)
}

fn is_tmpfs(folder: &Path) -> bool {
    let found = Command::new("stat").args(["-f", "-c", "%T"]).arg(folder).output();
    found.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "tmpfs")
}

fn is_root() -> bool {
    // SAFETY: reads the process's own user.
    unsafe { libc::geteuid() == 0 }
}

fn as_user(program: &Path) -> Command {
    if is_root() {
        // The same process stays the server's: setpriv becomes it.
        let mut command = Command::new("setpriv");
        // The kernel forgets who must not be outlived when the user changes, unless it is told again.
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// The newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin").join(name))))
        .filter(|(_, path)| path.exists())
        .collect();
    found.sort();
    found.pop().map(|(_, path)| path).unwrap_or_else(|| panic!("{name} is not there: install the Debian package postgresql"))
}
