//! What rooms and cores send each other.

use std::sync::Arc;

use proto::{
    internal::v1::{Announcement, Head, RoomCounts, WatchVerdict},
    v1::Position,
};
use uuid::Uuid;

use super::lag::InFlight;
use crate::socket::{Dialect, Frame, FramePair, PerDialect, StateKey};

/// A socket of this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId {
    /// Which core owns it.
    pub core: u32,
    /// Its slot there.
    pub slot: u32,
    /// Different from that of any socket that had the same slot before.
    pub serial: u64,
}

/// A socket that may watch asks to join a room.
#[derive(Clone, Debug)]
pub struct Join {
    /// The socket that asks.
    pub socket: SocketId,
    /// In what form it is sent frames.
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
    /// It is in the room already, and asks for another answer.
    pub again: bool,
    /// What it missed is more than it can take now: it is to page.
    pub pages: bool,
}

/// What a room is sent.
#[derive(Debug)]
pub enum RoomMessage {
    /// By the backbone: this was committed.
    Announce(Box<Announcement>),
    /// By comparing heads: where the store stands.
    Head(Head),
    /// Something may have been missed: read on from the store.
    CatchUp,
    /// A socket asks to join.
    Join(Box<Join>),
    /// A socket has left.
    Leave {
        /// The socket that has left.
        socket: SocketId,
        /// Whose it was.
        person: u32,
        /// In what form it was sent frames.
        dialect: Dialect,
    },
    /// By a presence instance.
    Counts {
        /// The number of the instance.
        instance: usize,
        /// Its counts of this room; `None`: it is not heard any more.
        counts: Option<Box<RoomCounts>>,
    },
    /// Somebody is writing.
    Typing {
        /// The person who writes.
        person: u32,
    },
}

/// What a core is sent for its sockets.
#[derive(Debug)]
pub enum CoreMessage {
    /// For a room's sockets, in the room's order.
    Room {
        /// The conversation whose room it is.
        room: Uuid,
        /// What to do.
        command: RoomCommand,
    },
    /// For all sockets of a person.
    Person {
        /// The person whose sockets they are.
        person: u32,
        /// What to send.
        frames: FramePair,
    },
}

/// What a room has its sockets on one core sent.
#[derive(Debug)]
pub enum RoomCommand {
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
        /// For each dialect; empty where nobody in the room uses it.
        frames: Arc<PerDialect<Vec<Frame>>>,
        /// The newest of them.
        top: Top,
        /// Dropped when they are written, by which the room knows how far the core is.
        in_flight: InFlight,
    },
    /// A state, the latest of its key.
    State {
        /// A newer state of this key takes the place of an older one.
        key: StateKey,
        /// For each dialect that is used in the room.
        frames: PerDialect<Option<Frame>>,
    },
    /// The log was made anew: all who are in join again, from this position, which is of the old log.
    NewLog {
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
