//! The durability settings that receipts depend on, as the database and the file system report them.

use std::{path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use crate::Postgres;

/// Recorded beside every figure that claims that nothing was lost.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Storage {
    /// `PostgreSQL` or `SQLite`.
    pub database: &'static str,
    /// PostgreSQL's `fsync`; for SQLite `on`.
    pub fsync: String,
    /// PostgreSQL's `synchronous_commit`; SQLite's `synchronous`, with its journal mode.
    pub synchronous_commit: String,
    /// The file system under it.
    pub file_system: String,
}

impl Storage {
    /// Asks the server.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn from_postgres(postgres: &Postgres) -> anyhow::Result<Self> {
        let show = |name: &str| -> anyhow::Result<String> {
            let output = Command::new("psql").args(["-XAtc", &format!("SHOW {name}"), &postgres.url()]).output().context("running psql")?;
            ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Ok(Self {
            database: "PostgreSQL",
            fsync: show("fsync")?,
            synchronous_commit: show("synchronous_commit")?,
            file_system: file_system(postgres.folder())?,
        })
    }

    /// The executable sets SQLite's journal to WAL and synchronous to FULL itself; `yitang doctor` shows it.
    ///
    /// # Errors
    /// When the file system cannot be told.
    pub fn from_sqlite(data: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            database: "SQLite",
            fsync: "on".to_owned(),
            synchronous_commit: "FULL (WAL)".to_owned(),
            file_system: file_system(data)?,
        })
    }
}

fn file_system(path: &Path) -> anyhow::Result<String> {
    let output = Command::new("stat").args(["-f", "-c", "%T"]).arg(path).output().context("running stat")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
