//! The listening socket of a role.

use std::net::SocketAddr;

use anyhow::Context as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted: the system cuts this down to its own limit (`net.core.somaxconn`, 4,096 on Linux). When
/// a gateway is lost its thousands come to another within a second, and a connection that finds the queue full is tried again
/// by its system only after one second, then two, then four.
const WAITING: i32 = 65_535;

/// Listens with as long a queue as the system allows.
///
/// # Errors
/// When the address cannot be listened on.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listening = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // So that a restart does not wait for closed connections in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(WAITING)?;
        TcpListener::from_std(socket.into())
    };
    listening().with_context(|| format!("listening on {address}"))
}
