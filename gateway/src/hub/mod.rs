//! Who is connected to what: the cores that own the sockets, and what concerns all of them.

mod control;
mod core;
mod counted;
mod members;
mod news;
mod options;
mod presence;
mod wheel;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use backbone::Backbone;
use proto::Subprotocol;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use self::{core::Core, counted::Counted, members::Members, options::HubOptions, presence::Reporter};
use crate::{
    ChatCores, Fault, ResumeTokens, Upstream,
    fanout::{Command, Fanout},
    socket::Stream,
};

/// A socket whose upgrade is done: what the edge hands over.
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

/// Where the cores run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Each on a thread of its own.
    Threads,
    /// One, on the thread that starts it: for a process that has one CPU, where threads would only take turns and wake one
    /// another. That thread must be inside a `LocalSet`, with which the core ends.
    Here,
}

/// What all cores share.
pub struct Shared {
    /// This gateway's name.
    pub gateway: String,
    /// Calls to chat-core.
    pub chat_cores: ChatCores,
    /// Resume tokens.
    pub tokens: ResumeTokens,
    /// The rooms.
    pub fanout: Fanout,
    /// The settings.
    pub options: HubOptions,
    /// Sockets of this gateway.
    pub sockets: AtomicUsize,
    /// Those of them that have not signed in yet.
    pub unsigned: AtomicUsize,
    /// No new sockets.
    pub draining: AtomicBool,
}

/// The sockets of this gateway.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    cores: Vec<mpsc::Sender<Command>>,
    next: AtomicUsize,
    /// Places for sockets that wait for a busy core.
    waiting: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("sockets", &self.sockets()).finish_non_exhaustive()
    }
}

impl Hub {
    /// Starts the cores that own the sockets, the rooms and the reporters to presence.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub fn start(
        place: Place,
        name: &str,
        options: &HubOptions,
        chat_cores: ChatCores,
        presences: Vec<Upstream>,
        backbone: Arc<dyn Backbone>,
        tokens: ResumeTokens,
    ) -> Result<Self, Fault> {
        let stop = CancellationToken::new();
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let count = match place {
            Place::Here => 1,
            Place::Threads if options.cores == 0 => machine,
            Place::Threads => options.cores,
        };
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(options.core_queue.max(1))).unzip();
        let reporter = Reporter::default();
        let fanout = Fanout::start(chat_cores.clone(), backbone, reporter.clone(), options.clone(), senders.clone(), stop.clone());
        let shared = Arc::new(Shared {
            gateway: name.to_owned(),
            chat_cores,
            tokens,
            fanout: fanout.clone(),
            options: options.clone(),
            sockets: AtomicUsize::new(0),
            unsigned: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        });
        for (index, receiver) in receivers.into_iter().enumerate() {
            match place {
                Place::Threads => core::start(index as u32, shared.clone(), receiver, stop.clone())?,
                Place::Here => core::start_here(index as u32, shared.clone(), receiver, stop.clone()),
            }
        }
        for (instance, upstream) in presences.into_iter().enumerate() {
            tokio::spawn(presence::report(instance, upstream, reporter.clone(), fanout.clone(), name.to_owned(), stop.clone()));
        }
        let waiting = Arc::new(Semaphore::new(options.unsigned_most.min(Semaphore::MAX_PERMITS)));
        Ok(Self { inner: Arc::new(Inner { shared, cores: senders, next: AtomicUsize::new(0), waiting, stop }) })
    }

    /// Takes a socket over. Never blocks: it waits for a core that is busy, for as long as signing in may take, and so do
    /// as many others as may be unsigned; past that the connection is dropped.
    pub fn accept(&self, accepted: Accepted) {
        let core = self.inner.next.fetch_add(1, Ordering::Relaxed) % self.inner.cores.len();
        let dropped = || metrics::counter!("yitang_gateway_sockets_dropped_total").increment(1);
        let command = match self.inner.cores[core].try_send(Command::Accept(Box::new(accepted))) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(command)) => command,
            Err(mpsc::error::TrySendError::Closed(_)) => return dropped(),
        };
        let Ok(place) = self.inner.waiting.clone().try_acquire_owned() else { return dropped() };
        let sender = self.inner.cores[core].clone();
        let within = Duration::from_millis(self.inner.shared.options.sign_in_ms);
        tokio::spawn(async move {
            if timeout(within, sender.send(command)).await.is_err() {
                dropped();
            }
            drop(place);
        });
    }

    /// How many sockets there are.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.inner.shared.sockets.load(Ordering::Relaxed)
    }

    /// Finishes receipts in flight and closes all sockets with DRAINING, spread over the time set; returns when all are
    /// gone.
    pub async fn drain(&self) {
        let shared = &self.inner.shared;
        shared.draining.store(true, Ordering::Release);
        let over_ms = shared.options.drain_ms;
        for core in &self.inner.cores {
            let _ = core.send(Command::Drain { over_ms }).await;
        }
        let until = tokio::time::Instant::now() + Duration::from_millis(over_ms + 6_000);
        while self.sockets() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.inner.stop.cancel();
    }
}
