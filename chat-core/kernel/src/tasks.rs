//! Tasks that must live as long as the process.

use std::{future::Future, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns background tasks, and knows when one of them has died. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    dead: Arc<parking_lot::Mutex<Option<&'static str>>>,
    died: CancellationToken,
}

impl Tasks {
    /// None yet. `stop`: when they are to end.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), stop, dead: Arc::default(), died: CancellationToken::new() }
    }

    /// Starts a task that ends at `stop` (which it is handed) and not before: if it panics or ends earlier, [`Tasks::died`] says so.
    pub fn spawn<F>(&self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = tokio::spawn(run(self.stop.clone()));
        let this = self.clone();
        self.tracker.spawn(async move {
            let ended = running.await;
            if ended.is_ok() && this.stop.is_cancelled() {
                return;
            }
            metrics::counter!("yitang_chat_core_tasks_died_total", "task" => name).increment(1);
            tracing::error!(task = name, error = ended.err().map(tracing::field::display), "a task that must live has died");
            this.dead.lock().get_or_insert(name);
            this.died.cancel();
        });
    }

    /// Waits until one of them has died; gives its name.
    pub async fn died(&self) -> &'static str {
        self.died.cancelled().await;
        self.find_dead().unwrap_or_default()
    }

    /// The first that died; `None`: all are alive.
    #[must_use]
    pub fn find_dead(&self) -> Option<&'static str> {
        *self.dead.lock()
    }

    /// Stops them and waits for their end, `within` at most; `false`: some did not end in time.
    pub async fn shutdown(&self, within: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(within, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_or_ends_early_is_named() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("the living", |stop| async move { stop.cancelled().await });
        assert_eq!(tasks.find_dead(), None);
        tasks.spawn("the lost", |_| async { panic!("a fault planted by the test") });
        assert_eq!(tasks.died().await, "the lost");
        tasks.spawn("the early", |_| async {});
        assert!(tasks.shutdown(Duration::from_secs(5)).await);
        assert_eq!(tasks.find_dead(), Some("the lost"), "the first");
    }

    #[tokio::test]
    async fn at_stop_they_end_and_none_has_died() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("the living", |stop| async move { stop.cancelled().await });
        assert!(tasks.shutdown(Duration::from_secs(5)).await);
        assert_eq!(tasks.find_dead(), None);
    }
}
