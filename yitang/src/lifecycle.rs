//! Stopping a process: by signal, in order, within bounded time.

use std::{future::Future, time::Duration};

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT. `part` runs meanwhile and must not end.
///
/// # Errors
/// When `part` ended, or failed.
pub async fn until_signalled(part: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::select! {
        ended = part => {
            ended?;
            bail!("a part of this process ended by itself");
        }
        _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
        _ = interrupt.recv() => tracing::info!(signal = "SIGINT", "stopping"),
    }
    Ok(())
}

/// Stops in order, within bounded time; a second signal ends at once.
pub async fn stop_within(within: Duration, stopping: impl Future<Output = ()>) {
    let second = async {
        // Without signals the wait is bounded by `within` alone.
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(mut terminate), Ok(mut interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stopping => tracing::info!("stopped"),
        () = second => tracing::warn!("a second signal: ending at once"),
        () = tokio::time::sleep(within) => tracing::error!(within_s = within.as_secs(), "stopping took too long: ending at once"),
    }
}
