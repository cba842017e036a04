//! The one push: "something of yours changed", so that lists stay true on every screen. Whom a change concerns is said by the
//! control event or, where it concerns whoever may watch a conversation, by chat-core, asked once for thousands of people;
//! nobody else learns that there is such a thing. What changed is passed on as it came and never looked into: a new subject
//! needs nothing here. A frame may be missed over a break: clients list again after each Welcome.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::Duration,
};

use prost::Message as _;
use proto::{
    internal::v1::{Concern, FindAudienceRequest, FindAudienceResponse},
    limits,
    v1::{self, Audience, Change, server_frame},
};
use tokio::{
    task::{spawn_local, yield_now},
    time::{Instant, sleep},
};

use crate::{registry::Core, socket::FramePair};

/// People asked about in one call.
const PEOPLE: usize = 4_096;
/// Changes for whoever may watch a conversation that are gathered at once, one bit each in a [`List`]; past it clients are
/// asked to list again.
const AUDIENCES: usize = 64;
/// Changes for named people that are gathered at once, of all people and of one; past it they are asked to list again.
const NAMED: usize = 4_096;
const NAMED_EACH: usize = 64;
/// Changes in one frame at most, bytes; past it the client is asked to list again.
const FRAME_BYTES: usize = limits::FRAME_OUT_BYTES / 4;
/// How soon a chat-core that is behind, or does not answer, is asked again, and for how long.
const AGAIN: Duration = Duration::from_millis(250);
const ASK_WITHIN: Duration = Duration::from_secs(5);
/// Sockets written before the others have their turn.
const AT_ONCE: usize = 256;

/// Gathers changes for the sockets of one core, and sends them.
pub struct ChangeSender {
    core: Rc<Core>,
    pending: RefCell<Pending>,
    gathering: Cell<bool>,
}

/// A change, and the control log's position of its event.
#[derive(Clone, Debug)]
struct Placed {
    change: Change,
    position: u64,
}

impl Placed {
    fn is_of(&self, other: &Self) -> bool {
        (&self.change.subject, &self.change.id) == (&other.change.subject, &other.change.id)
    }

    /// Whether it is to be sent in place of the other: by version, and by position where that does not decide.
    fn is_newer_than(&self, other: &Self) -> bool {
        let (version, others) = (self.change.version, other.change.version);
        if version == 0 || others == 0 || version == others { self.position >= other.position } else { version > others }
    }
}

/// A change for whoever may watch a conversation.
#[derive(Debug)]
struct ForAudience {
    conversation: String,
    placed: Placed,
    /// Whom it was shown to, where it is shown to fewer now.
    before: Vec<Audience>,
}

/// What one named person is to be sent.
#[derive(Debug, Default)]
struct ForPerson {
    /// Indices into [`Pending::named`], one of each thing that changed.
    named: Vec<u32>,
    list_again: bool,
}

/// What is to be sent, gathered for a moment.
#[derive(Debug, Default)]
struct Pending {
    /// By subject and id.
    audiences: BTreeMap<(String, String), ForAudience>,
    named: Vec<Placed>,
    people: HashMap<u32, ForPerson>,
    /// More than can be listed.
    everybody: bool,
    /// The control log's position of the newest of these.
    control: u64,
}

impl Pending {
    fn add_for_audience(&mut self, conversation: &str, placed: Placed, before: &[Audience]) {
        let key = (placed.change.subject.clone(), placed.change.id.clone());
        if let Some(known) = self.audiences.get_mut(&key) {
            known.before.extend(before.iter().cloned());
            if placed.is_newer_than(&known.placed) {
                conversation.clone_into(&mut known.conversation);
                known.placed = placed;
            }
        } else if self.audiences.len() < AUDIENCES {
            self.audiences.insert(key, ForAudience { conversation: conversation.to_owned(), placed, before: before.to_vec() });
        } else {
            self.everybody = true;
        }
    }

