//! A load test beside which something dies.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// The load beside a fault.
#[derive(Clone, Debug)]
pub struct Load {
    /// The load generator.
    pub executable: PathBuf,
    /// Where files go.
    pub folder: PathBuf,
    /// Number of viewers.
    pub viewers: usize,
    /// Posts a second, evenly.
    pub posts_per_s: f64,
    /// Time of load before the fault.
    pub before: Duration,
    /// Time of load after the fault ended.
    pub after: Duration,
    /// Duration of a fault that stops a server (SIGSTOP).
    pub stopped: Duration,
}

/// The part of the load generator's report that is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "named as the generator's report names them")]
pub struct Report {
    pub posts_per_s: f64,
    pub acknowledged: u64,
    pub unacknowledged: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub out_of_order: u64,
    pub unacknowledged_seen: u64,
    #[serde(default)]
    pub detail: Vec<[i64; 3]>,
}

impl Load {
    /// Runs the load against these gateways for `before`, `lasting` and `after`, and `fault` beside it, which returns when it began
    /// and ended (milliseconds since 1970).
    ///
    /// # Errors
    /// When either fails.
    pub fn beside(
        &self,
        name: &str,
        targets: &[String],
        lasting: Duration,
        fault: impl FnOnce() -> anyhow::Result<(i64, i64)>,
    ) -> anyhow::Result<(Report, (i64, i64))> {
        let json = self.folder.join(format!("{name}.json"));
        let _ = fs::remove_file(&json);
        let seconds = (self.before + lasting + self.after).as_secs().max(1);
        let mut command = Command::new(&self.executable);
        command.args(["consultation", "--quiet", "--detail", "--target", &targets.join(",")]);
        command.arg("--sessions").arg(self.folder.join("sessions.json")).arg("--json").arg(&json);
        command.args(["--viewers", &self.viewers.to_string(), "--posts-per-s", &self.posts_per_s.to_string()]);
        command.args(["--seconds", &seconds.to_string(), "--post-deadline-s", "60", "--settle-s", "20"]);
        let log = fs::File::create(self.folder.join(format!("{name}.loadtest.log")))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut running = command.spawn().with_context(|| format!("{}: build it first", self.executable.display()))?;
        // The viewers connect first; the report gives the times of the posts, so the fault need only fall among them.
        std::thread::sleep(self.before + Duration::from_secs(1));
        let happened = fault();
        let give_up = Instant::now() + Duration::from_secs(seconds + 120);
        let status = loop {
            if let Some(status) = running.try_wait()? {
                break status;
            }
            if Instant::now() > give_up {
                let _ = running.kill();
                let _ = running.wait();
                bail!("the load test did not end");
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let happened = happened?;
        ensure!(status.success(), "the load test failed; see {name}.loadtest.log in {}", self.folder.display());
        let report: Report = serde_json::from_str(&fs::read_to_string(&json)?)?;
        Ok((report, happened))
    }
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "measures by the machine's own time, not by a service's")]
pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
