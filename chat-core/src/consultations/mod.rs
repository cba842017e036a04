//! Live consultations (请你来协商): their rules, states and slow mode. The rules that judge a post are in `rights`.

mod draft;
mod invited;
mod rows;
mod scheduler;
mod service;
mod states;

use std::sync::Arc;

use async_trait::async_trait;
use proto::{
    internal::v1::{ConsultationCalled, RulesChanged, control_event::Kind as ControlKind},
    v1::{
        Audience, Consultation, ConsultationChanged, ConsultationState, ConversationKind, CreateConsultationRequest, Refusal, RefusalCode,
        UpdateConsultationRequest, event::Kind,
    },
};
use uuid::Uuid;

pub use draft::Draft;
pub use service::ConsultationApi;
pub use states::{due, may_become};

use self::rows::ConsultationRow;
use crate::{
    accounts::Caller,
    clock,
    control::Control,
    conversations::{self, Conversations, check_client_id, parse_id},
    displays::Screen,
    fault::{Error, Fault},
    log::{Change, Effect, HeadRow, Log},
    rights::{Asker, Rights, manages},
    store::Tx,
};

/// Consultations. Shared as `Arc<Consultations>`.
pub struct Consultations {
    /// What they are made of.
    pub conversations: Arc<Conversations>,
    /// A call and the next one of the same are so far apart, s.
    pub call_every_s: u32,
}

fn changed(row: &ConsultationRow) -> Kind {
    Kind::ConsultationChanged(ConsultationChanged {
        state: row.state() as i32,
        version: row.version as u32,
        slow_mode_s: row.slow_mode_s as u32,
        ..ConsultationChanged::default()
    })
}

/// `before`: whom it was shown to, where it is shown to fewer now.
fn rules_changed(id: Uuid, before: Vec<Audience>) -> ControlKind {
    ControlKind::RulesChanged(RulesChanged { conversation: id.to_string(), brief: true, before, ..RulesChanged::default() })
}

fn called(row: &ConsultationRow) -> ControlKind {
    ControlKind::ConsultationCalled(ConsultationCalled { conversation: row.id.to_string(), called_ms: row.called_ms })
}

impl Consultations {
    /// Makes one: scheduled where an opening time is given, a draft where not. The same client_id gives the same one.
    ///
    /// # Errors
    /// FORBIDDEN, INVALID, TOO_LARGE; a fault.
    pub async fn create(&self, caller: &Caller, asked: CreateConsultationRequest) -> Result<Uuid, Error> {
        let parts = &self.conversations;
        let directory = parts.rights.directory().snapshot();
        check_client_id(&asked.client_id)?;
        if directory.organisation(asked.organisation).is_none() {
            return Err(Refusal::of(RefusalCode::Invalid).field("organisation").into());
        }
        if !manages(&directory, &caller.person, asked.organisation) {
            return Err(RefusalCode::Forbidden.into());
        }
        let (client_id, organisation) = (asked.client_id.clone(), asked.organisation);
        let draft = Draft::of_new(asked, &directory)?;
        let mut tx = parts.store.begin().await?;
        if let Some(id) = conversations::made_before(&mut tx, caller.person.id, &client_id).await? {
            return Ok(id);
        }
        let (id, appended) = insert(&mut tx, caller.person.id, &client_id, organisation, draft).await?;
        Control::record(&mut tx, caller.person.id, rules_changed(id, Vec::new())).await?;
        tx.commit().await?;
        parts.control.committed();
        parts.log.created(appended);
        Ok(id)
    }

    /// Changes its rules. Nothing that was said changes.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, CONFLICT (somebody changed it meanwhile), CLOSED, INVALID, TOO_LARGE; a fault.
    pub async fn update(&self, caller: &Caller, asked: UpdateConsultationRequest) -> Result<Uuid, Error> {
        let id = parse_id(&asked.id, "id")?;
        self.commit(id, RulesChange { rights: &self.conversations.rights, caller: Some(caller), wish: Wish::Rules(Box::new(asked)) })
            .await?;
        Ok(id)
    }

    /// Opens, pauses, closes, or puts it back on the schedule.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, CLOSED, INVALID; a fault.
    pub async fn set_state(&self, caller: &Caller, id: &str, state: ConsultationState) -> Result<Uuid, Error> {
        let id = parse_id(id, "id")?;
        self.commit(id, RulesChange { rights: &self.conversations.rights, caller: Some(caller), wish: Wish::State(state) }).await?;
        Ok(id)
    }

    /// Calls all invited.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, NOT_OPEN (a draft), CLOSED, RATE_LIMITED; a fault.
    pub async fn call(&self, caller: &Caller, id: &str) -> Result<Uuid, Error> {
        let id = parse_id(id, "id")?;
        let every_ms = i64::from(self.call_every_s) * 1_000;
        self.commit(id, RulesChange { rights: &self.conversations.rights, caller: Some(caller), wish: Wish::Call { every_ms } }).await?;
        Ok(id)
    }

