//! One session: a client's socket from its first frame to its last. One task reads it; everything it may do is decided
//! in chat-core, and remembered here until the control log says otherwise.

mod answers;
mod desk;
mod rate;
mod sign_in;
mod subscription;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    rc::Rc,
    time::Duration,
};

use proto::{
    CloseCode, Subprotocol,
    internal::v1::Identity,
    v1::{Position, Refusal, RefusalCode, ServerFrame, SignIn, State, Unsubscribed, Welcome, server_frame},
};
use tokio::{task::spawn_local, time::Instant};
use uuid::Uuid;

use self::desk::Desk;
pub use self::subscription::Subscription;
use crate::{
    clock,
    fanout::SocketId,
    hub::{Accepted, Core, Counted},
    socket::{Dialect, Ended, Frame, Held, Inbound, Ready, Received, Socket, Wire},
    upstream::Watched,
};

/// A session's task at most: thirteen thousand of them wait on one core.
const TASK_BYTES: usize = 1_024;
/// Kind of state, within a room; those of the room itself are lower.
const POST_STATE: u8 = 2;

/// A client's socket and what is known of its client; shared on its core.
pub struct Session {
    /// The socket.
    pub socket: Socket,
    /// The subprotocol of its frames.
    pub subprotocol: Subprotocol,
    /// How it is spoken to, as agreed when it signed in.
    pub dialect: Cell<Dialect>,
    /// Where it is.
    pub id: Cell<SocketId>,
    /// What it follows.
    pub subscriptions: RefCell<HashMap<Uuid, Subscription>>,
    identity: RefCell<Option<Box<Identity>>>,
    person: Cell<u32>,
    /// Conversations to be asked for again.
    again: RefCell<Vec<Uuid>>,
    /// Where it stood in logs that were made anew.
    reload: RefCell<Vec<Position>>,
    draining: Cell<bool>,
    counted: Counted,
}

/// Starts a session on its core. `refused`: it is only told so.
///
/// # Errors
/// When the connection is gone already.
pub fn start(core: &Rc<Core>, accepted: Accepted, counted: Counted, refused: Option<CloseCode>, serial: u64) -> io::Result<()> {
    let options = &core.shared.options;
    let Accepted { stream, already_read, subprotocol, origin, peer, since } = accepted;
    let wire = Wire::new(stream, Held { unsent_bytes: options.unsent_bytes, dead_after_ms: options.dead_after_ms })?;
    let mut sessions = core.sessions.borrow_mut();
    let entry = sessions.vacant_entry();
    let id = SocketId { core: core.index, place: entry.key() as u32, serial };
    let session = Rc::new(Session {
        socket: Socket::new(wire, options.outbox_bytes),
        subprotocol,
        dialect: Cell::new(Dialect::agreed(subprotocol, &SignIn::default())),
        id: Cell::new(id),
        subscriptions: RefCell::default(),
        identity: RefCell::default(),
        person: Cell::new(0),
        again: RefCell::default(),
        reload: RefCell::default(),
        draining: Cell::new(false),
        counted,
    });
    entry.insert(session.clone());
    drop(sessions);
    core.look_after(id);
    let deadline = Instant::from_std(since + Duration::from_millis(options.sign_in_ms));
    let core = core.clone();
    let task = async move {
        let ended = match refused {
            Some(code) => Ended::Closed(code),
            None => serve(&core, &session, already_read, origin.unwrap_or_default(), deadline).await,
        };
        session.remove(&core);
        // Whoever is only being told goodbye does not keep others from signing in.
        session.counted.settled();
        if let Ended::Closed(code) = ended {
            tracing::debug!(%peer, person = session.person(), code = code.code(), reason = code.reason(), "a socket is closed");
            metrics::counter!("yitang_gateway_sockets_closed_total", "code" => code.code().to_string()).increment(1);
            // In a box: no socket that lives needs the room for it.
            Box::pin(session.socket.goodbye(Frame::close(code), &core.scratch)).await;
        }
    };
    debug_assert!(size_of_val(&task) <= TASK_BYTES, "a session's task takes {} bytes", size_of_val(&task));
    spawn_local(task);
    Ok(())
}

