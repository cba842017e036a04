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
        // An attempt that hangs does not hang the test.
        let left = within.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Some(found)) => return found,
            Ok(None) => assert!(started.elapsed() < within, "not within {within:?}: {what}"),
            Err(_) => panic!("not within {within:?}: {what} (an attempt still hung)"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
