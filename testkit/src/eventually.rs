//! Polling until a condition holds.

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Calls `attempt` every 10 ms until it returns something.
///
/// # Panics
/// When it returns nothing `within` the time; the message names `what` was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(within: Duration, what: &str, mut attempt: impl FnMut() -> F) -> T {
    let started = Instant::now();
    loop {
        // Bounded too: an attempt that hangs must not hang the test.
        let left = within.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Some(found)) => return found,
            Ok(None) => assert!(started.elapsed() < within, "not within {within:?}: {what}"),
            Err(_) => panic!("not within {within:?}: {what} (an attempt still hung)"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
