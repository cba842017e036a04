//! Who is connected to what.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use backbone::Backbone;
use bytes::Bytes;
use proto::Subprotocol;
use tokio::net::TcpStream;

use crate::{ChatCores, Fault, ResumeTokens, Upstream};

/// A socket whose upgrade is done: what the edge hands over.
#[derive(Debug)]
pub struct Accepted {
    /// The connection itself; nothing else reads or writes it any more.
    pub stream: TcpStream,
    /// What came behind the upgrade request already.
    pub already_read: Bytes,
    /// As agreed in the upgrade.
    pub subprotocol: Subprotocol,
    /// The Origin of the upgrade request, as sent; `None`: there was none. A ticket is bound to it.
    pub origin: Option<String>,
    /// The other end.
    pub peer: SocketAddr,
    /// When the connection was accepted: the one deadline for TLS, upgrade and sign-in counts from here.
    pub since: Instant,
}

/// The sockets of this gateway.
#[derive(Clone, Debug)]
pub struct Hub {}

impl Hub {
    /// Starts the cores that own the sockets, the rooms and the reporter to presence.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub fn start(
        _name: &str,
        _cores: ChatCores,
        _presences: Vec<Upstream>,
        _backbone: Arc<dyn Backbone>,
        _tokens: ResumeTokens,
    ) -> Result<Self, Fault> {
        Ok(Self {})
    }

    /// Takes a socket over. Never blocks.
    pub fn accept(&self, _accepted: Accepted) {}

    /// Finishes receipts in flight and closes all sockets with DRAINING, spread over the time set; returns when all are
    /// gone.
    pub async fn drain(&self) {}
}
