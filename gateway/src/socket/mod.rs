//! One socket: tungstenite reads, we own the write side. Whoever has a frame writes it straight to the connection; only
//! what the connection does not take waits in the outbox, and only then the socket's own task is woken.

mod dialect;
mod frame;
mod inbound;
mod outbox;
mod wire;

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::RawFd,
    time::Duration,
};

use proto::CloseCode;
use tokio::{sync::Notify, task::yield_now, time::timeout};

pub use dialect::{Dialect, PerDialect};
pub use frame::{Frame, FramePair, Opcode};
pub use inbound::{Inbound, Received};
pub use outbox::{Outbox, Slow, StateKey};
pub use wire::{Stream, Wire, WireOptions};

/// How long the other end may take to answer a Close.
const CLOSE_ANSWER: Duration = Duration::from_secs(1);
/// How long it may take to read the rest of a begun frame and the Close: who was too slow for the log is slow for these too.
const LAST_FRAMES: Duration = Duration::from_secs(5);
/// Read at once from one socket, bytes; the buffer is the core's and lent to one socket after the other.
pub const READ_BYTES: usize = 16 * 1024;

/// Reads of one socket after which the others have their turn: whoever never stops sending is always readable.
const READS_IN_A_TURN: u8 = 4;

/// A socket, shared on its core by the task that reads it and the loop that broadcasts.
#[derive(Debug)]
pub struct Socket {
    wire: Wire,
    outbox: RefCell<Outbox>,
    most_bytes: usize,
    wake: Notify,
    closing: Cell<Option<CloseCode>>,
    /// Set by each frame that goes out, cleared by each check for the heartbeat.
    active: Cell<bool>,
    /// Reads since the others last had their turn.
    reads: Cell<u8>,
}

/// What ended a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// We closed it.
    Closed(CloseCode),
    /// The client closed it, and is to be answered with this frame.
    ByClient(Frame),
    /// The connection broke.
    Broken,
}

impl Socket {
    /// A socket over this connection; at most `most_bytes` bytes wait for it.
    #[must_use]
    pub fn new(wire: Wire, most_bytes: usize) -> Self {
        Self {
            wire,
            outbox: RefCell::default(),
            most_bytes,
            wake: Notify::new(),
            closing: Cell::new(None),
            active: Cell::new(false),
            reads: Cell::new(0),
        }
    }

    /// The connection's descriptor: no other connection of the process has it as long as this one lives.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.wire.descriptor()
    }

    /// Sends a frame of the log: written at once where the connection takes it. `false`: not all of it was taken.
    pub fn send(&self, frame: &Frame) -> bool {
        if self.closing.get().is_some() {
            return true;
        }
        self.active.set(true);
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            match self.wire.try_write(frame.bytes()) {
                Ok(written) if written == frame.len() => {
                    if !self.wire.unsent() {
                        return true;
                    }
                }
                Ok(written) => outbox.begin(frame.bytes().slice(written..)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let _ = outbox.push(frame.clone(), usize::MAX);
                }
                // The reading side gets the error too, and ends the socket.
                Err(_) => return true,
            }
        } else if outbox.push(frame.clone(), self.most_bytes) == Err(Slow) {
            drop(outbox);
            metrics::counter!("yitang_gateway_slow_sockets_total").increment(1);
            self.close(CloseCode::Slow);
            return false;
        }
        self.wake.notify_one();
        false
    }

    /// Sends a state: the latest of its key is enough.
    pub fn send_state(&self, key: StateKey, frame: &Frame) {
        if self.closing.get().is_some() {
            return;
        }
        if self.outbox.borrow().is_empty() {
            self.send(frame);
            return;
        }
        self.outbox.borrow_mut().replace_state(key, frame.clone());
        self.wake.notify_one();
    }

    /// Closes it: the rest of a begun frame and a Close go out, the rest is dropped. The socket's own task does it.
    pub fn close(&self, code: CloseCode) {
        if self.closing.get().is_none() {
            self.closing.set(Some(code));
            self.wake.notify_one();
        }
    }

    /// The code it is being closed with.
    #[must_use]
    pub fn closing(&self) -> Option<CloseCode> {
        self.closing.get()
    }

    /// Wakes the socket's own task.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Whether anything went out since this was last asked.
    pub fn take_active(&self) -> bool {
        self.active.replace(false)
    }

    /// Bytes that wait for it.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.outbox.borrow().bytes()
    }

    /// Waits until there is something to read or the task was woken, writing meanwhile what waits. Cancel-safe.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn ready(&self) -> io::Result<Ready> {
        if self.reads.get() >= READS_IN_A_TURN {
            self.reads.set(0);
            yield_now().await;
        }
        loop {
            if self.closing.get().is_some() {
                return Ok(Ready::Woken);
            }
            let unsent = self.has_unsent();
            tokio::select! {
                biased;
                () = self.wake.notified() => {
                    self.flush()?;
                    return Ok(Ready::Woken);
                }
                readable = self.wire.readable() => {
                    readable?;
                    return Ok(Ready::Readable);
                }
                writable = self.wire.writable(), if unsent => {
                    writable?;
                    self.flush()?;
                }
            }
        }
    }

    /// Reads what is there into `scratch`, and takes messages out of it. `false`: the other end is gone.
    pub fn read(&self, inbound: &mut Inbound, scratch: &mut [u8], received: &mut Vec<Received>) -> bool {
        self.reads.set(self.reads.get().saturating_add(1));
        match self.wire.try_read(scratch) {
            Ok(0) => false,
            Ok(length) => {
                inbound.push(&scratch[..length], received);
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }

    /// Sends a pong, ahead of the log.
    pub fn send_pong(&self, frame: Frame) {
        if self.outbox.borrow().is_empty() {
            self.send(&frame);
            return;
        }
        self.outbox.borrow_mut().replace_control(frame);
        self.wake.notify_one();
    }

    /// Whether something waits for the connection to take it.
    fn has_unsent(&self) -> bool {
        !self.outbox.borrow().is_empty() || self.wire.unsent()
    }

    /// Writes what waits, as far as it is taken.
    fn flush(&self) -> io::Result<()> {
        self.wire.flush()?;
        let mut outbox = self.outbox.borrow_mut();
        while let Some(next) = outbox.front() {
            match self.wire.try_write(next) {
                Ok(written) => outbox.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends it: sends `close` after the rest of a begun frame, shuts down the writing side, and reads on for up to a second
    /// (with unread bytes in its buffer, the system would reset the connection and the Close would be lost).
    pub async fn finish(&self, close: Frame, scratch: &RefCell<Vec<u8>>) {
        self.outbox.borrow_mut().end_with(close);
        let last_frames = async {
            loop {
                self.flush()?;
                if !self.has_unsent() {
                    return Ok(());
                }
                self.wire.writable().await?;
            }
        };
        let written: Result<io::Result<()>, _> = timeout(LAST_FRAMES, last_frames).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
        self.wire.shut_down_writing();
        let answer = async {
            loop {
                self.wire.readable().await?;
                match self.wire.try_read(&mut scratch.borrow_mut()) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        };
        let _: Result<io::Result<()>, _> = timeout(CLOSE_ANSWER, answer).await;
    }
}

/// Why [`Socket::ready`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// There is something to read.
    Readable,
    /// Somebody woke the task.
    Woken,
}
