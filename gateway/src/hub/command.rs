//! What the hub has a core do. What rooms have it write comes by a queue of its own.

use crate::session::Accepted;

/// A command to a core.
pub enum Command {
    /// Take a new socket.
    Accept(Box<Accepted>),
    /// Close all sockets, spread over this time.
    Drain {
        /// Milliseconds.
        over_ms: u64,
    },
}
