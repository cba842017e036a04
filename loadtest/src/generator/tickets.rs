//! Tickets, fetched over HTTP beside the sockets' thread.

use std::sync::{Arc, mpsc};

use mio::Waker;

use crate::client::http;

/// Fetched, or why not.
type Fetched = (usize, Result<String, String>);

/// At most so many requests at once.
const AT_ONCE: usize = 64;

/// A thread that fetches tickets.
pub struct Tickets {
    wanted: tokio::sync::mpsc::UnboundedSender<(usize, usize)>,
    fetched: mpsc::Receiver<Fetched>,
}

impl Tickets {
    /// Starts it; `waker` is woken when one is there.
    #[must_use]
    pub fn start(targets: Vec<String>, tokens: Vec<String>, waker: Arc<Waker>) -> Self {
        // Bounded by the number of sockets: each has at most one ticket under way.
        let (wanted, mut wants) = tokio::sync::mpsc::unbounded_channel::<(usize, usize)>();
        let (send, fetched) = mpsc::channel();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async move {
                let limit = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
                while let Some((number, target)) = wants.recv().await {
                    let Ok(permit) = limit.clone().acquire_owned().await else { return };
                    let (url, token) = (format!("http://{}", targets[target]), tokens[number].clone());
                    let (send, waker) = (send.clone(), waker.clone());
                    tokio::spawn(async move {
                        let ticket = http::ticket(&url, &token).await.map_err(|error| format!("no ticket: {error:#}"));
                        drop(permit);
                        if send.send((number, ticket)).is_ok() {
                            let _ = waker.wake();
                        }
                    });
                }
            });
        });
        Self { wanted, fetched }
    }

    /// A ticket for this socket, from this target.
    pub fn want(&self, number: usize, target: usize) {
        let _ = self.wanted.send((number, target));
    }

    /// The next one that came.
    pub fn next(&self) -> Option<Fetched> {
        self.fetched.try_recv().ok()
    }
}
