//! The sockets of one room on one core, and what is being written to them. The core goes from room to room and writes to
//! some sockets of each, so that a large room does not hold up a small one.

use std::{
    collections::{BTreeMap, VecDeque},
    os::fd::RawFd,
    rc::Rc,
};

use super::session::Session;
use crate::fanout::{RoomCommand, Top};

/// Sockets written before another room has its turn.
const AT_ONCE: usize = 128;

/// A room's sockets here.
#[derive(Default)]
pub struct Members {
    /// By descriptor, which is the order they are written in: what the kernel and this process keep of neighbours lies side by
    /// side in memory, and most of what a write costs is waiting for memory.
    pub sockets: BTreeMap<RawFd, Rc<Session>>,
    /// What is to be done, in the room's order.
    pub queue: VecDeque<RoomCommand>,
    /// The first socket that the first of the queue was not written to yet.
    cursor: RawFd,
    /// Where the room stands, as its sockets here know it.
    pub top: Top,
    /// Whether it stands in the core's list of rooms with something to do.
    pub queued: bool,
}

/// What a turn has come to.
pub enum Turn {
    /// There is more to write of the same.
    More,
    /// The first of the queue is done, and this is it.
    Done(RoomCommand),
    /// Nothing is to be done.
    Idle,
}

impl Members {
    /// Writes the first of the queue to some sockets.
    pub fn write_some(&mut self) -> Turn {
        let Some(command) = self.queue.front_mut() else { return Turn::Idle };
        let mut ahead = self.sockets.range(self.cursor..);
        let now = ahead.by_ref().take(AT_ONCE).map(|(_, session)| session);
        match command {
            RoomCommand::Events { frames, in_flight, .. } => {
                in_flight.begin();
                let (mut sockets, mut full) = (0, 0);
                for session in now {
                    sockets += 1;
                    let mut whole = true;
                    for frame in &frames[session.dialect.get()] {
                        whole &= session.socket.send(frame);
                    }
                    full += u32::from(!whole);
                }
                in_flight.add_written(sockets, full);
            }
            RoomCommand::State { key, frames } => {
                for session in now {
                    if let Some(frame) = &frames[session.dialect.get()] {
                        session.socket.send_state(*key, frame);
                    }
                }
            }
            RoomCommand::Join { .. } | RoomCommand::NewLog { .. } => return self.finish_first(),
        }
        match ahead.next() {
            Some((next, _)) => {
                self.cursor = *next;
                Turn::More
            }
            None => self.finish_first(),
        }
    }

    fn finish_first(&mut self) -> Turn {
        self.cursor = 0;
        let Some(done) = self.queue.pop_front() else { return Turn::Idle };
        if let RoomCommand::Events { top, .. } = &done {
            self.top = *top;
        }
        Turn::Done(done)
    }
}
