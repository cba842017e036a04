//! One core: a thread that owns its sockets, and alone writes to them. It has a runtime of its own, where it does not share the
//! process's only one.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    rc::{Rc, Weak},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use proto::{
    CloseCode, Subprotocol,
    v1::{Position, ServerFrame, Tops, server_frame},
};
use slab::Slab;
use smallvec::SmallVec;
use tokio::{
    sync::mpsc,
    task::{LocalSet, spawn_local, yield_now},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Accepted, Shared, control,
    counted::Counted,
    members::{Members, Turn},
    news::News,
    wheel::{Look, Wheel},
};
use crate::{
    Fault,
    fanout::{Command, Join, SocketId, ToRoom},
    session::{self, Session, Subscription},
    socket::{Frame, READ_BYTES},
};

/// The clock by which heartbeats are due.
const TICK: Duration = Duration::from_millis(500);

/// What one core owns. Everything here is touched by its one thread only.
pub struct Core {
    /// Which one.
    pub index: u32,
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// The sockets, by place.
    pub sessions: RefCell<Slab<Rc<Session>>>,
    /// The rooms that have sockets here.
    pub rooms: RefCell<HashMap<Uuid, Members>>,
    /// The sockets of each person.
    pub people: RefCell<HashMap<u32, SmallVec<[u32; 2]>>>,
    /// Numbers of the screens among them.
    pub screens: RefCell<HashSet<u32>>,
    /// What lists of consultations are to be told.
    pub news: News,
    /// Rooms with something to write.
    ready: RefCell<VecDeque<Uuid>>,
    /// Where the control log last changed what anybody may do, as far as the sockets here were told.
    pub rights_at: Cell<u64>,
    /// Lent to one socket after the other for reading.
    pub scratch: RefCell<Vec<u8>>,
    serial: Cell<u64>,
    wheel: RefCell<Wheel>,
}

/// Starts a core on the thread that calls, which must be inside a `LocalSet`.
pub fn start_here(index: u32, shared: Arc<Shared>, receiver: mpsc::Receiver<Command>, stop: CancellationToken) {
    spawn_local(Core::new(index, shared).serve(receiver, stop));
}

/// Starts a core's thread.
///
/// # Errors
/// When the system refuses it.
pub fn start(index: u32, shared: Arc<Shared>, receiver: mpsc::Receiver<Command>, stop: CancellationToken) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Fault::System { doing: "making a core's runtime", cause })?;
    std::thread::Builder::new()
        .name(format!("core-{index}"))
        .spawn(move || LocalSet::new().block_on(&runtime, Core::new(index, shared).serve(receiver, stop)))
        .map_err(|cause| Fault::System { doing: "starting a core", cause })?;
    Ok(())
}

impl Core {
    fn new(index: u32, shared: Arc<Shared>) -> Rc<Self> {
        let looks = (shared.options.heartbeat_ms / 2 / TICK.as_millis() as u32) as usize;
        Rc::new(Self {
            index,
            shared,
            sessions: RefCell::default(),
            rooms: RefCell::default(),
            people: RefCell::default(),
            screens: RefCell::default(),
            news: News::default(),
            ready: RefCell::default(),
            rights_at: Cell::new(0),
            scratch: RefCell::new(vec![0; READ_BYTES]),
            serial: Cell::new(0),
            wheel: RefCell::new(Wheel::new(looks)),
        })
    }

