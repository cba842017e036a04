//! The connection under a socket: plain TCP; whoever adds TLS adds a case here and nothing elsewhere changes.

use std::io;

use tokio::net::TcpStream;

/// A connection. All calls take `&self`: the loop that broadcasts and the task that reads share it on one core.
#[derive(Debug)]
pub enum Wire {
    /// TCP as it is.
    Plain(TcpStream),
}

impl Wire {
    /// Over TCP; small frames go at once, and no more than `unsent_bytes` wait in the kernel, so that a socket that cannot
    /// keep up is noticed here.
    ///
    /// # Errors
    /// What the system says.
    pub fn plain(stream: std::net::TcpStream, unsent_bytes: u32, dead_after_ms: u32) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let socket = socket2::SockRef::from(&stream);
        socket.set_tcp_user_timeout(Some(std::time::Duration::from_millis(dead_after_ms.into())))?;
        socket.set_tcp_notsent_lowat(unsent_bytes)?;
        Ok(Self::Plain(TcpStream::from_std(stream)?))
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is; what the system says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_read(buffer),
        }
    }

    /// Writes what is taken.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is; what the system says.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(bytes),
        }
    }

    /// Waits until something can be read, or the other end is gone.
    ///
    /// # Errors
    /// What the system says.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.readable().await,
        }
    }

    /// Waits until something can be written.
    ///
    /// # Errors
    /// What the system says.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.writable().await,
        }
    }

    /// Says that nothing more comes from here.
    pub fn shut_down_writing(&self) {
        match self {
            Self::Plain(stream) => {
                let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
            }
        }
    }
}
