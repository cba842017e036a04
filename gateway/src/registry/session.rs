//! A client's socket and what is known of its client, shared on its core by the task that reads it, the rooms that write to
//! it and whatever follows the control log.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
};

use proto::{
    Subprotocol,
    internal::v1::Identity,
    v1::{Position, Refusal, ServerFrame, State, server_frame, state},
};
use uuid::Uuid;

use super::{socket_count::SocketCount, subscription::Subscription};
use crate::{
    fanout::SocketId,
    socket::{Dialect, Frame, Socket},
};

/// Kind of state, within a room; those of the room itself are lower.
const POST_STATE: u8 = 2;

/// One client's socket. Made and ended by its [`super::Registration`] only.
pub struct Session {
    /// The socket.
    pub socket: Socket,
    /// The subprotocol of its frames.
    pub subprotocol: Subprotocol,
    /// In what form it is sent frames, as agreed when it signed in.
    pub dialect: Cell<Dialect>,
    /// Which socket it is.
    pub id: SocketId,
    /// What it follows.
    pub subscriptions: RefCell<HashMap<Uuid, Subscription>>,
    /// Who signed in.
    pub(super) identity: RefCell<Option<Box<Identity>>>,
    pub(super) person: Cell<u32>,
    pub(super) count: SocketCount,
    /// Conversations to be asked for again.
    again: RefCell<Vec<Uuid>>,
    /// Where it stood in logs that were made anew.
    reload: RefCell<Vec<Position>>,
    draining: Cell<bool>,
}

impl Session {
    pub(super) fn new(id: SocketId, socket: Socket, subprotocol: Subprotocol, dialect: Dialect, count: SocketCount) -> Self {
        Self {
            socket,
            subprotocol,
            dialect: Cell::new(dialect),
            id,
            subscriptions: RefCell::default(),
            identity: RefCell::default(),
            person: Cell::new(0),
            count,
            again: RefCell::default(),
            reload: RefCell::default(),
            draining: Cell::new(false),
        }
    }

    /// Whose it is; 0: nobody has signed in yet.
    #[must_use]
    pub fn person(&self) -> u32 {
        self.person.get()
    }

    /// Reads from who signed in; `None`: nobody has.
    pub fn with_identity<T>(&self, read: impl FnOnce(&Identity) -> T) -> Option<T> {
        self.identity.borrow().as_deref().map(read)
    }

    /// The session that it was signed in with; empty: nobody has signed in.
    #[must_use]
    pub fn session_id(&self) -> String {
        self.with_identity(|identity| identity.session.clone()).unwrap_or_default()
    }

    /// Whether it was signed in with this session.
    #[must_use]
    pub fn is_of_session(&self, session: &str) -> bool {
        self.with_identity(|identity| identity.session == session) == Some(true)
    }

    /// The display link that this screen was signed in by; empty: it is a person's.
    #[must_use]
    pub fn display_link(&self) -> String {
        self.with_identity(|identity| identity.display.as_ref().map(|display| display.link.clone())).flatten().unwrap_or_default()
    }

    /// Whether it is a screen's, by a display link.
    #[must_use]
    pub fn is_screen(&self) -> bool {
        proto::display::is_screen(self.person.get())
    }

    /// Whether its sign-in was known to be good before the control log stood at `control`.
    #[must_use]
    pub fn signed_in_before(&self, control: u64) -> bool {
        self.with_identity(|identity| identity.control < control) == Some(true)
    }

    /// Sends an answer to the frame `re`, or something unasked (`re` 0).
    pub fn send(&self, re: u32, frame: server_frame::Frame) {
        self.socket.send(&Frame::encode(self.subprotocol, &ServerFrame { re, frame: Some(frame) }));
    }

    /// Refuses the frame `re`.
    pub fn refuse(&self, re: u32, refusal: Refusal) {
        metrics::counter!("yitang_gateway_refusals_total", "code" => refusal.code().as_str_name()).increment(1);
        self.send(re, server_frame::Frame::Refusal(refusal));
    }

    /// Sends whether it may post in a room that it follows.
    pub fn send_post_state(&self, room: Uuid) {
        let Some(state) = self.subscriptions.borrow().get(&room).map(Subscription::to_post_state) else { return };
        let state = State { conversation: room.to_string(), state: Some(state::State::Post(state)) };
        let frame = Frame::encode(self.subprotocol, &ServerFrame { re: 0, frame: Some(server_frame::Frame::State(state)) });
        self.socket.send_state((room.as_u128(), POST_STATE), &frame);
    }

    /// Has chat-core asked again about a conversation it follows, or about all.
    pub fn ask_again(&self, room: Option<Uuid>) {
        let mut again = self.again.borrow_mut();
        for (id, subscription) in self.subscriptions.borrow_mut().iter_mut() {
            if room.is_none_or(|room| room == *id) {
                subscription.stale = true;
                if subscription.joined && !subscription.asking && !again.contains(id) {
                    again.push(*id);
                }
            }
        }
        if !again.is_empty() {
            self.socket.wake();
        }
    }

    /// The control log may be another one: what is known by its positions counts no more, and all is asked for again.
    pub fn ask_all_anew(&self) {
        self.subscriptions.borrow_mut().values_mut().for_each(Subscription::forget_position);
        self.ask_again(None);
    }

    /// Its join of a room is done: what changed on the way is asked for again.
    pub fn ask_again_if_stale(&self, room: Uuid) {
        let stale = self.subscriptions.borrow().get(&room).is_some_and(|subscription| subscription.stale);
        if stale {
            self.again.borrow_mut().push(room);
            self.socket.wake();
        }
    }

    /// Has verdicts asked for again whose time is over at `now_ms`. Gives when the next one ends by itself. Both are
    /// milliseconds since 1970.
    pub fn ask_for_expired(&self, now_ms: i64) -> Option<i64> {
        let mut again = self.again.borrow_mut();
        let mut next_ms = None;
        for (room, subscription) in self.subscriptions.borrow_mut().iter_mut() {
            let until_ms = subscription.valid_until_ms;
            if until_ms == 0 || !subscription.joined {
                continue;
            }
            if until_ms <= now_ms {
                subscription.valid_until_ms = 0;
                again.push(*room);
            } else {
                next_ms = Some(next_ms.map_or(until_ms, |next: i64| next.min(until_ms)));
            }
        }
        if !again.is_empty() {
            self.socket.wake();
        }
        next_ms
    }

    /// A log it follows was made anew: it joins again, from where it stood.
    pub fn reload(&self, position: Position) {
        self.reload.borrow_mut().push(position);
        self.socket.wake();
    }

    /// Conversations to be asked for again; asked for once.
    pub fn take_again(&self) -> Vec<Uuid> {
        std::mem::take(&mut *self.again.borrow_mut())
    }

    /// Where it stood in logs that were made anew; asked for once.
    pub fn take_reload(&self) -> Vec<Position> {
        std::mem::take(&mut *self.reload.borrow_mut())
    }

    /// The gateway is stopping: once the post in flight has its receipt, this socket is closed.
    pub fn drain(&self) {
        self.draining.set(true);
        self.socket.wake();
    }

    /// Whether the gateway is stopping.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }
}