    async fn serve(self: Rc<Self>, receiver: mpsc::Receiver<Command>, stop: CancellationToken) {
        tokio::select! {
            () = self.clone().run(receiver) => {}
            () = self.clone().keep_time() => {}
            () = control::follow(self.clone()) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn run(self: Rc<Self>, mut receiver: mpsc::Receiver<Command>) {
        loop {
            if self.ready.borrow().is_empty() {
                let Some(command) = receiver.recv().await else { return };
                self.take(command);
            }
            for _ in 0..64 {
                match receiver.try_recv() {
                    Ok(command) => self.take(command),
                    Err(_) => break,
                }
            }
            let room = self.ready.borrow_mut().pop_front();
            if let Some(room) = room {
                self.write(room);
            }
            // The sockets read, and the other rooms have their turn.
            yield_now().await;
        }
    }

    fn take(self: &Rc<Self>, command: Command) {
        match command {
            Command::Accept(accepted) => self.accept(*accepted),
            Command::Room { room, what } => {
                let mut rooms = self.rooms.borrow_mut();
                let members = rooms.entry(room).or_default();
                members.queue.push_back(what);
                if !members.queued {
                    members.queued = true;
                    self.ready.borrow_mut().push_back(room);
                }
            }
            Command::Person { person, proto, json } => {
                for session in self.sessions_of(person) {
                    session.socket.send(match session.subprotocol {
                        Subprotocol::Proto => &proto,
                        Subprotocol::Json => &json,
                    });
                }
            }
            Command::Drain { over_ms } => self.drain(over_ms),
        }
    }

    /// One turn of one room.
    fn write(self: &Rc<Self>, room: Uuid) {
        let mut rooms = self.rooms.borrow_mut();
        let Some(members) = rooms.get_mut(&room) else { return };
        let turn = members.turn();
        let more = matches!(turn, Turn::More) || !members.queue.is_empty();
        members.queued = more;
        if more {
            self.ready.borrow_mut().push_back(room);
        }
        match turn {
            Turn::Done(ToRoom::Join { join, frames, top }) => {
                members.top = top;
                drop(rooms);
                self.joined(room, *join, &frames);
                self.forget_if_empty(room);
            }
            Turn::Done(ToRoom::Anew { position }) => {
                let sessions: Vec<Rc<Session>> = std::mem::take(&mut members.sockets).into_values().collect();
                drop(rooms);
                for session in sessions {
                    if let Some(subscription) = session.subscriptions.borrow_mut().get_mut(&room) {
                        subscription.placed = false;
                    }
                    self.tell_left(room, &session);
                    session.reload(position.clone());
                }
                self.forget_if_empty(room);
            }
            Turn::Done(ToRoom::Events { .. } | ToRoom::State { .. }) | Turn::More | Turn::Idle => {
                drop(rooms);
                self.forget_if_empty(room);
            }
        }
    }

    /// A room that has no sockets here, and nothing to tell, is not kept.
    fn forget_if_empty(&self, room: Uuid) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.get(&room).is_some_and(|members| members.sockets.is_empty() && members.queue.is_empty()) {
            rooms.remove(&room);
        }
    }

    fn joined(self: &Rc<Self>, room: Uuid, join: Join, frames: &[Frame]) {
        let session = self.session(join.socket);
        let Some(session) = session.filter(|session| session.subscriptions.borrow().contains_key(&room)) else {
            // Gone meanwhile. The room counts it already.
            if !join.again {
                self.shared.fanout.leave(room, join.socket, join.person, join.dialect);
            }
            return;
        };
        let placed = session.subscriptions.borrow().get(&room).is_some_and(|subscription| subscription.placed);
        if join.again && !placed {
            // It left, and asked anew since: that answer is on its way.
            return;
        }
        if !join.again && placed {
            // It asked twice before the first answer came: it is one socket all the same.
            self.tell_left(room, &session);
        }
        let join = Join { again: join.again || placed, ..join };
        let replay: usize = frames.iter().skip(1).map(Frame::len).sum();
        if replay > 0 && !join.pages && session.socket.waiting_bytes() + replay > self.shared.options.outbox_bytes / 2 {
            // All its rooms at once would make it SLOW, and again whenever it came back: of this one it pages what it missed.
            let pages = Join { pages: true, ..join };
            let counted = !pages.again;
            if !self.shared.fanout.join(room, pages) {
                if counted {
                    self.tell_left(room, &session);
                }
                session.socket.close(CloseCode::Slow);
            }
            return;
        }
        for frame in frames {
            session.socket.send(frame);
        }
        let mut rooms = self.rooms.borrow_mut();
        let members = rooms.entry(room).or_default();
        let mut subscriptions = session.subscriptions.borrow_mut();
        let mut overtaken = false;
        if let Some(subscription) = subscriptions.get_mut(&room) {
            subscription.placed = true;
            members.sockets.insert(session.socket.descriptor(), session.clone());
            overtaken = subscription.knows_better(join.control, self.shared.chat_cores.control().position());
            if !overtaken {
                subscription.take(&join.verdict, join.control);
            }
        }
        drop(subscriptions);
        drop(rooms);
        if overtaken {
            // It was told just now what was true when it asked.
            session.tell_post_state(room);
        }
        if join.verdict.valid_until_ms != 0 {
            self.look_by(join.socket, join.verdict.valid_until_ms);
        }
        session.joined(room);
    }

    /// A socket of this core, if it is still the same.
    #[must_use]
    pub fn session(&self, socket: SocketId) -> Option<Rc<Session>> {
        let sessions = self.sessions.borrow();
        sessions.get(socket.place as usize).filter(|session| session.id.get().serial == socket.serial).cloned()
    }

    /// All sockets of a person here.
    #[must_use]
    pub fn sessions_of(&self, person: u32) -> SmallVec<[Rc<Session>; 2]> {
        let (people, sessions) = (self.people.borrow(), self.sessions.borrow());
        let places = people.get(&person);
        places.into_iter().flatten().filter_map(|place| sessions.get(*place as usize).cloned()).collect()
    }

    /// Takes a socket out of a room.
    pub fn leave(&self, room: Uuid, session: &Session, subscription: &Subscription) {
        if subscription.placed {
            let mut rooms = self.rooms.borrow_mut();
            if let Some(members) = rooms.get_mut(&room) {
                members.sockets.remove(&session.socket.descriptor());
            }
            drop(rooms);
            self.forget_if_empty(room);
            self.tell_left(room, session);
        }
    }

    fn tell_left(&self, room: Uuid, session: &Session) {
        self.shared.fanout.leave(room, session.id.get(), session.person(), session.dialect.get());
    }

    fn accept(self: &Rc<Self>, accepted: Accepted) {
        let shared = &self.shared;
        let options = &shared.options;
        let (guard, sockets, unsigned) = Counted::one_more(shared.clone());
        let refused = if shared.draining.load(Ordering::Acquire) {
            Some(CloseCode::Draining)
        } else if sockets >= options.sockets_most || unsigned >= options.unsigned_most {
            Some(CloseCode::Overloaded)
        } else {
            None
        };
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        match session::start(self, accepted, guard, refused, serial) {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "a socket was gone before it began"),
        }
    }

