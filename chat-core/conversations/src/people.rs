//! Making direct conversations and groups, and changing who is part of them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{
    Context, Error,
    accounts::Caller,
    control::{Control, Record},
    conversations::{self, NewConversation, create_conversation},
    log::{Change, Effect, HeadRow},
    parse_id,
    rights::{Asker, Rights},
    store::Tx,
    text::{check_client_id, check_title},
};
use proto::v1::{
    ChangeMembersRequest, ConversationCreated, ConversationKind, CreateGroupRequest, MembersChanged, Refusal, RefusalCode, event::Kind,
};
use uuid::Uuid;

use crate::rules::{PEOPLE_PER_GROUP, direct_rules, group_rules, sort_changes};

/// The direct conversation with one other person; made if there is none yet.
///
/// # Errors
/// NOT_FOUND, INVALID (with oneself); a fault.
pub async fn open_direct(context: &Context, caller: &Caller, other: u32) -> Result<Uuid, Error> {
    let me = caller.person.id;
    let directory = context.directory.snapshot();
    let other =
        directory.person(other).filter(|person| !person.disabled).ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("person"))?;
    if other.id == me {
        return Err(Refusal::of(RefusalCode::Invalid).field("person").into());
    }
    let pair = (me.min(other.id), me.max(other.id));
    if let Some(id) = conversations::find_direct(&context.store, pair).await? {
        return Ok(id);
    }
    let new = NewConversation {
        id: Uuid::new_v4(),
        title: "",
        created_by: me,
        client_id: None,
        direct: Some(pair),
        members: &[pair.0, pair.1],
        rules: direct_rules(),
        first: created(ConversationKind::Direct, ""),
    };
    match create(context, new).await {
        Ok(id) => Ok(id),
        // The other person was quicker.
        Err(error) if error.stands_already() => conversations::find_direct(&context.store, pair).await?.ok_or(error),
        Err(error) => Err(error),
    }
}

/// A new group; the same client_id gives the same group.
///
/// # Errors
/// INVALID, NOT_FOUND (an unknown person), TOO_LARGE; a fault.
pub async fn create_group(context: &Context, caller: &Caller, asked: CreateGroupRequest) -> Result<Uuid, Error> {
    check_client_id(&asked.client_id)?;
    let title = check_title(&asked.title)?;
    let people: BTreeSet<u32> = asked.people.iter().copied().chain([caller.person.id]).collect();
    let people = check_people(context, people)?;
    let by = caller.person.id;
    let mut tx = context.store.begin_read().await?;
    if let Some(id) = conversations::find_by_client_id(&mut tx, by, &asked.client_id).await? {
        return Ok(id);
    }
    drop(tx);
    let new = NewConversation {
        id: Uuid::new_v4(),
        title: &title,
        created_by: by,
        client_id: Some(&asked.client_id),
        direct: None,
        members: &people,
        rules: group_rules(by),
        first: created(ConversationKind::Group, &title),
    };
    match create(context, new).await {
        Err(error) if error.stands_already() => {
            let mut tx = context.store.begin_read().await?;
            conversations::find_by_client_id(&mut tx, by, &asked.client_id).await?.ok_or(error)
        }
        made => made,
    }
}

/// Adds people to a group and takes people out of it. Who was taken out sees nothing more of it, at once.
///
/// # Errors
/// NOT_FOUND, FORBIDDEN, TOO_LARGE; a fault.
pub async fn change_members(context: &Context, caller: &Caller, asked: &ChangeMembersRequest) -> Result<Uuid, Error> {
    let id = parse_id(&asked.id, "id")?;
    if asked.remove.len() > PEOPLE_PER_GROUP {
        return Err(Refusal::of(RefusalCode::TooLarge).field("remove").into());
    }
    let add = check_people(context, asked.add.iter().copied().collect())?;
    let mut change = MembersChange { rights: &context.rights, caller, add, remove: &asked.remove, added: Vec::new() };
    context.commit(id, &mut change).await?;
    context.conversations.push_added(id, ConversationKind::Group, &change.added);
    Ok(id)
}

/// Each of them is somebody who may sign in.
fn check_people(context: &Context, people: BTreeSet<u32>) -> Result<Vec<u32>, Refusal> {
    if people.len() > PEOPLE_PER_GROUP {
        return Err(Refusal::of(RefusalCode::TooLarge).field("people"));
    }
    let directory = context.directory.snapshot();
    if people.iter().any(|id| directory.person(*id).is_none_or(|person| person.disabled)) {
        return Err(Refusal::of(RefusalCode::NotFound).field("people"));
    }
    Ok(people.into_iter().collect())
}

fn created(kind: ConversationKind, title: &str) -> Kind {
    Kind::ConversationCreated(ConversationCreated { kind: kind.into(), title: title.to_owned() })
}

async fn create(context: &Context, new: NewConversation<'_>) -> Result<Uuid, Error> {
    let (id, kind, members) = (new.id, new.rules.kind(), new.members);
    let mut tx = context.store.begin().await?;
    let appended = create_conversation(&mut tx, new).await?;
    tx.commit().await?;
    context.log.announce(appended);
    context.conversations.push_added(id, kind, members);
    Ok(id)
}

/// People in and out of a group, judged and recorded under the head's lock.
struct MembersChange<'a> {
    rights: &'a Rights,
    caller: &'a Caller,
    add: Vec<u32>,
    remove: &'a [u32],
    /// Who was really added, once it is applied.
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
        let members = rules.members().filter(|_| rules.kind() == ConversationKind::Group).ok_or(RefusalCode::Unsupported)?;
        let (added, removed) = sort_changes(members, &self.add, self.remove)?;
        if added.is_empty() && removed.is_empty() {
            return Ok(Effect::default());
        }
        conversations::add_members(tx, head.conversation, &added, now_ms).await?;
        conversations::remove_members(tx, head.conversation, &removed).await?;
        let people = added.iter().chain(&removed).copied().collect();
        Control::record(tx, asker.person.id, vec![Record::rules_changed(head.conversation, people)]).await?;
        self.added.clone_from(&added);
        let event = Kind::MembersChanged(MembersChanged { added, removed });
        Ok(Effect { events: vec![(asker.person.id, event)], moves_gate: true })
    }
}
