//! One role's process, which can be killed and started again as it was.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::RolePlan;
use crate::Child;

/// A role that runs.
#[derive(Debug)]
pub struct RoleProcess {
    plan: RolePlan,
    executable: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl RoleProcess {
    /// Starts it; its log lines are appended to `NAME.log` in `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(executable: &Path, plan: RolePlan, folder: &Path) -> anyhow::Result<Self> {
        let log = folder.join(format!("{}.log", plan.endpoint.name));
        let mut this = Self { plan, executable: executable.to_owned(), log, child: None };
        this.launch()?;
        Ok(this)
    }

    /// Starts it, where it does not run.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.log).with_context(|| self.log.display().to_string())?;
        let mut command = Command::new(&self.executable);
        command.args(&self.plan.arguments).envs(self.plan.settings.iter().cloned());
        self.child = Some(Child::start_logged(command, "(none: cargo build)", log));
        Ok(())
    }

    /// What it was started with.
    #[must_use]
    pub fn plan(&self) -> &RolePlan {
        &self.plan
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Kills it (-9).
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// Asks it to stop (SIGTERM), and waits.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.end(libc::SIGTERM);
        }
    }

    /// Waits until its admin port says that it is ready.
    ///
    /// # Errors
    /// When it ended, or is not ready in time.
    pub fn wait_ready(&mut self, within: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while !is_ready(&self.plan.endpoint.admin) {
            if !self.child.as_mut().is_some_and(Child::runs) {
                bail!("{} ended; its log is {}", self.plan.endpoint.name, self.log.display());
            }
            if started.elapsed() > within {
                bail!("{} is not ready after {within:?}; its log is {}", self.plan.endpoint.name, self.log.display());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Whether the admin port at this address says ready.
#[must_use]
pub fn is_ready(admin: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