    fn drain(self: &Rc<Self>, over_ms: u64) {
        let sessions: Vec<Weak<Session>> = self.sessions.borrow().iter().map(|(_, session)| Rc::downgrade(session)).collect();
        for session in sessions {
            let wait = Duration::from_millis(rand::random_range(0..=over_ms));
            spawn_local(async move {
                tokio::time::sleep(wait).await;
                if let Some(session) = session.upgrade() {
                    session.drain();
                }
            });
        }
    }

    /// Heartbeats: whoever was sent nothing for long is told where its conversations stand. Each socket is looked at twice
    /// in the time of a heartbeat, and what was sent between two looks is as good as one.
    async fn keep_time(self: Rc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now_ms = crate::clock::now_ms();
            let due = self.wheel.borrow_mut().turn();
            for (number, (socket, look)) in due.into_iter().enumerate() {
                if let Some(session) = self.session(socket) {
                    self.look_at(&session, look, now_ms);
                }
                if number % 128 == 127 {
                    yield_now().await;
                }
            }
        }
    }

    fn look_at(&self, session: &Session, look: Look, now_ms: i64) {
        let until_ms = session.ask_for_what_ended(now_ms);
        if look == Look::Once {
            return;
        }
        if !session.socket.take_active() && session.person() != 0 {
            session.socket.send(&self.tops(session, now_ms));
        }
        let socket = session.id.get();
        let mut wheel = self.wheel.borrow_mut();
        let most = wheel.most();
        wheel.after(most, socket, Look::Always);
        drop(wheel);
        if let Some(until_ms) = until_ms {
            self.look_by(socket, until_ms);
        }
    }

    /// A new socket is looked at from now on; those that come together are not all due together.
    pub fn look_after(&self, socket: SocketId) {
        let mut wheel = self.wheel.borrow_mut();
        let ticks = 1 + socket.serial as usize % wheel.most();
        wheel.after(ticks, socket, Look::Always);
    }

    /// A right of this socket ends by itself at this time: it is looked at then.
    pub fn look_by(&self, socket: SocketId, until_ms: i64) {
        // The tick under way is partly over: so many after it are not too few.
        let ticks = (until_ms - crate::clock::now_ms()).max(0) as u64 / TICK.as_millis() as u64 + 2;
        let mut wheel = self.wheel.borrow_mut();
        // What is farther away is seen by a look before.
        if ticks <= wheel.most() as u64 {
            wheel.after(ticks as usize, socket, Look::Once);
        }
    }

    fn tops(&self, session: &Session, now_ms: i64) -> Frame {
        let rooms = self.rooms.borrow();
        let subscriptions = session.subscriptions.borrow();
        let tops = subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.placed)
            .filter_map(|(room, _)| rooms.get(room).map(|members| (room, members.top)))
            .filter(|(_, top)| top.seq > 0)
            .map(|(room, top)| proto::v1::Top {
                position: Some(Position { conversation: room.to_string(), epoch: top.epoch, seq: top.seq }),
                mseq: top.mseq,
            })
            .collect();
        let frame = server_frame::Frame::Tops(Tops { tops, time_ms: now_ms });
        Frame::of(session.subprotocol, &ServerFrame { re: 0, frame: Some(frame) })
    }
}