async fn serve(core: &Rc<Core>, session: &Rc<Session>, already_read: Box<[u8]>, origin: String, deadline: Instant) -> Ended {
    let mut inbound = Inbound::default();
    let mut received = Vec::new();
    inbound.take(&already_read, &mut received);
    drop(already_read);
    // In a box: this is long, and over once the client has signed in.
    let signed_in = Box::pin(sign_in::run(core, session, &mut inbound, &mut received, &origin, deadline)).await;
    let resume = match signed_in {
        Ok(resume) => resume,
        Err(ended) => return ended,
    };
    let mut desk = Desk::new(core.clone(), session.clone());
    for position in resume {
        desk.resume(position);
    }
    loop {
        for one in received.drain(..) {
            match one {
                Received::Text(bytes) if session.subprotocol == Subprotocol::Json => desk.take(&bytes),
                Received::Binary(bytes) if session.subprotocol == Subprotocol::Proto => desk.take(&bytes),
                Received::Text(_) | Received::Binary(_) => return Ended::Closed(CloseCode::Malformed),
                Received::Answer(frame) => session.socket.answer(frame),
                Received::Wrong(code) => return Ended::Closed(code),
                Received::Close(frame) => {
                    session.remove(core);
                    Box::pin(session.socket.goodbye(frame, &core.scratch)).await;
                    return Ended::ByClient;
                }
            }
        }
        // An idle socket holds no buffers.
        if received.capacity() > 0 {
            received = Vec::new();
        }
        let ready = tokio::select! {
            biased;
            ready = session.socket.ready() => ready,
            outcome = desk.outcome(), if desk.waits() => {
                desk.settle(outcome);
                continue;
            }
        };
        match ready {
            Ok(Ready::Woken) => {
                if let Some(code) = session.socket.closing() {
                    return Ended::Closed(code);
                }
                desk.woken();
            }
            Ok(Ready::Readable) => {
                let mut scratch = core.scratch.borrow_mut();
                if !session.socket.read(&mut inbound, &mut scratch, &mut received) {
                    return Ended::Broken;
                }
                desk.controls(inbound.take_controls());
            }
            Err(_) => return Ended::Broken,
        }
    }
}

impl Session {
    /// Whose it is; 0: nobody has signed in yet.
    #[must_use]
    pub fn person(&self) -> u32 {
        self.person.get()
    }

    /// The session that it was signed in with.
    #[must_use]
    pub fn session_id(&self) -> Option<String> {
        self.identity.borrow().as_ref().map(|identity| identity.session.clone())
    }

    /// The display link that this screen was signed in by; empty: it is a person's.
    #[must_use]
    pub fn display_link(&self) -> String {
        let identity = self.identity.borrow();
        identity.as_ref().and_then(|identity| identity.display.as_ref()).map(|display| display.link.clone()).unwrap_or_default()
    }

    /// Whether it is a screen's, by a display link.
    #[must_use]
    pub fn is_screen(&self) -> bool {
        proto::display::is_screen(self.person.get())
    }

    /// Whether it was signed in when the control log was not yet here.
    #[must_use]
    pub fn signed_in_before(&self, control: u64) -> bool {
        self.identity.borrow().as_ref().is_some_and(|identity| identity.control < control)
    }

    /// The same, with the control log's position at which it was known to be live.
    #[must_use]
    pub fn signed_in_at(&self) -> Option<(String, u64)> {
        self.identity.borrow().as_ref().map(|identity| (identity.session.clone(), identity.control))
    }

    /// Sends an answer, or something unasked (`re` 0).
    pub fn tell(&self, re: u32, frame: server_frame::Frame) {
        self.socket.send(&Frame::of(self.subprotocol, &ServerFrame { re, frame: Some(frame) }));
    }