    /// Opens or closes it where the clock says so: one event, whichever process comes first.
    ///
    /// # Errors
    /// A fault.
    async fn keep_time(&self, id: Uuid) -> Result<(), Error> {
        self.commit(id, RulesChange { rights: &self.conversations.rights, caller: None, wish: Wish::Time }).await
    }

    async fn commit(&self, id: Uuid, mut change: RulesChange<'_>) -> Result<(), Error> {
        self.conversations.log.commit(id, &mut change).await?;
        self.conversations.control.committed();
        Ok(())
    }

    /// As this person sees it.
    ///
    /// # Errors
    /// NOT_FOUND; a fault.
    pub async fn get(&self, caller: &Caller, id: &str) -> Result<Consultation, Error> {
        let parts = &self.conversations;
        let seen = parts.see(caller, id).await?;
        let row = rows::one(&parts.store, seen.head.conversation).await?.ok_or(RefusalCode::NotFound)?;
        let key = (seen.head.conversation, caller.person.id);
        let read = conversations::read_marks(&parts.store, &[key]).await?.get(&key).copied().unwrap_or(0);
        told(&row, &seen.head, read, &seen.rules, seen.asker())
    }

    /// As a screen shows it: what all who may watch see, and nothing of who they are.
    ///
    /// # Errors
    /// NOT_FOUND (it may show another one only); a fault.
    pub async fn shown(&self, screen: &Screen, id: &str) -> Result<Consultation, Error> {
        if parse_id(id, "id")? != screen.head.conversation {
            return Err(Refusal::of(RefusalCode::NotFound).field("id").into());
        }
        let row = rows::one(&self.conversations.store, screen.head.conversation).await?.ok_or(RefusalCode::NotFound)?;
        Ok(public(&row, &screen.head))
    }
}

/// Writes a new consultation inside a transaction.
///
/// # Errors
/// When the client_id was used already; a fault.
pub async fn insert(
    tx: &mut Tx<'_>,
    by: u32,
    client_id: &str,
    organisation: u32,
    draft: Draft,
) -> Result<(Uuid, crate::log::Appended), Error> {
    let id = Uuid::new_v4();
    let now_ms = clock::now_ms();
    let kind = ConversationKind::Consultation;
    let state = if draft.opens_ms == 0 { ConsultationState::Draft } else { ConsultationState::Scheduled };
    let row = ConsultationRow {
        id,
        title: draft.title,
        created_by: by.into(),
        organisation: organisation.into(),
        description: draft.description,
        state: (state as i32).into(),
        opens_ms: draft.opens_ms,
        closes_ms: draft.closes_ms,
        watch: rows::stored(&draft.watch),
        post: rows::stored(&draft.post),
        moderate: rows::stored(&draft.moderate),
        slow_mode_s: draft.slow_mode_s.into(),
        version: 1,
        called_ms: 0,
    };
    let new = conversations::NewConversation {
        id,
        kind,
        title: &row.title,
        created_by: by,
        client_id: Some(client_id),
        direct: None,
        created_ms: now_ms,
    };
    conversations::insert(tx, &new).await?;
    rows::insert(tx, &row, now_ms).await?;
    let appended = Log::create(tx, id, kind, by, changed(&row)).await?;
    Ok((id, appended))
}

/// What is the same for everybody.
fn public(row: &ConsultationRow, head: &HeadRow) -> Consultation {
    Consultation {
        id: row.id.to_string(),
        organisation: row.organisation as u32,
        title: row.title.clone(),
        description: row.description.clone(),
        state: row.state().into(),
        opens_ms: row.opens_ms,
        closes_ms: row.closes_ms,
        slow_mode_s: row.slow_mode_s as u32,
        version: row.version as u32,
        comments: head.comments.max(0) as u64,
        people_spoke: head.spoke as u32,
        head_mseq: head.mseq as u64,
        called_ms: row.called_ms,
        ..Consultation::default()
    }
}

fn told(
    row: &ConsultationRow,
    head: &HeadRow,
    read_mseq: i64,
    rules: &crate::rights::Rules,
    asker: Asker<'_>,
) -> Result<Consultation, Error> {
    let post = rules.may_post(asker);
    let (watch, post_audience, moderate) = row.audiences()?;
    let may_manage = rules.may_manage(asker).is_ok();
    Ok(Consultation {
        watch: Some(watch),
        post: Some(post_audience),
        moderators: moderate.people,
        created_by: row.created_by as u32,
        may_post: post.is_ok(),
        post_refusal: post.err(),
        may_moderate: rules.may_moderate(asker).is_ok(),
        may_manage,
        read_mseq: read_mseq as u64,
        ..public(row, head)
    })
}

enum Wish {
    Rules(Box<UpdateConsultationRequest>),
    State(ConsultationState),
    Call { every_ms: i64 },
    Time,
}

/// A change of a consultation's rules or state, judged and recorded under the head's lock.
struct RulesChange<'a> {
    rights: &'a Rights,
    /// `None`: the service itself.
    caller: Option<&'a Caller>,
    wish: Wish,
}

