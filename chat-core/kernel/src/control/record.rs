//! What goes into the control log: what was done, and in its envelope whom it concerns. Gateways read the envelope and no kind,
//! so that a new kind costs them nothing.

use proto::internal::v1::{Concern, OrganisationsChanged, PeopleChanged, RulesChanged, SessionEnded, SessionStarted, control_event::Kind};
use uuid::Uuid;

/// One event to be recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whom it concerns, and what a gateway does about it.
    pub concern: Concern,
    /// What was done.
    pub kind: Kind,
}

/// People named in one event at most.
const PEOPLE: usize = 1_000;

impl Record {
    /// Something that nobody's rights or lists depend on.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { concern: Concern::default(), kind }
    }

    /// A session began. Sessions come and go all the time, and change nobody's rights.
    #[must_use]
    pub fn session_started(session: Uuid, person: u32) -> Self {
        Self::new(Kind::SessionStarted(SessionStarted { session: session.to_string(), person }))
    }

    /// A session ended: its sockets close.
    #[must_use]
    pub fn session_ended(session: Uuid, person: u32) -> Self {
        let session = session.to_string();
        let concern = Concern { people: vec![person], session_ended: session.clone(), ..Concern::default() };
        Self { concern, kind: Kind::SessionEnded(SessionEnded { session, person }) }
    }

    /// People were changed in the directory; `what`: "created", "updated", "disabled", "imported", "password", "link". An event for
    /// each thousand of them.
    #[must_use]
    pub fn people_changed(people: &[u32], what: &str) -> Vec<Self> {
        // What is new of a person but their place in the directory changes no list.
        let lists = matches!(what, "updated" | "imported");
        let record = |people: &[u32]| Self {
            concern: Concern { people: people.to_vec(), rights: true, lists, ..Concern::default() },
            kind: Kind::PeopleChanged(PeopleChanged { people: people.to_vec(), what: what.to_owned() }),
        };
        people.chunks(PEOPLE).map(record).collect()
    }

    /// Organisations were made or renamed: where one stands in the tree decides what its people may watch.
    #[must_use]
    pub fn organisations_changed(organisations: Vec<u32>) -> Self {
        let concern = Concern { rights: true, lists: true, ..Concern::default() };
        Self { concern, kind: Kind::OrganisationsChanged(OrganisationsChanged { organisations }) }
    }

    /// Rules of a conversation changed, for these people only; none: for everybody in it.
    #[must_use]
    pub fn rules_changed(conversation: Uuid, people: Vec<u32>) -> Self {
        let conversation = conversation.to_string();
        let concern = Concern { conversation: conversation.clone(), people: people.clone(), rights: true, ..Concern::default() };
        Self { concern, kind: Kind::RulesChanged(RulesChanged { conversation, people }) }
    }
}
