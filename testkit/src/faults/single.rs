//! `yitang all` killed and started again under load.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    Outcome,
    load::{Load, now_ms},
};
use crate::{
    Storage, free_port,
    topology::{Endpoint, RolePlan, RoleProcess},
};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// The whole service in one process, with the demonstration.
#[derive(Debug)]
pub struct Single {
    process: RoleProcess,
    executable: PathBuf,
    data: PathBuf,
}

impl Single {
    /// Starts it with new data in `folder`, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(executable: &Path, folder: &Path) -> anyhow::Result<Self> {
        let data = folder.join("data");
        let _ = fs::remove_dir_all(&data);
        fs::create_dir_all(&data)?;
        let (address, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let endpoint = Endpoint { name: "all".to_owned(), address: address.clone(), listen: address.clone(), admin: admin.clone() };
        let data_text = data.to_str().context("the folder must be UTF-8")?.to_owned();
        let arguments = ["all", "--demo", "--listen", &address, "--admin", &admin, "--data", &data_text].map(str::to_owned).to_vec();
        let plan = RolePlan { endpoint, arguments, settings: Vec::new() };
        let mut process = RoleProcess::start(executable, plan, folder)?;
        process.wait_ready(READY_WITHIN)?;
        Ok(Self { process, executable: executable.to_owned(), data })
    }

    /// Its address, as clients take it.
    #[must_use]
    pub fn target(&self) -> String {
        self.process.plan().endpoint.uri()
    }

    /// Where its database is.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Opens sessions of demo members.
    ///
    /// # Errors
    /// When that fails.
    pub fn mint_sessions(&self, count: usize, out: &Path) -> anyhow::Result<()> {
        let (count, out) = (count.to_string(), out.to_str().context("the path must be UTF-8")?);
        let data = self.data.to_str().context("the folder must be UTF-8")?;
        crate::topology::run(&self.executable, &["sessions", "mint", "--count", &count, "--out", out, "--data", data], &[])
    }

    /// kill -9 under load, and started again.
    ///
    /// # Errors
    /// When the load test cannot be run, or it does not come back.
    pub fn kill_and_restart(&mut self, load: &Load) -> anyhow::Result<Outcome> {
        let targets = vec![self.target()];
        let process = &mut self.process;
        let storage = Storage::from_sqlite(&self.data)?;
        let (report, happened) = load.beside("kill-all", &targets, Duration::from_secs(3), || {
            let began_ms = now_ms();
            process.kill();
            process.launch()?;
            process.wait_ready(READY_WITHIN)?;
            Ok((began_ms, now_ms()))
        })?;
        Ok(Outcome::from_report("kill -9 and restart of all", "yitang all on SQLite", storage, &report, happened))
    }
}
