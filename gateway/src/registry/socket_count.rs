//! How many sockets there are, and how many of them have not signed in.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
};

use super::shared::Shared;

/// Counts a socket for as long as its connection is held.
pub struct SocketCount {
    shared: Arc<Shared>,
    unsigned: Cell<bool>,
}

impl SocketCount {
    /// Counts one more, not signed in yet. Also gives how many sockets there were before it, and how many unsigned ones.
    pub fn add(shared: Arc<Shared>) -> (Self, usize, usize) {
        let sockets = shared.sockets.fetch_add(1, Ordering::AcqRel);
        let unsigned = shared.unsigned.fetch_add(1, Ordering::AcqRel);
        metrics::gauge!("yitang_gateway_sockets").increment(1);
        (Self { shared, unsigned: Cell::new(true) }, sockets, unsigned)
    }

    /// Counts it among the unsigned no more: it has signed in, or never will.
    pub fn release_unsigned(&self) {
        if self.unsigned.replace(false) {
            self.shared.unsigned.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for SocketCount {
    fn drop(&mut self) {
        self.release_unsigned();
        self.shared.sockets.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("yitang_gateway_sockets").decrement(1);
    }
}
