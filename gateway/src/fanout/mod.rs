//! From the backbone to frames: one task a room admits events in order and makes frames; the cores write them.

pub mod batch;
mod dispatcher;
mod lag;
mod messages;
pub mod page;
pub mod ring;
mod room;
pub mod state;
pub mod verdict;
pub mod window;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use backbone::{Backbone, PartitionSet};
use dashmap::DashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use messages::{Command, Join, RoomMessage, SocketId, ToRoom, Top};

use crate::{
    ChatCores,
    hub::{HubOptions, Reporter},
    socket::Dialect,
};

/// The rooms of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Fanout {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub rooms: DashMap<Uuid, RoomHandle>,
    pub chat_cores: ChatCores,
    pub backbone: Arc<dyn Backbone>,
    pub reporter: Reporter,
    pub options: HubOptions,
    pub cores: Vec<mpsc::Sender<Command>>,
    /// Partitions that the backbone has confirmed, and has not taken back since.
    pub confirmed: watch::Sender<PartitionSet>,
    /// Rooms and people in each partition.
    wanted: Mutex<Vec<u32>>,
    wanted_changed: Notify,
    /// A subscription was confirmed: what came before it is to be found by comparing heads.
    compare_now: Notify,
    rooms_open: AtomicU32,
    home: tokio::runtime::Handle,
    stop: CancellationToken,
}

/// Where a room's messages go.
#[derive(Clone)]
pub(crate) struct RoomHandle {
    sender: mpsc::Sender<RoomMessage>,
    /// A message did not fit: the room must look at the store.
    behind: Arc<AtomicBool>,
    partition: u16,
}

impl RoomHandle {
    /// Gives the room a hint; what does not fit is remembered as "look at the store".
    fn hint(&self, message: RoomMessage) {
        if self.sender.try_send(message).is_err() {
            self.behind.store(true, Ordering::Release);
        }
    }
}

impl Fanout {
    /// Starts following the backbone; must be called on the runtime that rooms live on.
    #[must_use]
    pub fn start(
        chat_cores: ChatCores,
        backbone: Arc<dyn Backbone>,
        reporter: Reporter,
        options: HubOptions,
        cores: Vec<mpsc::Sender<Command>>,
        stop: CancellationToken,
    ) -> Self {
        let inner = Arc::new(Inner {
            rooms: DashMap::new(),
            chat_cores,
            backbone,
            reporter,
            options,
            cores,
            confirmed: watch::Sender::new(PartitionSet::EMPTY),
            wanted: Mutex::new(vec![0; usize::from(backbone::PARTITIONS)]),
            wanted_changed: Notify::new(),
            compare_now: Notify::new(),
            rooms_open: AtomicU32::new(0),
            home: tokio::runtime::Handle::current(),
            stop,
        });
        let this = Self { inner };
        tokio::spawn(dispatcher::run(this.clone()));
        tokio::spawn(dispatcher::compare_heads(this.clone()));
        this
    }

    /// Lets a socket into a room, which is opened where it is not yet. `false`: the room is overwhelmed; come again.
    pub fn join(&self, conversation: Uuid, mut join: Join) -> bool {
        // Twice: a room may be closing for want of sockets at this very moment.
        for _ in 0..2 {
            let handle = self.room(conversation);
            match handle.sender.try_send(RoomMessage::Join(Box::new(join))) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Full(_)) => return false,
                Err(mpsc::error::TrySendError::Closed(RoomMessage::Join(back))) => {
                    self.forget(conversation, &handle);
                    join = *back;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        false
    }

    /// A socket has left a room.
    pub fn leave(&self, conversation: Uuid, socket: SocketId, person: u32, dialect: Dialect) {
        let Some(handle) = self.inner.rooms.get(&conversation).map(|handle| handle.clone()) else { return };
        let message = RoomMessage::Leave { socket, person, dialect };
        if let Err(mpsc::error::TrySendError::Full(message)) = handle.sender.try_send(message) {
            // A count that is wrong for ever is worse than a task that waits.
            self.inner.home.spawn(async move { handle.sender.send(message).await });
        }
    }

    /// Counts of who is here, from one presence instance; `None` for a room: not heard any more.
    pub(crate) fn counts(&self, instance: usize, conversation: Uuid, counts: Option<proto::internal::v1::RoomCounts>) {
        if let Some(handle) = self.inner.rooms.get(&conversation) {
            handle.hint(RoomMessage::Counts { instance, counts: counts.map(Box::new) });
        }
    }

    /// A presence instance is lost: its counts are not believed any more, in any room.
    pub(crate) fn presence_lost(&self, instance: usize) {
        for handle in &self.inner.rooms {
            handle.hint(RoomMessage::Counts { instance, counts: None });
        }
    }

    /// Publishes a hint; lost while the backbone is away.
    pub(crate) fn publish(&self, partition: u16, hint: Vec<u8>) {
        let backbone = self.inner.backbone.clone();
        self.inner.home.spawn(async move {
            if let Err(error) = backbone.publish(partition, hint.into()).await {
                tracing::debug!(%error, "a hint was not published");
            }
        });
    }

    /// Hints for this person are wanted from now on.
    pub(crate) fn want_person(&self, person: u32) {
        self.want(proto::partition_of_person(person), true);
    }

    /// One socket of this person is gone.
    pub(crate) fn unwant_person(&self, person: u32) {
        self.want(proto::partition_of_person(person), false);
    }

    fn want(&self, partition: u16, more: bool) {
        let changed = {
            let mut wanted = self.inner.wanted.lock();
            let count = &mut wanted[usize::from(partition)];
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            *count == u32::from(more)
        };
        if changed {
            self.inner.wanted_changed.notify_one();
        }
    }

    fn wanted(&self) -> PartitionSet {
        self.inner.wanted.lock().iter().zip(0..).filter(|(count, _)| **count > 0).map(|(_, partition)| partition).collect()
    }

    fn room(&self, conversation: Uuid) -> RoomHandle {
        if let Some(handle) = self.inner.rooms.get(&conversation) {
            return handle.clone();
        }
        self.inner
            .rooms
            .entry(conversation)
            .or_insert_with(|| {
                let (sender, receiver) = mpsc::channel(self.inner.options.room_queue.max(1));
                let partition = proto::partition_of_conversation(conversation);
                let handle = RoomHandle { sender, behind: Arc::default(), partition };
                self.want(partition, true);
                let open = self.inner.rooms_open.fetch_add(1, Ordering::Relaxed) + 1;
                metrics::gauge!("yitang_gateway_rooms").set(f64::from(open));
                self.inner.home.spawn(room::run(self.clone(), conversation, handle.clone(), receiver));
                handle
            })
            .clone()
    }

    /// Takes a room out of the list, if it is still this one.
    fn forget(&self, conversation: Uuid, handle: &RoomHandle) {
        if self.inner.rooms.remove_if(&conversation, |_, known| known.sender.same_channel(&handle.sender)).is_some() {
            self.want(handle.partition, false);
            let open = self.inner.rooms_open.fetch_sub(1, Ordering::Relaxed) - 1;
            metrics::gauge!("yitang_gateway_rooms").set(f64::from(open));
        }
    }
}
