//! Lists of consultations that stay true on every screen: the call to all invited, and what has changed of them. Whom it
//! concerns is for chat-core to say, asked once for thousands of people; nobody else is told that there is such a
//! consultation. A frame may be missed over a break: clients list again after each Welcome.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use proto::{
    Subprotocol,
    internal::v1::{ControlEvent, InvitedRequest, InvitedResponse, control_event::Kind},
    v1::{Audience, ConsultationBrief, ConsultationCalled, ConsultationsChanged, ServerFrame, server_frame},
};
use tokio::{
    task::{spawn_local, yield_now},
    time::sleep,
};
use uuid::Uuid;

use super::Core;
use crate::{session::Session, socket::Frame};

/// People asked about in one call.
const PEOPLE: usize = 4_096;
/// Consultations told of at once; of more, clients are asked to list again. (One bit each.)
const CHANGED: usize = 64;
/// A chat-core that is behind, or none that answers: asked again after so long, and so often.
const AGAIN: Duration = Duration::from_millis(250);
const AGAIN_TIMES: u32 = 20;
/// Sockets written before the others have their turn.
const AT_ONCE: usize = 256;

/// What is to be told, gathered for a moment.
#[derive(Default)]
pub struct News {
    pending: RefCell<Pending>,
    gathering: Cell<bool>,
}

#[derive(Default)]
struct Pending {
    /// With those whom it was shown to, where it is shown to fewer now.
    changed: BTreeMap<Uuid, Vec<Audience>>,
    /// People whose own place in the directory has changed.
    people: HashSet<u32>,
    /// More than can be told.
    everybody: bool,
    /// The control log's position of the newest of these.
    control: u64,
}

/// Takes an event of the control log.
pub fn note(core: &Rc<Core>, event: &ControlEvent) {
    // Nobody to tell: so it is for the stretch of the log that a gateway reads back when it starts.
    if core.people.borrow().is_empty() {
        return;
    }
    let mut pending = core.news.pending.borrow_mut();
    match &event.kind {
        Some(Kind::ConsultationCalled(called)) => {
            drop(pending);
            if let Ok(id) = Uuid::try_parse(&called.conversation) {
                spawn_local(call(core.clone(), id, event.position));
            }
            return;
        }
        Some(Kind::RulesChanged(changed)) if changed.brief => {
            let Ok(id) = Uuid::try_parse(&changed.conversation) else { return };
            if pending.changed.len() >= CHANGED && !pending.changed.contains_key(&id) {
                pending.everybody = true;
            } else {
                pending.changed.entry(id).or_default().extend(changed.before.iter().cloned());
            }
        }
        // What is new of a person but their place in the directory changes no list.
        Some(Kind::PeopleChanged(changed)) if matches!(changed.what.as_str(), "updated" | "imported") => {
            let here = core.people.borrow();
            pending.people.extend(changed.people.iter().filter(|person| here.contains_key(person)));
        }
        Some(Kind::OrganisationsChanged(_)) => pending.everybody = true,
        _ => return,
    }
    pending.control = pending.control.max(event.position);
    drop(pending);
    gather(core);
}

/// Something may have been missed.
pub fn missed(core: &Rc<Core>) {
    {
        let mut pending = core.news.pending.borrow_mut();
        pending.everybody = true;
        // Where the log stands is not known here: whoever is signed in is told.
        pending.control = u64::MAX;
    }
    gather(core);
}

fn gather(core: &Rc<Core>) {
    if core.news.gathering.replace(true) {
        return;
    }
    let core = core.clone();
    spawn_local(async move {
        sleep(Duration::from_millis(core.shared.options.lists_ms)).await;
        core.news.gathering.set(false);
        let pending = core.news.pending.take();
        tell(&core, pending).await;
    });
}

/// The call: at once to all here who are invited and had signed in before it. Who signs in after it finds it in the list.
async fn call(core: Rc<Core>, conversation: Uuid, control: u64) {
    let mut told = 0;
    for people in people(&core).chunks(PEOPLE) {
        let frames = match ask(&core, conversation, &[], people, control).await {
            Some(InvitedResponse { consultation: Some(brief), may_watch, .. }) => {
                let called = ConsultationCalled { consultation: Some(brief) };
                Some((Frames::of(server_frame::Frame::ConsultationCalled(called)), may_watch))
            }
            Some(_) => return,
            None => None,
        };
        // No chat-core says whom it concerns: they look for themselves, each a little later.
        let (frames, whom) = frames.unwrap_or_else(|| (again(&core), people.to_vec()));
        for (number, person) in whom.iter().enumerate() {
            for session in core.sessions_of(*person).iter().filter(|session| session.signed_in_before(control)) {
                frames.send(session);
                told += 1;
            }
            if number % AT_ONCE == AT_ONCE - 1 {
                yield_now().await;
            }
        }
    }
    metrics::counter!("yitang_gateway_calls_told_total").increment(told);
}

