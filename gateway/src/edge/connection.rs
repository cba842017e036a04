//! The connection that a request came on.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

/// The connection that a request came on.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    accepted: Instant,
    requests: Arc<AtomicU8>,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr) -> Self {
        Self { peer, accepted: Instant::now(), requests: Arc::default() }
    }

    pub(super) fn count_request(&self) {
        let _ = self.requests.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |requests| requests.checked_add(1));
    }

    pub(super) fn requests(&self) -> u8 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(super) fn accepted(&self) -> Instant {
        self.accepted
    }

    /// When the deadline of a handshake began: with the connection, unless it served other requests before.
    pub(super) fn since(&self) -> Instant {
        if self.requests() <= 1 { self.accepted } else { Instant::now() }
    }
}
