//! A socket whose upgrade is done: what the edge hands over.

use std::{net::SocketAddr, time::Instant};

use proto::Subprotocol;

use crate::socket::Stream;

/// A socket whose upgrade is done.
#[derive(Debug)]
pub struct Accepted {
    /// The connection itself; nothing else reads or writes it any more.
    pub stream: Stream,
    /// What came behind the upgrade request already.
    pub already_read: Box<[u8]>,
    /// As agreed in the upgrade.
    pub subprotocol: Subprotocol,
    /// The Origin of the upgrade request, as sent; `None`: there was none. A ticket is bound to it.
    pub origin: Option<String>,
    /// The other end.
    pub peer: SocketAddr,
    /// When the connection was accepted: the one deadline for TLS, upgrade and sign-in counts from here.
    pub since: Instant,
}
