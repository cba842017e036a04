//! What rooms and cores tell each other.

use std::sync::Arc;

use proto::{
    internal::v1::{Announcement, Head, RoomCounts, WatchVerdict},
    v1::Position,
};
use uuid::Uuid;

use super::lag::Ticket;
use crate::{
    hub::Accepted,
    socket::{Dialect, Frame, Spoken, StateKey},
};

/// A socket of this gateway: which core, which place there, and which of those who had this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId {
    /// Which core owns it.
    pub core: u32,
    /// Its place there.
    pub place: u32,
    /// Tells it from those before it in the same place.
    pub serial: u64,
}

/// A socket that may watch wants in.
#[derive(Clone, Debug)]
pub struct Join {
    /// Which socket.
    pub socket: SocketId,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// Whose it is.
    pub person: u32,
    /// The person's organisation and those above it.
    pub path: Vec<u32>,
    /// The frame that this answers.
    pub re: u32,
    /// Where the client stands.
    pub after: Option<Position>,
    /// Newest events wanted on a fresh start.
    pub tail: u32,
    /// What chat-core said.
    pub verdict: Box<WatchVerdict>,
    /// Where the control log stood then.
    pub control: u64,
    /// It is in the room already, and asks to be told again.
    pub again: bool,
    /// What it missed is more than it can take now: it is to page.
    pub pages: bool,
}

/// What a room is told.
#[derive(Debug)]
pub enum RoomMessage {
    /// By the backbone: this was committed.
    Announce(Box<Announcement>),
    /// By comparing heads: the store stands here.
    Head(Head),
    /// Something may have been missed.
    Look,
    /// A socket wants in.
    Join(Box<Join>),
    /// A socket has left.
    Leave {
        /// Which.
        socket: SocketId,
        /// Whose.
        person: u32,
        /// How it was spoken to.
        dialect: Dialect,
    },
    /// By a presence instance.
    Counts {
        /// Which instance.
        instance: usize,
        /// What it says; `None`: it is not heard any more.
        counts: Option<Box<RoomCounts>>,
    },
    /// Somebody is writing.
    Typing {
        /// Who.
        person: u32,
    },
}

/// What a core is told.
pub enum Command {
    /// A new socket.
    Accept(Box<Accepted>),
    /// Something for a room's sockets, in the order that the room says it.
    Room {
        /// Which room.
        room: Uuid,
        /// What.
        what: ToRoom,
    },
    /// Something for all sockets of a person.
    Person {
        /// Who.
        person: u32,
        /// For those who speak protobuf.
        proto: Frame,
        /// For those who speak JSON.
        json: Frame,
    },
    /// Close all sockets, spread over so long.
    Drain {
        /// Milliseconds.
        over_ms: u64,
    },
}

/// What a room tells its sockets on one core.
#[derive(Debug)]
pub enum ToRoom {
    /// One socket is in from here on; these frames are for it alone.
    Join {
        /// As it asked.
        join: Box<Join>,
        /// Its answer, and what it missed.
        frames: Vec<Frame>,
        /// Where the room stands.
        top: Top,
    },
    /// The next events.
    Events {
        /// For each dialect; empty where nobody in the room is spoken to like that.
        frames: Arc<Spoken<Vec<Frame>>>,
        /// The newest of them.
        top: Top,
        /// Dropped when they are written: so the room knows which core is behind.
        ticket: Ticket,
    },
    /// A state, the latest of its key.
    State {
        /// Which.
        key: StateKey,
        /// For each dialect that is spoken in the room.
        frames: Spoken<Option<Frame>>,
    },
    /// The log was made anew: all who are in come in again, from this position, which is not of the new log.
    Anew {
        /// Where they stood.
        position: Position,
    },
}

/// Where a room stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// The log's incarnation.
    pub epoch: u32,
    /// Newest event.
    pub seq: u64,
    /// Newest that makes something unread.
    pub mseq: u64,
}
