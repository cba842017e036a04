//! Logs: lines for people or JSON for machines, on standard error; panics among them.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// Starts logging, once in a process.
///
/// # Errors
/// When the filter cannot be understood.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.filter).context("log.filter")?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    match settings.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    log_panics();
    Ok(())
}

/// Logs panics: one ends its task and not the process, and would go unnoticed otherwise.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic without a message");
        let backtrace = std::backtrace::Backtrace::force_capture();
        metrics::counter!("yitang_process_panics_total").increment(1);
        tracing::error!(location, message, %backtrace, "panicked");
    }));
}
