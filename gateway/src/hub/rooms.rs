//! What rooms have a core do: write to their sockets, and let sockets in.

use std::rc::Rc;

use proto::CloseCode;
use uuid::Uuid;

use crate::{
    fanout::{CoreMessage, Join, RoomCommand},
    registry::{Core, Session, Turn},
    socket::Frame,
};

/// Queues what a room is to write, or writes to a person's sockets.
pub fn handle_message(core: &Core, message: CoreMessage) {
    match message {
        CoreMessage::Room { room, command } => {
            let mut rooms = core.rooms.borrow_mut();
            let members = rooms.entry(room).or_default();
            members.queue.push_back(command);
            if !members.queued {
                members.queued = true;
                core.ready.borrow_mut().push_back(room);
            }
        }
        CoreMessage::Person { person, frames } => {
            for session in core.find_by_person(person) {
                session.socket.send(frames.get(session.subprotocol));
            }
        }
    }
}

/// One turn of one room.
pub fn write_some(core: &Core, room: Uuid) {
    let mut rooms = core.rooms.borrow_mut();
    let Some(members) = rooms.get_mut(&room) else { return };
    let turn = members.write_some();
    let more = matches!(turn, Turn::More) || !members.queue.is_empty();
    members.queued = more;
    if more {
        core.ready.borrow_mut().push_back(room);
    }
    match turn {
        Turn::Done(RoomCommand::Join { join, frames, top }) => {
            members.top = top;
            drop(rooms);
            handle_join(core, room, *join, &frames);
        }
        Turn::Done(RoomCommand::NewLog { position }) => {
            let sessions: Vec<Rc<Session>> = std::mem::take(&mut members.sockets).into_values().collect();
            drop(rooms);
            for session in sessions {
                if let Some(subscription) = session.subscriptions.borrow_mut().get_mut(&room) {
                    subscription.joined = false;
                }
                core.uncount(room, &session);
                session.reload(position.clone());
            }
        }
        Turn::Done(RoomCommand::Events { .. } | RoomCommand::State { .. }) | Turn::More | Turn::Idle => drop(rooms),
    }
    core.forget_if_empty(room);
}

/// Lets a socket into a room that has counted it already, with its answer and what it missed.
fn handle_join(core: &Core, room: Uuid, join: Join, frames: &[Frame]) {
    let fanout = &core.shared.fanout;
    let session = core.find(join.socket);
    let Some(session) = session.filter(|session| session.subscriptions.borrow().contains_key(&room)) else {
        // Gone meanwhile.
        if !join.again {
            fanout.leave(room, join.socket, join.person, join.dialect);
        }
        return;
    };
    let joined = session.subscriptions.borrow().get(&room).is_some_and(|subscription| subscription.joined);
    if join.again && !joined {
        // It left, and asked anew since: that answer is on its way.
        return;
    }
    if !join.again && joined {
        // It asked twice before the first answer came: it is one socket all the same.
        core.uncount(room, &session);
    }
    let join = Join { again: join.again || joined, ..join };
    let replay: usize = frames.iter().skip(1).map(Frame::len).sum();
    if replay > 0 && !join.pages && session.socket.waiting_bytes() + replay > core.shared.options.outbox_bytes / 2 {
        // All its rooms at once would make it SLOW, and again whenever it came back: of this one it pages what it missed.
        let pages = Join { pages: true, ..join };
        let counted = !pages.again;
        if !fanout.join(room, pages) {
            if counted {
                core.uncount(room, &session);
            }
            session.socket.close(CloseCode::Slow);
        }
        return;
    }
    for frame in frames {
        session.socket.send(frame);
    }
    let mut rooms = core.rooms.borrow_mut();
    let members = rooms.entry(room).or_default();
    let mut subscriptions = session.subscriptions.borrow_mut();
    let mut overtaken = false;
    if let Some(subscription) = subscriptions.get_mut(&room) {
        subscription.joined = true;
        members.sockets.insert(session.socket.descriptor(), session.clone());
        overtaken = subscription.is_newer_than(join.control, core.shared.chat_cores.control().position());
        if !overtaken {
            subscription.apply(&join.verdict, join.control);
        }
    }
    drop(subscriptions);
    drop(rooms);
    if overtaken {
        // Its answer said what was true when it asked.
        session.send_post_state(room);
    }
    if join.verdict.valid_until_ms != 0 {
        core.schedule_check_at(join.socket, join.verdict.valid_until_ms);
    }
    session.ask_again_if_stale(room);
}
