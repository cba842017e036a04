//! Making conversations, and changing who is part of them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use proto::{
    internal::v1::{ConversationRef, RulesChanged, control_event::Kind as Control_, person_hint::What},
    limits,
    v1::{
        ChangeMembersRequest, ConversationCreated, ConversationKind, CreateGroupRequest, MembersChanged, Refusal, RefusalCode, event::Kind,
    },
};
use uuid::Uuid;

use super::{Conversations, parse_id, rows};
use crate::{
    accounts::Caller,
    clock,
    control::Control,
    fault::{Error, Fault},
    log::{Change, Effect, HeadRow, Log},
    rights::{Asker, Rights, Rules},
    store::Tx,
};

/// People of one group.
const GROUP_PEOPLE_MOST: usize = 2_000;

/// A title: 1 to 200 characters without control characters.
///
/// # Errors
/// INVALID.
pub fn check_title(title: &str) -> Result<String, Refusal> {
    let title = title.trim();
    if (1..=limits::TITLE_CHARS).contains(&title.chars().count()) && !title.chars().any(char::is_control) {
        return Ok(title.to_owned());
    }
    Err(Refusal::of(RefusalCode::Invalid).field("title").words("标题应为 1 到 200 个字符。", "A title is 1 to 200 characters."))
}

/// What makes a request idempotent: 1 to 64 printable characters.
///
/// # Errors
/// INVALID.
pub fn check_client_id(id: &str) -> Result<(), Refusal> {
    if (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Refusal::of(RefusalCode::Invalid).field("client_id"))
}

fn taken(error: &Error) -> bool {
    matches!(error, Error::Fault(Fault::Database(sqlx::Error::Database(error))) if error.is_unique_violation())
}

impl Conversations {
    /// The direct conversation with one other person; made if there is none yet.
    ///
    /// # Errors
    /// NOT_FOUND, INVALID (with oneself); a fault.
    pub async fn open_direct(&self, caller: &Caller, other: u32) -> Result<Uuid, Error> {
        let me = caller.person.id;
        let directory = self.rights.directory().snapshot();
        let other =
            directory.person(other).filter(|person| !person.disabled).ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("person"))?;
        if other.id == me {
            return Err(Refusal::of(RefusalCode::Invalid).field("person").into());
        }
        let pair = (me.min(other.id), me.max(other.id));
        if let Some(id) = rows::direct(&self.store, pair).await? {
            return Ok(id);
        }
        let new = New { kind: ConversationKind::Direct, title: "", client_id: None, direct: Some(pair), people: &[pair.0, pair.1] };
        match self.make(me, new).await {
            Ok(id) => Ok(id),
            // The other person was quicker.
            Err(error) if taken(&error) => rows::direct(&self.store, pair).await?.ok_or(error),
            Err(error) => Err(error),
        }
    }

    /// A new group; the same client_id gives the same group.
    ///
    /// # Errors
    /// INVALID, NOT_FOUND (an unknown person), TOO_LARGE; a fault.
    pub async fn create_group(&self, caller: &Caller, asked: CreateGroupRequest) -> Result<Uuid, Error> {
        check_client_id(&asked.client_id)?;
        let title = check_title(&asked.title)?;
        let people: BTreeSet<u32> = asked.people.iter().copied().chain([caller.person.id]).collect();
        let people = self.known(people)?;
        let by = caller.person.id;
        let mut tx = self.store.begin_read().await?;
        if let Some(id) = rows::made_before(&mut tx, by, &asked.client_id).await? {
            return Ok(id);
        }
        drop(tx);
        let new = New { kind: ConversationKind::Group, title: &title, client_id: Some(&asked.client_id), direct: None, people: &people };
        match self.make(by, new).await {
            Err(error) if taken(&error) => {
                let mut tx = self.store.begin_read().await?;
                rows::made_before(&mut tx, by, &asked.client_id).await?.ok_or(error)
            }
            made => made,
        }
    }

    /// Adds people to a group and takes people out of it. Who was taken out sees nothing more of it, at once.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, TOO_LARGE; a fault.
    pub async fn change_members(&self, caller: &Caller, asked: ChangeMembersRequest) -> Result<Uuid, Error> {
        let id = parse_id(&asked.id, "id")?;
        let add = self.known(asked.add.iter().copied().collect())?;
        let mut change = MembersChange { rights: &self.rights, caller, add, remove: asked.remove.clone(), added: Vec::new() };
        self.log.commit(id, &mut change).await?;
        self.control.committed();
        for person in std::mem::take(&mut change.added) {
            self.tell_added(id, ConversationKind::Group, person);
        }
        Ok(id)
    }

    fn known(&self, people: BTreeSet<u32>) -> Result<Vec<u32>, Refusal> {
        let directory = self.rights.directory().snapshot();
        if people.len() > GROUP_PEOPLE_MOST {
            return Err(Refusal::of(RefusalCode::TooLarge).field("people"));
        }
        if people.iter().any(|id| directory.person(*id).is_none_or(|person| person.disabled)) {
            return Err(Refusal::of(RefusalCode::NotFound).field("people"));
        }
        Ok(people.into_iter().collect())
    }

    async fn make(&self, by: u32, new: New<'_>) -> Result<Uuid, Error> {
        let id = Uuid::new_v4();
        let mut tx = self.store.begin().await?;
        let created_ms = clock::now_ms();
        let New { kind, title, client_id, direct, people } = new;
        rows::insert(&mut tx, &rows::NewConversation { id, kind, title, created_by: by, client_id, direct, created_ms }).await?;
        rows::add_members(&mut tx, id, people, created_ms).await?;
        let first = Kind::ConversationCreated(ConversationCreated { kind: kind.into(), title: title.to_owned() });
        let appended = Log::create(&mut tx, id, kind, by, first).await?;
        tx.commit().await?;
        self.log.created(appended);
        for person in people {
            self.tell_added(id, kind, *person);
        }
        Ok(id)
    }

    fn tell_added(&self, id: Uuid, kind: ConversationKind, person: u32) {
        self.tell(person, What::Added(ConversationRef { conversation: id.to_string(), kind: kind.into() }));
    }
}

