//! What all scenarios have in common: the executables, the cores and the folder, and how a generator is run.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::{
    command::text,
    parts,
    stage::{Stage, Wanted},
};

/// What all have in common.
pub struct Bench {
    /// Where results go.
    pub folder: PathBuf,
    /// The executable.
    pub yitang: PathBuf,
    /// The load generator.
    pub loadtest: PathBuf,
    /// The core of the server's processes.
    pub servers: String,
    /// The core of the generators.
    pub generators: String,
    /// Minutes of `soak`.
    pub minutes: f64,
}

impl Bench {
    /// Roles on PostgreSQL with this number of gateways, all on the servers' core.
    #[must_use]
    pub fn wanted(&self, scenario: &str, gateways: usize) -> Wanted<'_> {
        Wanted {
            folder: self.folder.join("stages").join(scenario),
            yitang: &self.yitang,
            cpus: &self.servers,
            role_cpus: None,
            gateway_cpus: None,
            gateways: Some(gateways),
            sqlite: false,
            within: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// The same with PostgreSQL and Redis on the generators' core, for scenarios whose figure is what the servers take.
    pub fn beside_the_database(&self, scenario: &str) -> Wanted<'_> {
        Wanted { cpus: &self.generators, role_cpus: Some(&self.servers), ..self.wanted(scenario, 1) }
    }

    /// Everything on both cores.
    pub fn both_cores(&self) -> String {
        format!("{},{}", self.servers, self.generators)
    }

    /// Runs `loadtest SCENARIO` on the generators' core against a stage, as a part of the results.
    ///
    /// # Errors
    /// When it fails.
    pub fn load(&self, stage: &Stage, scenario: &str, part: &str, sessions: usize, arguments: &[&str]) -> anyhow::Result<Value> {
        self.load_on(&self.generators, stage, scenario, part, sessions, arguments)
    }

    /// The same on these cores, as for taskset.
    ///
    /// # Errors
    /// When it fails.
    pub fn load_on(
        &self,
        cpus: &str,
        stage: &Stage,
        scenario: &str,
        part: &str,
        sessions: usize,
        arguments: &[&str],
    ) -> anyhow::Result<Value> {
        let file = self.folder.join("stages").join(format!("{part}-sessions.json"));
        stage.mint(sessions, &file)?;
        let mut more: Vec<String> =
            ["--target", &stage.targets(), "--sessions", &text(&file)?, "--server-pids", &stage.pids()].map(str::to_owned).to_vec();
        if let Some(consultation) = &stage.consultation {
            more.extend(["--consultation".to_owned(), consultation.clone()]);
        }
        if scenario != "consultation" {
            more.extend(["--server-cpus", &self.servers, "--generator-cpus", cpus].map(str::to_owned));
        }
        more.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut figures = self.run(cpus, scenario, part, &more, &stage.key)?;
        for (name, value) in stage.stored()? {
            figures[name] = value.into();
        }
        std::fs::write(parts::file(&self.folder, part, "json"), serde_json::to_string_pretty(&figures)?)?;
        if let Some(statements) = stage.statements() {
            std::fs::write(parts::file(&self.folder, part, "statements.txt"), statements)?;
        }
        Ok(figures)
    }

    /// Runs `loadtest SCENARIO` on these cores, against whatever its arguments name. `key`: the roles' key.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, cpus: &str, scenario: &str, part: &str, arguments: &[String], key: &str) -> anyhow::Result<Value> {
        let (json, html) = (parts::file(&self.folder, part, "json"), parts::file(&self.folder, part, "html"));
        let _ = std::fs::remove_file(&json);
        let mut command = Command::new("taskset");
        command.arg("-c").arg(cpus).arg(&self.loadtest).arg(scenario).args(arguments);
        command.arg("--json").arg(&json).arg("--html").arg(&html);
        let status = command.env("YITANG_KEY", key).status().context("running loadtest")?;
        ensure!(status.success(), "loadtest {scenario} ({part}) failed");
        parts::read(&self.folder, part)
    }

    /// Makes one result of several parts.
    ///
    /// # Errors
    /// When a part is not there.
    pub fn combine(&self, scenario: &str, first: Option<&str>, named: &[(&str, &str)]) -> anyhow::Result<()> {
        parts::combine(&self.folder, scenario, first, named).map(|_| ())
    }
}