async fn tell(core: &Core, pending: Pending) {
    let people = people(core);
    let mut lists: HashMap<u32, List> = HashMap::new();
    let mut briefs: Vec<Option<ConsultationBrief>> = Vec::new();
    if pending.everybody {
        lists.extend(people.iter().map(|person| (*person, List { again: true, ..List::default() })));
    } else {
        for person in pending.people {
            lists.entry(person).or_default().again = true;
        }
        for (bit, (id, before)) in pending.changed.iter().enumerate() {
            briefs.push(None);
            for chunk in people.chunks(PEOPLE) {
                let Some(answer) = ask(core, *id, before, chunk, pending.control).await else {
                    chunk.iter().for_each(|person| lists.entry(*person).or_default().again = true);
                    continue;
                };
                briefs[bit] = answer.consultation.or(briefs[bit].take());
                answer.may_watch.iter().for_each(|person| lists.entry(*person).or_default().changed |= 1 << bit);
                answer.gone.iter().for_each(|person| lists.entry(*person).or_default().gone |= 1 << bit);
            }
        }
    }
    let ids: Vec<Uuid> = pending.changed.keys().copied().collect();
    // The same is told to many: it is encoded once.
    let mut encoded: HashMap<List, Frames> = HashMap::new();
    for (number, (person, list)) in lists.into_iter().enumerate() {
        let frames = encoded.entry(list).or_insert_with(|| {
            if list.again {
                return again(core);
            }
            let changed = briefs.iter().enumerate().filter(|(bit, _)| list.changed & 1 << bit != 0).filter_map(|(_, brief)| brief.clone());
            let gone = ids.iter().enumerate().filter(|(bit, _)| list.gone & 1 << bit != 0).map(|(_, id)| id.to_string());
            let told = ConsultationsChanged { changed: changed.collect(), gone: gone.collect(), ..ConsultationsChanged::default() };
            Frames::of(server_frame::Frame::ConsultationsChanged(told))
        });
        // Whoever has signed in since has listed since.
        core.sessions_of(person)
            .iter()
            .filter(|session| session.signed_in_before(pending.control))
            .for_each(|session| frames.send(session));
        if number % AT_ONCE == AT_ONCE - 1 {
            yield_now().await;
        }
    }
}

/// What one person is told: a bit for each consultation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct List {
    changed: u64,
    gone: u64,
    again: bool,
}

/// Everybody here; screens have no list.
fn people(core: &Core) -> Vec<u32> {
    core.people.borrow().keys().copied().filter(|person| !proto::display::is_screen(*person)).collect()
}

/// Asks chat-core until it knows as much of rights as this gateway. `None`: nobody could say for seconds.
async fn ask(core: &Core, conversation: Uuid, before: &[Audience], people: &[u32], control: u64) -> Option<InvitedResponse> {
    for _ in 0..AGAIN_TIMES {
        let request = InvitedRequest { conversation: conversation.to_string(), people: people.to_vec(), before: before.to_vec(), control };
        match core.shared.chat_cores.invited(request).await {
            Ok(answer) if answer.control >= control => return Some(answer),
            Ok(_) => {}
            Err(refusal) => tracing::debug!(code = refusal.code().as_str_name(), "who is invited is not known yet"),
        }
        sleep(AGAIN).await;
    }
    tracing::warn!(%conversation, "nobody could say who is invited; clients are asked to list again");
    None
}

fn again(core: &Core) -> Frames {
    let told = ConsultationsChanged { list_again: true, spread_ms: core.shared.options.lists_spread_ms, ..ConsultationsChanged::default() };
    Frames::of(server_frame::Frame::ConsultationsChanged(told))
}

/// One frame, as either kind of client takes it.
struct Frames {
    proto: Frame,
    json: Frame,
}

impl Frames {
    fn of(frame: server_frame::Frame) -> Self {
        let frame = ServerFrame { re: 0, frame: Some(frame) };
        Self { proto: Frame::of(Subprotocol::Proto, &frame), json: Frame::of(Subprotocol::Json, &frame) }
    }

    fn send(&self, session: &Session) {
        session.socket.send(match session.subprotocol {
            Subprotocol::Proto => &self.proto,
            Subprotocol::Json => &self.json,
        });
    }
}
