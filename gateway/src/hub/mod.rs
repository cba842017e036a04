//! The sockets of a gateway: the cores that own them, and what concerns all of them.

mod changes;
mod command;
mod control;
mod core_loop;
mod heartbeat;
mod rooms;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use backbone::Backbone;
use clock::Clock;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub use self::command::Command;
use self::core_loop::Queues;
pub use crate::registry::HubOptions;
use crate::{
    fanout::Fanout,
    fault::Fault,
    registry::Shared,
    session::Accepted,
    tokens::ResumeTokens,
    upstream::{ChatCores, PresenceInstance, PresenceReporter, Upstream, report_presence},
};

/// How often it is checked how many sockets are left, while draining.
const DRAIN_TICK: Duration = Duration::from_millis(20);
/// How long closing a socket may take once it has begun: writing the last frames, and the answer to the Close; ms.
const CLOSE_MS: u64 = 6_000;

/// Where the cores run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Each on a thread of its own.
    OwnThreads,
    /// One, on the thread that starts it: for a process that has one CPU, where threads would only take turns and wake one
    /// another. That thread must be inside a `LocalSet`, with which the core ends.
    ThisThread,
}

/// What a hub works with.
pub struct HubParts {
    /// This gateway's name.
    pub name: String,
    /// Where the cores run.
    pub placement: Placement,
    /// The settings of the registry and its sockets.
    pub options: HubOptions,
    /// The calendar's time.
    pub clock: Clock,
    /// Calls to chat-core.
    pub chat_cores: ChatCores,
    /// Presence instances.
    pub presences: Vec<Upstream>,
    /// Carries hints.
    pub backbone: Arc<dyn Backbone>,
    /// Resume tokens.
    pub tokens: ResumeTokens,
}

/// The sockets of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    cores: Vec<mpsc::Sender<Command>>,
    next: AtomicUsize,
    /// Permits of sockets that wait for a busy core.
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
        f.debug_struct("Hub").field("sockets", &self.count_sockets()).finish_non_exhaustive()
    }
}

impl Hub {
    /// Starts the cores that own the sockets, the rooms and the streams to presence.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub fn start(parts: HubParts) -> Result<Self, Fault> {
        let HubParts { name, placement, options, clock, chat_cores, presences, backbone, tokens } = parts;
        let stop = CancellationToken::new();
        let machine = std::thread::available_parallelism().map_or(1, usize::from);
        let count = match placement {
            Placement::ThisThread => 1,
            Placement::OwnThreads if options.cores == 0 => machine,
            Placement::OwnThreads => options.cores,
        };
        let queue = options.core_queue.max(1);
        let (commands, command_queues): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(queue)).unzip();
        let (messages, message_queues): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::channel(queue)).unzip();
        let reporter = PresenceReporter::default();
        let fanout = Fanout::start(chat_cores.clone(), backbone, reporter.clone(), options.to_room_options(), messages, stop.clone());
        for (number, upstream) in presences.into_iter().enumerate() {
            let (gateway, gateways, queue) = (name.clone(), options.gateways, options.presence_queue);
            let instance = PresenceInstance { number, upstream, gateway, gateways, queue };
            let fanout = fanout.clone();
            let apply = move |update| fanout.apply_presence(number, update);
            tokio::spawn(report_presence(instance, reporter.clone(), stop.clone(), apply));
        }
        let waiting = Arc::new(Semaphore::new(options.unsigned_most.min(Semaphore::MAX_PERMITS)));
        let shared = Arc::new(Shared {
            gateway: name,
            chat_cores,
            tokens,
            fanout,
            options,
            clock,
            sockets: AtomicUsize::new(0),
            unsigned: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        });
        for (index, (commands, messages)) in (0..).zip(command_queues.into_iter().zip(message_queues)) {
            let queues = Queues { commands, messages };
            match placement {
                Placement::OwnThreads => core_loop::start_thread(index, shared.clone(), queues, stop.clone())?,
                Placement::ThisThread => core_loop::start_here(index, shared.clone(), queues, stop.clone()),
            }
        }
        Ok(Self { inner: Arc::new(Inner { shared, cores: commands, next: AtomicUsize::new(0), waiting, stop }) })
    }

    /// Takes a socket over. Never blocks: it waits for a core that is busy, for as long as signing in may take, and so do
    /// as many others as may be unsigned; past that the connection is dropped.
    pub fn accept(&self, accepted: Accepted) {
        let core = self.inner.next.fetch_add(1, Ordering::Relaxed) % self.inner.cores.len();
        let count_dropped = || metrics::counter!("yitang_gateway_sockets_dropped_total").increment(1);
        let command = match self.inner.cores[core].try_send(Command::Accept(Box::new(accepted))) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(command)) => command,
            Err(mpsc::error::TrySendError::Closed(_)) => return count_dropped(),
        };
        let Ok(permit) = self.inner.waiting.clone().try_acquire_owned() else { return count_dropped() };
        let sender = self.inner.cores[core].clone();
        let within = Duration::from_millis(self.inner.shared.options.sign_in_ms);
        tokio::spawn(async move {
            if timeout(within, sender.send(command)).await.is_err() {
                count_dropped();
            }
            drop(permit);
        });
    }

    /// How many sockets there are.
    #[must_use]
    pub fn count_sockets(&self) -> usize {
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
        let until = tokio::time::Instant::now() + Duration::from_millis(over_ms + CLOSE_MS);
        while self.count_sockets() > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(DRAIN_TICK).await;
        }
        self.inner.stop.cancel();
    }
}
