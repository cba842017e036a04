//! The connection under a socket: TCP as it is, or TLS over it. Nothing above this file knows which.

use std::{
    cell::RefCell,
    io::{self, Read, Write},
    os::fd::{AsRawFd as _, RawFd},
};

use rustix::net::SendFlags;
use rustls::ServerConnection;
use tokio::{io::Interest, net::TcpStream};

/// Plaintext that rustls takes before it is asked to write, bytes: with it, and no more, waits in cipher text.
const TLS_BUFFER: usize = 64 * 1024;

/// A connection as the edge hands it over.
pub enum Stream {
    /// TCP as it is.
    Plain(TcpStream),
    /// TLS, past its handshake.
    Tls(TcpStream, Box<ServerConnection>),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Tls(..) => "Tls",
        })
    }
}

/// What is set on a connection in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct WireOptions {
    /// What may wait in the kernel before the connection counts as full, bytes.
    pub unsent_bytes: u32,
    /// The longest that what was sent may go unacknowledged before the connection counts as dead, ms.
    pub dead_after_ms: u32,
}

/// A connection. All calls take `&self`: the loop that broadcasts and the task that reads share it on one core.
#[derive(Debug)]
pub struct Wire {
    tcp: TcpStream,
    tls: Option<RefCell<Box<ServerConnection>>>,
}

impl Wire {
    /// Over TCP or TLS; small frames go at once, and no more than `unsent_bytes` wait in the kernel, so that a socket that
    /// cannot keep up is noticed here.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(stream: Stream, options: WireOptions) -> io::Result<Self> {
        let (tcp, tls) = match stream {
            Stream::Plain(tcp) => (tcp, None),
            Stream::Tls(tcp, mut connection) => {
                connection.set_buffer_limit(Some(TLS_BUFFER));
                (tcp, Some(RefCell::new(connection)))
            }
        };
        // Into this core's runtime.
        let tcp = tcp.into_std()?;
        tcp.set_nonblocking(true)?;
        tcp.set_nodelay(true)?;
        let socket = socket2::SockRef::from(&tcp);
        socket.set_tcp_user_timeout(Some(std::time::Duration::from_millis(options.dead_after_ms.into())))?;
        socket.set_tcp_notsent_lowat(options.unsent_bytes)?;
        Ok(Self { tcp: TcpStream::from_std(tcp)?, tls })
    }

    /// The connection's descriptor.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.tcp.as_raw_fd()
    }

    /// Reads what is there.
    ///
    /// # Errors
    /// `WouldBlock`: nothing is; what the system or TLS says.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            let read = self.tcp.try_read(buffer);
            if read.as_ref().is_ok_and(|length| (1..buffer.len()).contains(length)) {
                // There is no more for now. The kernel reports what comes next, and need not be asked to learn that.
                let _ = self.tcp.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
            return read;
        };
        let mut tls = tls.borrow_mut();
        loop {
            // What was decrypted before comes first: the kernel does not report it again.
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Cut without a word: no message can have been made shorter by that, they have their length before them.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            tls.read_tls(&mut Tcp(&self.tcp))?;
            let processed = tls.process_new_packets();
            // Answers of TLS itself: key updates, alerts. What does not go now goes with what is written next.
            let _ = flush(&mut tls, &self.tcp);
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    /// Writes what is taken. With TLS, what was taken may still wait here: see [`Wire::unsent`].
    ///
    /// # Errors
    /// `WouldBlock`: nothing is; what the system says.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            // Straight to the kernel: what tokio remembers of the socket lies elsewhere in memory, and need only be looked at
            // where nothing is taken, so that it knows to wait.
            return match rustix::net::send(&self.tcp, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::WOULDBLOCK) => self.tcp.try_write(bytes),
                sent => Ok(sent?),
            };
        };
        let mut tls = tls.borrow_mut();
        // Nothing is encrypted while cipher text waits: it could not be dropped again when the socket proves too slow.
        if !flush(&mut tls, &self.tcp)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = tls.writer().write(bytes)?;
        flush(&mut tls, &self.tcp)?;
        Ok(taken)
    }

    /// Whether something that was taken has not gone to the kernel yet.
    #[must_use]
    pub fn unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.borrow().wants_write())
    }

    /// Writes what was taken, as far as the kernel takes it.
    ///
    /// # Errors
    /// What the system says.
    pub fn flush(&self) -> io::Result<()> {
        self.tls.as_ref().map_or(Ok(()), |tls| flush(&mut tls.borrow_mut(), &self.tcp).map(drop))
    }

    /// Waits until something can be read, or the other end is gone.
    ///
    /// # Errors
    /// What the system says.
    pub async fn readable(&self) -> io::Result<()> {
        self.tcp.readable().await
    }

    /// Waits until something can be written.
    ///
    /// # Errors
    /// What the system says.
    pub async fn writable(&self) -> io::Result<()> {
        self.tcp.writable().await
    }

    /// Shuts down the writing side.
    pub fn shut_down_writing(&self) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.borrow_mut();
            tls.send_close_notify();
            let _ = flush(&mut tls, &self.tcp);
        }
        let _ = socket2::SockRef::from(&self.tcp).shutdown(std::net::Shutdown::Write);
    }
}

/// Writes cipher text; `false`: the kernel does not take all of it now.
fn flush(tls: &mut ServerConnection, tcp: &TcpStream) -> io::Result<bool> {
    while tls.wants_write() {
        match tls.write_tls(&mut Tcp(tcp)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A TCP stream as rustls wants to see it.
struct Tcp<'a>(&'a TcpStream);

impl Read for Tcp<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Tcp<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
