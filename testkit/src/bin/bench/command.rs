//! What commands are run with: cores, and paths as arguments.

use std::{path::Path, process::Command};

use anyhow::Context as _;

/// Pins this thread, and so all that it starts from now on, to these cores, as for taskset.
///
/// # Errors
/// When taskset is not installed, or there are no such cores.
pub fn pin(cpus: &str) -> anyhow::Result<()> {
    taskset(&["-p", "-c", cpus, &std::process::id().to_string()])
}

fn taskset(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("taskset").args(arguments).output().context("running taskset (package util-linux)")?;
    anyhow::ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// A path as an argument.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not UTF-8", path.display()))
}