    /// Refuses a frame.
    pub fn refuse(&self, re: u32, refusal: Refusal) {
        metrics::counter!("yitang_gateway_refusals_total", "code" => refusal.code().as_str_name()).increment(1);
        self.tell(re, server_frame::Frame::Refusal(refusal));
    }

    /// Asks chat-core again about a conversation it follows, or about all.
    pub fn ask_again(&self, room: Option<Uuid>) {
        let mut again = self.again.borrow_mut();
        for (id, subscription) in self.subscriptions.borrow_mut().iter_mut() {
            if room.is_none_or(|room| room == *id) {
                subscription.stale = true;
                if subscription.placed && !subscription.asking && !again.contains(id) {
                    again.push(*id);
                }
            }
        }
        if !again.is_empty() {
            self.socket.wake();
        }
    }

    /// The control log may be another one: what is known by its positions counts no more, and all is asked for again.
    pub fn judge_anew(&self) {
        self.subscriptions.borrow_mut().values_mut().for_each(Subscription::judge_anew);
        self.ask_again(None);
    }

    /// A log it follows was made anew: it comes in again, from where it stood.
    pub fn reload(&self, position: Position) {
        self.reload.borrow_mut().push(position);
        self.socket.wake();
    }

    /// It is in a room now: what changed on the way is asked for again.
    pub fn joined(&self, room: Uuid) {
        let stale = self.subscriptions.borrow().get(&room).is_some_and(|subscription| subscription.stale);
        if stale {
            self.again.borrow_mut().push(room);
            self.socket.wake();
        }
    }