#[async_trait]
impl Change for RulesChange<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let id = head.conversation;
        let directory = self.rights.directory().snapshot();
        if let Some(caller) = self.caller {
            let rules = self.rights.rules_within(tx, head).await?;
            rules.may_manage(Asker { directory: &directory, person: &caller.person, now_ms })?;
        }
        let mut row = rows::within(tx, id).await?.ok_or(RefusalCode::NotFound)?;
        let (was, (watch, post, moderate)) = (row.state(), row.audiences()?);
        let mut before = Vec::new();
        match &self.wish {
            Wish::Rules(asked) => {
                if i64::from(asked.version) != row.version {
                    return Err(Refusal::of(RefusalCode::Conflict).field("version").into());
                }
                if row.state() == ConsultationState::Closed {
                    return Err(RefusalCode::Closed.into());
                }
                let draft = Draft::of_change(asked.as_ref().clone(), row.organisation as u32, &directory)?;
                conversations::set_title(tx, id, &draft.title).await?;
                row.description = draft.description;
                row.opens_ms = draft.opens_ms;
                row.closes_ms = draft.closes_ms;
                row.watch = rows::stored(&draft.watch);
                row.post = rows::stored(&draft.post);
                row.moderate = rows::stored(&draft.moderate);
                row.slow_mode_s = draft.slow_mode_s.into();
                // A draft was shown to those who run it only.
                let shown = if was == ConsultationState::Draft {
                    vec![(moderate, draft.moderate)]
                } else {
                    vec![(watch, draft.watch), (post, draft.post), (moderate, draft.moderate)]
                };
                before = shown.into_iter().filter(|(old, new)| old != new).map(|(old, _)| old).collect();
            }
            Wish::State(state) => {
                may_become(row.state(), *state)?;
                if *state == ConsultationState::Scheduled && row.opens_ms == 0 {
                    return Err(Refusal::of(RefusalCode::Invalid)
                        .field("opens_ms")
                        .words("请先设定开始时间。", "Set the time it opens first.")
                        .into());
                }
                // Opened by hand after its closing time, it would close at once.
                if *state == ConsultationState::Open && row.closes_ms != 0 && row.closes_ms <= now_ms {
                    row.closes_ms = 0;
                }
                row.state = (*state as i32).into();
                if *state == ConsultationState::Draft {
                    before = vec![watch, post];
                }
            }
            Wish::Call { every_ms } => {
                may_call(&row, now_ms, *every_ms)?;
                row.called_ms = now_ms;
                rows::called(tx, id, now_ms).await?;
                Control::record(tx, self.caller.map_or(0, |caller| caller.person.id), called(&row)).await?;
                // Nothing that anybody may do has changed, and it is nothing that was said.
                return Ok(Effect::default());
            }
            Wish::Time => {
                let Some(state) = due(row.state(), row.opens_ms, row.closes_ms, now_ms) else { return Ok(Effect::default()) };
                row.state = (state as i32).into();
            }
        }
        row.version += 1;
        let opens = row.state() == ConsultationState::Open && matches!(was, ConsultationState::Draft | ConsultationState::Scheduled);
        if opens {
            row.called_ms = now_ms;
        }
        rows::update(tx, &row, now_ms).await?;
        let by = self.caller.map_or(0, |caller| caller.person.id);
        let effect = Effect { events: vec![(by, changed(&row))], moves_gate: true };
        let mut kinds = vec![rules_changed(id, before)];
        if opens {
            kinds.push(called(&row));
        }
        Control::record_all(tx, by, kinds).await?;
        Ok(effect)
    }
}

/// Whether all invited may be called now. Pure.
///
/// # Errors
/// NOT_OPEN, CLOSED, RATE_LIMITED.
fn may_call(row: &ConsultationRow, now_ms: i64, every_ms: i64) -> Result<(), Refusal> {
    match row.state() {
        ConsultationState::Unspecified | ConsultationState::Draft => {
            return Err(Refusal::of(RefusalCode::NotOpen)
                .words("草稿尚未公布，不能召集。", "A draft is shown to nobody yet: schedule it before the call."));
        }
        ConsultationState::Closed => return Err(Refusal::of(RefusalCode::Closed)),
        ConsultationState::Scheduled | ConsultationState::Open | ConsultationState::Paused => {}
    }
    let wait_ms = row.called_ms + every_ms - now_ms;
    if row.called_ms == 0 || wait_ms <= 0 {
        return Ok(());
    }
    Err(Refusal::of(RefusalCode::RateLimited)
        .retry_after_ms(u32::try_from(wait_ms).unwrap_or(u32::MAX))
        .words("刚刚已经召集过，请稍候。", "All were called a moment ago; please wait."))
}

/// Whether there are none yet; for the demonstration.
///
/// # Errors
/// A fault.
pub async fn none_yet(tx: &mut Tx<'_>) -> Result<bool, Fault> {
    Ok(rows::count(tx).await? == 0)
}
