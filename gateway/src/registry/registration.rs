//! The one owner of a socket's life on its core.

use std::rc::Rc;

use proto::{CloseCode, Subprotocol, internal::v1::Identity, v1::SignIn};

use super::{core::Core, session::Session, socket_count::SocketCount};
use crate::{
    fanout::SocketId,
    socket::{Dialect, Socket},
};

/// A socket's registration: while it lives, the socket is found by its slot, and by its person once that has signed in.
/// Dropped, be it in order or because its task was cut off or panicked, it takes the socket out of everything: its rooms
/// (and by them presence), people, screens, the partitions wanted for its person, the slab, and the bound on unsigned sockets.
/// The count of all sockets goes on until the connection itself is let go.
pub struct Registration {
    core: Rc<Core>,
    session: Rc<Session>,
}

impl Registration {
    /// Registers a new socket.
    #[must_use]
    pub fn new(core: &Rc<Core>, socket: Socket, subprotocol: Subprotocol, count: SocketCount) -> Self {
        let serial = core.next_serial();
        let mut sessions = core.sessions.borrow_mut();
        let vacant = sessions.vacant_entry();
        let id = SocketId { core: core.index, slot: vacant.key() as u32, serial };
        // Until it signs in with its capabilities, it is sent what every client of its subprotocol reads.
        let dialect = Dialect::negotiate(subprotocol, &SignIn::default());
        let session = Rc::new(Session::new(id, socket, subprotocol, dialect, count));
        vacant.insert(session.clone());
        drop(sessions);
        core.schedule_checks(id);
        Self { core: core.clone(), session }
    }

    /// The socket.
    #[must_use]
    pub fn session(&self) -> &Rc<Session> {
        &self.session
    }

    /// The core that owns it.
    #[must_use]
    pub fn core(&self) -> &Rc<Core> {
        &self.core
    }