struct New<'a> {
    kind: ConversationKind,
    title: &'a str,
    client_id: Option<&'a str>,
    direct: Option<(u32, u32)>,
    people: &'a [u32],
}

/// People in and out of a group, judged and recorded under the head's lock.
struct MembersChange<'a> {
    rights: &'a Rights,
    caller: &'a Caller,
    add: Vec<u32>,
    remove: Vec<u32>,
    added: Vec<u32>,
}

#[async_trait]
impl Change for MembersChange<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let rules = self.rights.rules_within(tx, head).await?;
        let directory = self.rights.directory().snapshot();
        let asker = Asker { directory: &directory, person: &self.caller.person, now_ms };
        let leaves = self.add.is_empty() && self.remove == [asker.person.id];
        // Everybody may leave; only who keeps the group changes others.
        if leaves { rules.may_watch(asker) } else { rules.may_manage(asker) }?;
        let Rules::Members(members) = rules.as_ref() else { return Err(RefusalCode::Unsupported.into()) };
        if members.kind != ConversationKind::Group {
            return Err(RefusalCode::Unsupported.into());
        }
        let added: Vec<u32> = self.add.iter().copied().filter(|id| !members.people.contains(id)).collect();
        let removed: Vec<u32> = self.remove.iter().copied().filter(|id| members.people.contains(id) && !added.contains(id)).collect();
        if added.is_empty() && removed.is_empty() {
            return Ok(Effect::default());
        }
        if members.people.len() + added.len() - removed.len() > GROUP_PEOPLE_MOST {
            return Err(Refusal::of(RefusalCode::TooLarge).field("add").into());
        }
        rows::add_members(tx, head.conversation, &added, now_ms).await?;
        rows::remove_members(tx, head.conversation, &removed).await?;
        let people = added.iter().chain(&removed).copied().collect();
        let changed = RulesChanged { conversation: head.conversation.to_string(), people, ..RulesChanged::default() };
        Control::record(tx, asker.person.id, Control_::RulesChanged(changed)).await?;
        self.added.clone_from(&added);
        let event = Kind::MembersChanged(MembersChanged { added, removed });
        Ok(Effect { events: vec![(asker.person.id, event)], moves_gate: true })
    }
}
