//! One core: a thread that owns its sockets, and alone writes to them.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use slab::Slab;
use smallvec::SmallVec;
use uuid::Uuid;

use super::{
    members::Members,
    session::Session,
    shared::Shared,
    subscription::Subscription,
    wheel::{Checks, Wheel},
};
use crate::{fanout::SocketId, socket::READ_BYTES};

/// What one core owns. Everything here is touched by its one thread only.
pub struct Core {
    /// Which one, from 0.
    pub index: u32,
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// The sockets, by slot.
    pub sessions: RefCell<Slab<Rc<Session>>>,
    /// The rooms that have sockets here.
    pub rooms: RefCell<HashMap<Uuid, Members>>,
    /// The slots of each person's sockets.
    pub people: RefCell<HashMap<u32, SmallVec<[u32; 2]>>>,
    /// The numbers of the screens among the people.
    pub screens: RefCell<HashSet<u32>>,
    /// Rooms with something to write.
    pub ready: RefCell<VecDeque<Uuid>>,
    /// Where the control log last changed what anybody may do, as far as it was applied to the sockets here.
    pub rights_at: Cell<u64>,
    /// Lent to one socket after the other for reading.
    pub scratch: RefCell<Vec<u8>>,
    /// When each socket is checked.
    pub wheel: RefCell<Wheel>,
    serial: Cell<u64>,
}

impl Core {
    /// From one tick of the wheel to the next.
    pub const TICK: Duration = Duration::from_millis(500);

    /// A core without sockets.
    #[must_use]
    pub fn new(index: u32, shared: Arc<Shared>) -> Rc<Self> {
        // Each socket is checked twice in the time of a heartbeat.
        let ticks = (shared.options.heartbeat_ms / 2 / Self::TICK.as_millis() as u32) as usize;
        Rc::new(Self {
            index,
            shared,
            sessions: RefCell::default(),
            rooms: RefCell::default(),
            people: RefCell::default(),
            screens: RefCell::default(),
            ready: RefCell::default(),
            rights_at: Cell::new(0),
            scratch: RefCell::new(vec![0; READ_BYTES]),
            wheel: RefCell::new(Wheel::new(ticks)),
            serial: Cell::new(0),
        })
    }

    /// The serial number of a new socket.
    pub(super) fn next_serial(&self) -> u64 {
        let serial = self.serial.get() + 1;
        self.serial.set(serial);
        serial
    }

    /// A socket of this core, if its slot has not been given to another since.
    #[must_use]
    pub fn find(&self, socket: SocketId) -> Option<Rc<Session>> {
        let sessions = self.sessions.borrow();
        sessions.get(socket.slot as usize).filter(|session| session.id.serial == socket.serial).cloned()
    }

    /// All sockets of a person here.
    #[must_use]
    pub fn find_by_person(&self, person: u32) -> SmallVec<[Rc<Session>; 2]> {
        let (people, sessions) = (self.people.borrow(), self.sessions.borrow());
        let slots = people.get(&person);
        slots.into_iter().flatten().filter_map(|slot| sessions.get(*slot as usize).cloned()).collect()
    }

    /// Every socket here.
    #[must_use]
    pub fn list_sessions(&self) -> Vec<Rc<Session>> {
        self.sessions.borrow().iter().map(|(_, session)| session.clone()).collect()
    }

    /// Takes a socket out of a room that it followed by `subscription`.
    pub fn leave_room(&self, room: Uuid, session: &Session, subscription: &Subscription) {
        if subscription.joined {
            if let Some(members) = self.rooms.borrow_mut().get_mut(&room) {
                members.sockets.remove(&session.socket.descriptor());
            }
            self.forget_if_empty(room);
            self.uncount(room, session);
        }
    }

    /// The room counts a socket no more.
    pub fn uncount(&self, room: Uuid, session: &Session) {
        self.shared.fanout.leave(room, session.id, session.person(), session.dialect.get());
    }

    /// Drops a room that has no sockets here and nothing to write.
    pub fn forget_if_empty(&self, room: Uuid) {
        let mut rooms = self.rooms.borrow_mut();
        if rooms.get(&room).is_some_and(|members| members.sockets.is_empty() && members.queue.is_empty()) {
            rooms.remove(&room);
        }
    }

    /// Has a new socket checked from now on; those that come together are not all due together.
    pub fn schedule_checks(&self, socket: SocketId) {
        let mut wheel = self.wheel.borrow_mut();
        let ticks = 1 + socket.serial as usize % wheel.reach();
        wheel.schedule(ticks, socket, Checks::Always);
    }

    /// Has a socket checked at `until_ms` (milliseconds since 1970), when a right of it ends by itself.
    pub fn schedule_check_at(&self, socket: SocketId, until_ms: i64) {
        // The tick under way is partly over, and the division rounds down: two more are never too early.
        let ticks = (until_ms - self.shared.clock.now_ms()).max(0) as u64 / Self::TICK.as_millis() as u64 + 2;
        let mut wheel = self.wheel.borrow_mut();
        // What is farther away is seen by a regular check before.
        if ticks <= wheel.reach() as u64 {
            wheel.schedule(ticks as usize, socket, Checks::Once);
        }
    }
}
