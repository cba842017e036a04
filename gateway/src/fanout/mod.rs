//! From the backbone to frames: one task a room admits events in order and makes frames; the cores write them.

pub mod batch;
pub mod counts;
mod dispatcher;
mod lag;
mod messages;
mod options;
pub mod page;
pub mod resume;
pub mod ring;
mod room;
mod rooms;
pub mod window;

use std::sync::Arc;

use backbone::Backbone;
use tokio::{
    sync::mpsc,
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::rooms::{RoomHandle, Rooms};
pub use self::{
    messages::{CoreMessage, Join, RoomCommand, RoomMessage, SocketId, Top},
    options::RoomOptions,
};
use crate::{
    socket::Dialect,
    upstream::{ChatCores, PresenceReporter, PresenceUpdate},
};

/// How soon a room whose queue is full is tried again.
const FULL: Duration = Duration::from_millis(20);

/// The rooms of this gateway. Cheap to clone.
#[derive(Clone)]
pub struct Fanout {
    rooms: Arc<Rooms>,
}

impl Fanout {
    /// Starts following the backbone; must be called on the runtime that rooms live on. `cores` are where the sockets are
    /// written, by the number of their core.
    #[must_use]
    pub fn start(
        chat_cores: ChatCores,
        backbone: Arc<dyn Backbone>,
        reporter: PresenceReporter,
        options: RoomOptions,
        cores: Vec<mpsc::Sender<CoreMessage>>,
        stop: CancellationToken,
    ) -> Self {
        let rooms = Arc::new(Rooms::new(chat_cores, backbone, reporter, options, cores, stop));
        tokio::spawn(dispatcher::run(rooms.clone()));
        tokio::spawn(dispatcher::compare_heads(rooms.clone()));
        Self { rooms }
    }

    /// Has a socket join a room, which is opened where it is not yet. `false`: the room is overwhelmed; come again.
    pub fn join(&self, conversation: Uuid, mut join: Join) -> bool {
        // Twice: a room may be closing for want of sockets at this very moment.
        for _ in 0..2 {
            let handle = self.open_room(conversation);
            match handle.sender.try_send(RoomMessage::Join(Box::new(join))) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Full(_)) => return false,
                Err(mpsc::error::TrySendError::Closed(RoomMessage::Join(back))) => {
                    self.rooms.forget(conversation, &handle);
                    join = *back;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
            }
        }
        false
    }

    /// A socket has left a room.
    pub fn leave(&self, conversation: Uuid, socket: SocketId, person: u32, dialect: Dialect) {
        self.rooms.leave(conversation, socket, person, dialect);
    }

    /// Passes on what a presence instance says.
    pub(crate) fn apply_presence(&self, instance: usize, update: PresenceUpdate) {
        self.rooms.apply_presence(instance, update);
    }

    /// Publishes a hint; lost while the backbone is away.
    pub(crate) fn publish(&self, partition: u16, hint: Vec<u8>) {
        self.rooms.publish(partition, hint);
    }

    /// Hints for this person are wanted from now on.
    pub(crate) fn want_person(&self, person: u32) {
        self.rooms.want(proto::partition_of_person(person), true);
    }

    /// One socket of this person is gone.
    pub(crate) fn unwant_person(&self, person: u32) {
        self.rooms.want(proto::partition_of_person(person), false);
    }

    fn open_room(&self, conversation: Uuid) -> RoomHandle {
        if let Some(handle) = self.rooms.find(conversation) {
            return handle;
        }
        self.rooms
            .open
            .entry(conversation)
            .or_insert_with(|| {
                let (handle, receiver) = RoomHandle::new(conversation, self.rooms.options.room_queue);
                self.rooms.count_opened(&handle);
                self.rooms.home.spawn(serve_room(self.clone(), conversation, handle.clone(), receiver));
                handle
            })
            .clone()
    }
}

/// Runs a room until nobody has been in it for a while. Joins that came while it closed go to its successor.
async fn serve_room(fanout: Fanout, conversation: Uuid, handle: RoomHandle, receiver: mpsc::Receiver<RoomMessage>) {
    let Some(mut left_over) = room::run(fanout.rooms.clone(), conversation, handle, receiver).await else { return };
    while let Some(message) = left_over.recv().await {
        if let RoomMessage::Join(join) = message {
            while !fanout.rooms.stop.is_cancelled() && !fanout.join(conversation, Join::clone(&join)) {
                sleep(FULL).await;
            }
        }
    }
}

#[cfg(test)]
impl Fanout {
    /// A room whose messages come out here instead of going to a task.
    pub(crate) fn open_for_test(&self, conversation: Uuid) -> mpsc::Receiver<RoomMessage> {
        let (handle, receiver) = RoomHandle::new(conversation, 64);
        self.rooms.count_opened(&handle);
        self.rooms.open.insert(conversation, handle);
        receiver
    }

    /// How many partitions are wanted.
    pub(crate) fn count_wanted(&self) -> usize {
        self.rooms.wanted().len()
    }
}