    /// Verdicts whose time is over are asked for again. Gives when the next one ends by itself, milliseconds since 1970.
    pub fn ask_for_what_ended(&self, now_ms: i64) -> Option<i64> {
        let mut again = self.again.borrow_mut();
        let mut next_ms = None;
        for (room, subscription) in self.subscriptions.borrow_mut().iter_mut() {
            let until_ms = subscription.valid_until_ms;
            if until_ms == 0 || !subscription.placed {
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

    /// The gateway is stopping: once the post in flight has its receipt, this socket is closed.
    pub fn drain(&self) {
        self.draining.set(true);
        self.socket.wake();
    }

    /// Ends a subscription, and says why.
    fn end_subscription(&self, core: &Core, room: Uuid, re: u32, reason: Option<Refusal>) {
        let subscription = self.subscriptions.borrow_mut().remove(&room);
        if let Some(subscription) = subscription {
            core.leave(room, self, &subscription);
        }
        self.tell(re, server_frame::Frame::Unsubscribed(Unsubscribed { conversation: room.to_string(), reason }));
    }

    /// What chat-core says now: the subscription ends, or the right to post is told where it changed. `false`: it was judged before
    /// what is known here, and says nothing.
    fn judged_again(&self, core: &Core, room: Uuid, Watched { verdict, control }: &Watched) -> bool {
        let heard = core.shared.chat_cores.control().position();
        let known = self.subscriptions.borrow().get(&room).map(|subscription| subscription.knows_better(*control, heard));
        match known {
            Some(false) => {}
            Some(true) => return false,
            // Unsubscribed meanwhile.
            None => return true,
        }
        if let Some(refusal) = &verdict.refusal {
            if !self.dark(refusal) {
                self.end_subscription(core, room, 0, Some(refusal.clone()));
            }
            return true;
        }
        let changed = self.subscriptions.borrow_mut().get_mut(&room).map(|subscription| subscription.take(verdict, *control));
        let Some(changed) = changed else { return true };
        if verdict.valid_until_ms != 0 {
            core.look_by(self.id.get(), verdict.valid_until_ms);
        }
        if changed {
            self.tell_post_state(room);
        }
        true
    }

    /// Tells whether it may post in a room that it follows.
    pub fn tell_post_state(&self, room: Uuid) {
        let Some(state) = self.subscriptions.borrow().get(&room).map(Subscription::post_state) else { return };
        let state = State { conversation: room.to_string(), state: Some(proto::v1::state::State::Post(state)) };
        let frame = Frame::of(self.subprotocol, &ServerFrame { re: 0, frame: Some(server_frame::Frame::State(state)) });
        self.socket.send_state((room.as_u128(), POST_STATE), &frame);
    }

    /// Whether this refusal says that a screen's link is good no more: it is closed, and is not to come back.
    fn dark(&self, refusal: &Refusal) -> bool {
        let dark = self.is_screen() && refusal.code() == RefusalCode::SessionEnded;
        if dark {
            self.socket.close(CloseCode::SessionEnded);
        }
        dark
    }

    /// Who has signed in, and how to come back.
    fn welcome(&self, core: &Core) -> Welcome {
        let shared = &core.shared;
        let now_ms = clock::now_ms();
        let identity = self.identity.borrow();
        let Some(identity) = identity.as_ref() else { return Welcome::default() };
        let issued = shared.tokens.issue(identity, now_ms);
        Welcome {
            // A screen's number is ours, and means nothing to it.
            person: if identity.display.is_some() { 0 } else { identity.person },
            display: identity.display.clone(),
            session: identity.session.clone(),
            resume_token: issued.token,
            resume_token_expires_ms: issued.expires_ms,
            time_ms: now_ms,
            heartbeat_ms: shared.options.heartbeat_ms,
            gateway: shared.gateway.clone(),
            limits: Some(proto::v1::Limits {
                text_bytes: proto::limits::TEXT_BYTES as u32,
                frame_bytes: proto::limits::FRAME_IN_BYTES as u32,
                page_events: proto::limits::PAGE_EVENTS,
                subscriptions: proto::limits::SUBSCRIPTIONS as u32,
            }),
            retry: Some(shared.options.retry()),
        }
    }

    /// It is known now whose it is.
    fn sign_in(&self, core: &Core, identity: Identity) -> Result<(), CloseCode> {
        let person = identity.person;
        let mut people = core.people.borrow_mut();
        let places = people.entry(person).or_default();
        if places.len() >= core.shared.options.person_sockets_most {
            return Err(CloseCode::TooManySockets);
        }
        places.push(self.id.get().place);
        drop(people);
        if proto::display::is_screen(person) {
            core.screens.borrow_mut().insert(person);
        }
        self.person.set(person);
        core.shared.fanout.want_person(person);
        self.counted.settled();
        // Ended between the check and now: whoever told of it did not find this socket yet.
        let ended = core.shared.chat_cores.control().ended(&identity.session, 0, identity.control);
        *self.identity.borrow_mut() = Some(Box::new(identity));
        if ended == Some(true) { Err(CloseCode::SessionEnded) } else { Ok(()) }
    }

    /// Takes it out of everything. Once.
    fn remove(&self, core: &Core) {
        let id = self.id.get();
        if core.session(id).is_none() {
            return;
        }
        let subscriptions = std::mem::take(&mut *self.subscriptions.borrow_mut());
        for (room, subscription) in subscriptions {
            core.leave(room, self, &subscription);
        }
        let person = self.person.get();
        if person != 0 {
            let mut people = core.people.borrow_mut();
            if let Some(places) = people.get_mut(&person) {
                places.retain(|place| *place != id.place);
                if places.is_empty() {
                    people.remove(&person);
                    core.screens.borrow_mut().remove(&person);
                }
            }
            core.shared.fanout.unwant_person(person);
        }
        core.sessions.borrow_mut().remove(id.place as usize);
    }
}

/// Nothing of a socket grows with what its client names: an id of a conversation, or why not.
fn conversation(id: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(id).map_err(|_| Refusal::of(RefusalCode::Malformed).field("conversation"))
}