    /// Registers it under the person who signed in.
    ///
    /// # Errors
    /// Too many sockets of that person, or the session has ended: the socket is to be closed with this.
    pub fn sign_in(&self, identity: Identity) -> Result<(), CloseCode> {
        let (core, session, person) = (&self.core, &self.session, identity.person);
        let mut people = core.people.borrow_mut();
        let slots = people.entry(person).or_default();
        if slots.len() >= core.shared.options.person_sockets_most {
            return Err(CloseCode::TooManySockets);
        }
        slots.push(session.id.slot);
        drop(people);
        if proto::display::is_screen(person) {
            core.screens.borrow_mut().insert(person);
        }
        session.person.set(person);
        core.shared.fanout.want_person(person);
        session.count.release_unsigned();
        // Where it ended between the check and now, whoever applied that event did not find this socket yet.
        let ended = core.shared.chat_cores.control().has_ended(&identity.session, 0, identity.control);
        *session.identity.borrow_mut() = Some(Box::new(identity));
        if ended == Some(true) { Err(CloseCode::SessionEnded) } else { Ok(()) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let (core, session) = (&self.core, &self.session);
        let subscriptions = std::mem::take(&mut *session.subscriptions.borrow_mut());
        for (room, subscription) in subscriptions {
            core.leave_room(room, session, &subscription);
        }
        let person = session.person();
        if person != 0 {
            let mut people = core.people.borrow_mut();
            if let Some(slots) = people.get_mut(&person) {
                slots.retain(|slot| *slot != session.id.slot);
                if slots.is_empty() {
                    people.remove(&person);
                    core.screens.borrow_mut().remove(&person);
                }
            }
            core.shared.fanout.unwant_person(person);
        }
        core.sessions.borrow_mut().remove(session.id.slot as usize);
        // A socket that is only being closed does not keep others from signing in.
        session.count.release_unsigned();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::Ordering};

    use backbone::MemoryBackbone;
    use clock::Clock;
    use proto::display;
    use tokio::{
        net::{TcpListener, TcpStream},
        sync::mpsc,
        task::{LocalSet, spawn_local},
    };
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::*;
    use crate::{
        fanout::{Fanout, RoomMessage},
        registry::{HubOptions, Shared, Subscription},
        socket::{Stream, Wire, WireOptions},
        tokens::{ResumeTokens, TokenOptions},
        upstream::{ChatCores, PresenceReporter, UpstreamOptions},
    };

    fn core() -> Rc<Core> {
        let options = HubOptions::default();
        let chat_cores = ChatCores::new(UpstreamOptions::default(), Vec::new());
        let (backbone, stop) = (Arc::new(MemoryBackbone::new(16)), CancellationToken::new());
        let messages = vec![mpsc::channel(16).0];
        let rooms = options.to_room_options();
        let fanout = Fanout::start(chat_cores.clone(), backbone, PresenceReporter::default(), rooms, messages, stop);
        let shared = Shared {
            gateway: "test".to_owned(),
            tokens: ResumeTokens::new(&TokenOptions::default(), chat_cores.clone()).unwrap(),
            chat_cores,
            fanout,
            options,
            clock: Clock::default(),
            sockets: 0.into(),
            unsigned: 0.into(),
            draining: false.into(),
        };
        Core::new(0, Arc::new(shared))
    }

    async fn register(core: &Rc<Core>) -> (Registration, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let wire = Wire::new(Stream::Plain(stream), WireOptions { unsent_bytes: 32 * 1024, dead_after_ms: 1_000 }).unwrap();
        let (count, ..) = SocketCount::add(core.shared.clone());
        (Registration::new(core, Socket::new(wire, 1 << 20), Subprotocol::Proto, count), client)
    }

    fn identity(person: u32) -> Identity {
        Identity { person, session: format!("session-{person}"), ..Identity::default() }
    }

    /// As a room has it once the socket's answer is out.
    fn join(core: &Core, session: &Rc<Session>, room: Uuid) {
        let mut subscription = Subscription::default();
        subscription.joined = true;
        session.subscriptions.borrow_mut().insert(room, subscription);
        core.rooms.borrow_mut().entry(room).or_default().sockets.insert(session.socket.descriptor(), session.clone());
    }

    fn expect_in_nothing(core: &Core) {
        assert!(core.sessions.borrow().is_empty() && core.rooms.borrow().is_empty());
        assert!(core.people.borrow().is_empty() && core.screens.borrow().is_empty());
        assert_eq!((core.shared.sockets.load(Ordering::Relaxed), core.shared.unsigned.load(Ordering::Relaxed)), (0, 0));
    }

    #[tokio::test]
    async fn a_socket_whose_task_panics_is_in_nothing_any_more() {
        let test = async {
            let core = core();
            let (room, joining) = (Uuid::now_v7(), Uuid::now_v7());
            let (mut messages, mut others) = (core.shared.fanout.open_for_test(room), core.shared.fanout.open_for_test(joining));
            let rooms_wanted = core.shared.fanout.count_wanted();
            for person in [27_000, display::FROM] {
                let (registration, _client) = register(&core).await;
                assert_eq!(core.shared.unsigned.load(Ordering::Relaxed), 1);
                registration.sign_in(identity(person)).unwrap();
                let (session, id) = (registration.session().clone(), registration.session().id);
                join(&core, &session, room);
                session.subscriptions.borrow_mut().insert(joining, Subscription::default());
                assert_eq!((core.find_by_person(person).len(), core.sessions.borrow().len()), (1, 1));
                assert_eq!(core.screens.borrow().len(), usize::from(display::is_screen(person)));
                drop(session);
                let task = spawn_local(async move {
                    tokio::task::yield_now().await;
                    assert!(registration.session().person() == 0, "the session's task fails");
                });
                assert!(task.await.unwrap_err().is_panic());
                expect_in_nothing(&core);
                assert!(core.find(id).is_none());
                assert_eq!(core.shared.fanout.count_wanted(), rooms_wanted, "nothing is wanted for its person");
                // Its room counts it out once, which takes the person out of presence; where it had not joined yet nobody does.
                let left = messages.try_recv().unwrap();
                assert!(matches!(left, RoomMessage::Leave { socket, person: whose, .. } if socket == id && whose == person), "{left:?}");
                assert!(messages.try_recv().is_err() && others.try_recv().is_err());
            }
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test]
    async fn one_of_a_persons_sockets_leaves_the_other_where_it_is() {
        let core = core();
        let (one, _first) = register(&core).await;
        let (two, _second) = register(&core).await;
        let (third, _third) = register(&core).await;
        one.sign_in(identity(7)).unwrap();
        two.sign_in(identity(7)).unwrap();
        let gone = one.session().id;
        drop(one);
        assert!(core.find(gone).is_none());
        assert_eq!(core.find_by_person(7).iter().map(|session| session.id).collect::<Vec<_>>(), [two.session().id]);
        assert_eq!((core.shared.sockets.load(Ordering::Relaxed), core.shared.unsigned.load(Ordering::Relaxed)), (2, 1));
        // Its slot goes to another, which is not taken for it.
        let (next, _next) = register(&core).await;
        assert_eq!((next.session().id.slot, core.find(gone).is_none()), (gone.slot, true));
        drop((two, third, next));
        expect_in_nothing(&core);
    }

    #[tokio::test]
    async fn a_goodbye_counts_as_a_socket_and_not_as_an_unsigned_one() {
        let core = core();
        let (registration, _client) = register(&core).await;
        let session = registration.session().clone();
        drop(registration);
        assert_eq!((core.shared.sockets.load(Ordering::Relaxed), core.shared.unsigned.load(Ordering::Relaxed)), (1, 0));
        drop(session);
        expect_in_nothing(&core);
    }
}