    fn add_for_people(&mut self, people: &[u32], placed: Placed) {
        if self.named.len() >= NAMED {
            return self.list_again(people);
        }
        let index = self.named.len() as u32;
        for person in people {
            let for_person = self.people.entry(*person).or_default();
            let has_room = for_person.named.len() < NAMED_EACH;
            match for_person.named.iter_mut().find(|known| self.named[**known as usize].is_of(&placed)) {
                Some(known) if placed.is_newer_than(&self.named[*known as usize]) => *known = index,
                Some(_) => {}
                None if has_room => for_person.named.push(index),
                None => for_person.list_again = true,
            }
        }
        self.named.push(placed);
    }

    fn list_again(&mut self, people: &[u32]) {
        for person in people {
            self.people.entry(*person).or_default().list_again = true;
        }
    }
}

/// What one person is sent: a bit for each change of an audience, and the changes for them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct List {
    changed: u64,
    gone: u64,
    named: Vec<u32>,
    again: bool,
}

impl ChangeSender {
    /// Nothing gathered yet.
    pub fn new(core: Rc<Core>) -> Rc<Self> {
        Rc::new(Self { core, pending: RefCell::default(), gathering: Cell::new(false) })
    }

    /// Adds what the event at `position` says has changed: an urgent change goes at once, others are gathered.
    pub fn add(self: &Rc<Self>, concern: &Concern, position: u64) {
        // Nobody to send it to: so it is for the stretch of the log that a gateway reads back when it starts.
        if (concern.change.is_none() && !concern.lists) || self.core.people.borrow().is_empty() {
            return;
        }
        let mut now = Pending { control: position, ..Pending::default() };
        let mut pending = self.pending.borrow_mut();
        let urgent = concern.change.as_ref().is_some_and(|change| change.urgent);
        if let Some(change) = concern.change.clone() {
            let placed = Placed { change, position };
            let into = if urgent { &mut now } else { &mut *pending };
            if concern.people.is_empty() && !concern.conversation.is_empty() {
                into.add_for_audience(&concern.conversation, placed, &concern.before);
            } else {
                into.add_for_people(&self.list_concerned(concern), placed);
            }
        }
        if urgent {
            let this = self.clone();
            spawn_local(async move { this.send(now).await });
        }
        if concern.lists {
            if concern.people.is_empty() {
                pending.everybody = true;
            } else {
                pending.list_again(&self.list_concerned(concern));
            }
        }
        if concern.lists || !urgent {
            pending.control = pending.control.max(position);
            drop(pending);
            self.gather();
        }
    }

    /// Something may have been missed: everybody lists again.
    pub fn add_missed(self: &Rc<Self>) {
        {
            let mut pending = self.pending.borrow_mut();
            pending.everybody = true;
            // Where the log stands is not known here: whoever is signed in is asked to.
            pending.control = u64::MAX;
        }
        self.gather();
    }

    fn gather(self: &Rc<Self>) {
        if self.gathering.replace(true) {
            return;
        }
        let this = self.clone();
        spawn_local(async move {
            sleep(Duration::from_millis(this.core.shared.options.lists_ms)).await;
            this.gathering.set(false);
            let pending = this.pending.take();
            this.send(pending).await;
        });
    }

    /// Sends what was gathered to all whom it concerns and who had signed in before it; whoever signs in after it lists then.
    async fn send(&self, pending: Pending) {
        let lists = self.find_lists(&pending).await;
        let mut sent = 0;
        // The same goes to many: it is encoded once.
        let mut encoded: HashMap<List, FramePair> = HashMap::new();
        for (number, (person, list)) in lists.into_iter().enumerate() {
            let frames = match encoded.get(&list) {
                Some(frames) => frames.clone(),
                None => {
                    let frames = self.encode(&list, &pending);
                    encoded.insert(list, frames.clone());
                    frames
                }
            };
            for session in self.core.find_by_person(person).iter().filter(|session| session.signed_in_before(pending.control)) {
                session.socket.send(frames.get(session.subprotocol));
                sent += 1;
            }
            if number % AT_ONCE == AT_ONCE - 1 {
                yield_now().await;
            }
        }
        metrics::counter!("yitang_gateway_changes_sent_total").increment(sent);
    }

