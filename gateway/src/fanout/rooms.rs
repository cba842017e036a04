//! The open rooms, and what all of them need: chat-core, the backbone, presence, and the cores that write.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use backbone::{Backbone, PartitionSet};
use dashmap::DashMap;
use parking_lot::Mutex;
use proto::{
    internal::v1::ReadRequest,
    v1::{Page, PageRequest, Refusal, page_request::Where},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, watch},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    messages::{CoreMessage, RoomMessage, SocketId},
    options::RoomOptions,
};
use crate::{
    socket::Dialect,
    upstream::{ChatCores, PresenceReporter, PresenceUpdate},
};

/// What all rooms of this gateway share.
pub(crate) struct Rooms {
    pub open: DashMap<Uuid, RoomHandle>,
    pub chat_cores: ChatCores,
    pub backbone: Arc<dyn Backbone>,
    pub reporter: PresenceReporter,
    pub options: RoomOptions,
    pub cores: Vec<mpsc::Sender<CoreMessage>>,
    /// Partitions that the backbone has confirmed, and has not taken back since.
    pub confirmed: watch::Sender<PartitionSet>,
    /// Rooms and people in each partition.
    wanted: Mutex<Vec<u32>>,
    pub wanted_changed: Notify,
    /// A subscription was confirmed: what came before it is to be found by comparing heads.
    pub compare_now: Notify,
    count: AtomicU32,
    /// The runtime that rooms live on.
    pub home: Handle,
    pub stop: CancellationToken,
}

/// Where a room's messages go.
#[derive(Clone)]
pub(crate) struct RoomHandle {
    pub sender: mpsc::Sender<RoomMessage>,
    /// A message did not fit: the room must read on from the store.
    pub behind: Arc<AtomicBool>,
    pub partition: u16,
}

impl RoomHandle {
    /// A handle, and where its messages come out; `queue` of them wait at most.
    pub fn new(conversation: Uuid, queue: usize) -> (Self, mpsc::Receiver<RoomMessage>) {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        (Self { sender, behind: Arc::default(), partition: proto::partition_of_conversation(conversation) }, receiver)
    }

    /// Sends the room a hint; one that does not fit has it read on from the store.
    pub fn send_hint(&self, message: RoomMessage) {
        if self.sender.try_send(message).is_err() {
            self.behind.store(true, Ordering::Release);
        }
    }
}

impl Rooms {
    pub fn new(
        chat_cores: ChatCores,
        backbone: Arc<dyn Backbone>,
        reporter: PresenceReporter,
        options: RoomOptions,
        cores: Vec<mpsc::Sender<CoreMessage>>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            open: DashMap::new(),
            chat_cores,
            backbone,
            reporter,
            options,
            cores,
            confirmed: watch::Sender::new(PartitionSet::EMPTY),
            wanted: Mutex::new(vec![0; usize::from(backbone::PARTITIONS)]),
            wanted_changed: Notify::new(),
            compare_now: Notify::new(),
            count: AtomicU32::new(0),
            home: Handle::current(),
            stop,
        }
    }

    /// The handle of an open room.
    pub fn find(&self, conversation: Uuid) -> Option<RoomHandle> {
        self.open.get(&conversation).map(|handle| handle.clone())
    }

    /// Counts a room that was opened.
    pub fn count_opened(&self, handle: &RoomHandle) {
        self.want(handle.partition, true);
        let open = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        metrics::gauge!("yitang_gateway_rooms").set(f64::from(open));
    }

    /// Takes a room out of the table, if it is still this one.
    pub fn forget(&self, conversation: Uuid, handle: &RoomHandle) {
        if self.open.remove_if(&conversation, |_, known| known.sender.same_channel(&handle.sender)).is_some() {
            self.want(handle.partition, false);
            let open = self.count.fetch_sub(1, Ordering::Relaxed) - 1;
            metrics::gauge!("yitang_gateway_rooms").set(f64::from(open));
        }
    }

    /// A socket has left a room.
    pub fn leave(&self, conversation: Uuid, socket: SocketId, person: u32, dialect: Dialect) {
        let Some(handle) = self.find(conversation) else { return };
        let message = RoomMessage::Leave { socket, person, dialect };
        if let Err(mpsc::error::TrySendError::Full(message)) = handle.sender.try_send(message) {
            // A count that is wrong for ever is worse than a task that waits.
            self.home.spawn(async move { handle.sender.send(message).await });
        }
    }

    /// Passes on what a presence instance says of a room; where it is lost, its counts are not believed any more in any room.
    pub fn apply_presence(&self, instance: usize, update: PresenceUpdate) {
        match update {
            PresenceUpdate::Counts { conversation, counts } => {
                if let Some(handle) = self.open.get(&conversation) {
                    handle.send_hint(RoomMessage::Counts { instance, counts: Some(Box::new(counts)) });
                }
            }
            PresenceUpdate::Lost => {
                for handle in &self.open {
                    handle.send_hint(RoomMessage::Counts { instance, counts: None });
                }
            }
        }
    }

    /// Publishes a hint; lost while the backbone is away.
    pub fn publish(&self, partition: u16, hint: Vec<u8>) {
        let backbone = self.backbone.clone();
        self.home.spawn(async move {
            if let Err(error) = backbone.publish(partition, hint.into()).await {
                tracing::debug!(%error, "a hint was not published");
            }
        });
    }

    /// Counts a room or a person more (`more`) or less in a partition.
    pub fn want(&self, partition: u16, more: bool) {
        let changed = {
            let mut wanted = self.wanted.lock();
            let count = &mut wanted[usize::from(partition)];
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            *count == u32::from(more)
        };
        if changed {
            self.wanted_changed.notify_one();
        }
    }

    /// The partitions that rooms and people here are in.
    pub fn wanted(&self) -> PartitionSet {
        self.wanted.lock().iter().zip(0..).filter(|(count, _)| **count > 0).map(|(_, partition)| partition).collect()
    }

    /// Reads at most `limit` events of a conversation from the store.
    pub async fn read_page(&self, conversation: Uuid, place: Where, limit: u32) -> Result<Page, Refusal> {
        let conversation = conversation.to_string();
        let page = PageRequest { conversation: conversation.clone(), epoch: 0, r#where: Some(place), limit };
        let read = self.chat_cores.read(ReadRequest { conversation, page: Some(page), person: 0 }).await?;
        Ok(Page::clone(&read))
    }
}
