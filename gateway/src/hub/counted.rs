//! How many sockets there are, and how many of them have not signed in.

use std::{
    cell::Cell,
    sync::{Arc, atomic::Ordering},
};

use super::Shared;

/// Counts a socket for as long as it lives.
pub struct Counted {
    shared: Arc<Shared>,
    unsigned: Cell<bool>,
}

impl Counted {
    /// One more, not signed in yet; and how many sockets there were before it, and how many unsigned ones.
    pub fn one_more(shared: Arc<Shared>) -> (Self, usize, usize) {
        let sockets = shared.sockets.fetch_add(1, Ordering::AcqRel);
        let unsigned = shared.unsigned.fetch_add(1, Ordering::AcqRel);
        metrics::gauge!("yitang_gateway_sockets").increment(1);
        (Self { shared, unsigned: Cell::new(true) }, sockets, unsigned)
    }

    /// It has signed in, or never will.
    pub fn settled(&self) {
        if self.unsigned.replace(false) {
            self.shared.unsigned.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.settled();
        self.shared.sockets.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("yitang_gateway_sockets").decrement(1);
    }
}
