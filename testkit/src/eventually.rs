//! Waiting for a thing rather than for a time.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Tries again and again until there is something.
///
/// # Panics
/// When there is nothing within the time, naming `what` was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(within: Duration, what: &str, mut attempt: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