    async fn find_lists(&self, pending: &Pending) -> HashMap<u32, List> {
        let people = self.list_people();
        if pending.everybody {
            return people.into_iter().map(|person| (person, List { again: true, ..List::default() })).collect();
        }
        let named = pending.people.iter().map(|(person, for_person)| {
            (*person, List { named: for_person.named.clone(), again: for_person.list_again, ..List::default() })
        });
        let mut lists: HashMap<u32, List> = named.collect();
        for (bit, for_audience) in pending.audiences.values().enumerate() {
            for chunk in people.chunks(PEOPLE) {
                let Some(audience) = self.find_audience(for_audience, chunk, pending.control).await else {
                    // They look for themselves, each a little later.
                    chunk.iter().for_each(|person| lists.entry(*person).or_default().again = true);
                    continue;
                };
                audience.may_watch.iter().for_each(|person| lists.entry(*person).or_default().changed |= 1 << bit);
                audience.gone.iter().for_each(|person| lists.entry(*person).or_default().gone |= 1 << bit);
            }
        }
        lists
    }

    /// Asks chat-core until it knows as much of rights as this gateway. `None`: none could say for seconds.
    async fn find_audience(&self, wanted: &ForAudience, people: &[u32], control: u64) -> Option<FindAudienceResponse> {
        let started = Instant::now();
        while started.elapsed() < ASK_WITHIN {
            let request = FindAudienceRequest {
                conversation: wanted.conversation.clone(),
                people: people.to_vec(),
                before: wanted.before.clone(),
                control,
            };
            match self.core.shared.chat_cores.find_audience(request).await {
                Ok(answer) if answer.control >= control => return Some(answer),
                Ok(_) => {}
                Err(refusal) => tracing::debug!(code = refusal.code().as_str_name(), "whom a change concerns is not known yet"),
            }
            sleep(AGAIN).await;
        }
        tracing::warn!(conversation = wanted.conversation, "no chat-core says whom a change concerns; clients are asked to list again");
        None
    }

    fn encode(&self, list: &List, pending: &Pending) -> FramePair {
        let mut changed: Vec<Placed> = Vec::new();
        if !list.again {
            for (bit, for_audience) in pending.audiences.values().enumerate() {
                let gone = list.gone & 1 << bit != 0;
                if gone {
                    // Nothing of it is shown any more.
                    let change = Change { gone, urgent: false, brief: None, ..for_audience.placed.change.clone() };
                    changed.push(Placed { change, position: for_audience.placed.position });
                } else if list.changed & 1 << bit != 0 {
                    changed.push(for_audience.placed.clone());
                }
            }
            // What came by name and by an audience is one thing all the same.
            for named in list.named.iter().map(|index| &pending.named[*index as usize]) {
                match changed.iter_mut().find(|known| known.is_of(named)) {
                    Some(known) if named.is_newer_than(known) => *known = named.clone(),
                    Some(_) => {}
                    None => changed.push(named.clone()),
                }
            }
        }
        let mut frame = v1::Changes { changed: changed.into_iter().map(|placed| placed.change).collect(), ..v1::Changes::default() };
        if list.again || frame.encoded_len() > FRAME_BYTES {
            let spread_ms = self.core.shared.options.lists_spread_ms;
            frame = v1::Changes { list_again: true, spread_ms, ..v1::Changes::default() };
        }
        FramePair::encode(server_frame::Frame::Changes(frame))
    }

    /// Everybody here; screens have no list.
    fn list_people(&self) -> Vec<u32> {
        self.core.people.borrow().keys().copied().filter(|person| !proto::display::is_screen(*person)).collect()
    }

    /// Those named who are here, or everybody where none are.
    fn list_concerned(&self, concern: &Concern) -> Vec<u32> {
        if concern.people.is_empty() {
            return self.list_people();
        }
        let here = self.core.people.borrow();
        concern.people.iter().copied().filter(|person| here.contains_key(person) && !proto::display::is_screen(*person)).collect()
    }
}
