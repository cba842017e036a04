//! Making, changing, opening, closing and calling consultations, judged and recorded under the head's lock.

use async_trait::async_trait;
use kernel::{
    Context, Error,
    accounts::Caller,
    control::Control,
    conversations,
    log::{Change, Effect, HeadRow},
    parse_id,
    rights::{Asker, Rights, manages, put_rules},
    store::Tx,
    text::{check_client_id, check_reason},
};
use proto::v1::{
    ConsultationState, CreateConsultationRequest, Refusal, RefusalCode, SetConsultationStateRequest, UpdateConsultationRequest,
};
use uuid::Uuid;

use crate::{
    creation,
    draft::Draft,
    events::{changed, record_call, record_change},
    rows,
    rules::{find_due_state, judge_call, judge_transition, rule_set},
};

/// Consultations. Cheap to clone.
#[derive(Clone)]
pub struct Consultations {
    /// The kernel.
    pub context: Context,
    /// The time between two calls to one consultation at least, s.
    pub call_every_s: u32,
}

impl Consultations {
    /// Makes one: scheduled where an opening time is given, a draft where not. The same client_id gives the same one.
    ///
    /// # Errors
    /// FORBIDDEN, INVALID, TOO_LARGE; a fault.
    pub async fn create(&self, caller: &Caller, asked: CreateConsultationRequest) -> Result<Uuid, Error> {
        let context = &self.context;
        let directory = context.directory.snapshot();
        check_client_id(&asked.client_id)?;
        if directory.organisation(asked.organisation).is_none() {
            return Err(Refusal::of(RefusalCode::Invalid).field("organisation").into());
        }
        if !manages(&directory, &caller.person, asked.organisation) {
            return Err(RefusalCode::Forbidden.into());
        }
        let (client_id, organisation) = (asked.client_id.clone(), asked.organisation);
        let draft = Draft::from_new(asked, &directory)?;
        let by = caller.person.id;
        match self.insert(by, &client_id, organisation, draft).await {
            // The same request, sent twice at once.
            Err(error) if error.stands_already() => {
                let mut tx = context.store.begin_read().await?;
                conversations::find_by_client_id(&mut tx, by, &client_id).await?.ok_or(error)
            }
            made => made,
        }
    }

    async fn insert(&self, by: u32, client_id: &str, organisation: u32, draft: Draft) -> Result<Uuid, Error> {
        let mut tx = self.context.store.begin().await?;
        if let Some(id) = conversations::find_by_client_id(&mut tx, by, client_id).await? {
            return Ok(id);
        }
        let (id, appended) = creation::insert(&mut tx, by, client_id, organisation, draft).await?;
        let row = rows::find_within(&mut tx, id).await?.ok_or(RefusalCode::NotFound)?;
        self.context.control.commit(tx, by, vec![record_change(&row, Vec::new())]).await?;
        self.context.log.announce(appended);
        Ok(id)
    }

    /// Changes its rules. Nothing that was said changes.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, CONFLICT (somebody changed it meanwhile), CLOSED, INVALID, TOO_LARGE; a fault.
    pub async fn update(&self, caller: &Caller, asked: UpdateConsultationRequest) -> Result<Uuid, Error> {
        let id = parse_id(&asked.id, "id")?;
        self.commit(id, By::Caller(caller), Wish::Rules(Box::new(asked))).await?;
        Ok(id)
    }

    /// Opens, pauses, closes, reopens, puts it on the schedule or withdraws it.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, CLOSED, INVALID, TOO_LARGE; a fault.
    pub async fn set_state(&self, caller: &Caller, asked: SetConsultationStateRequest) -> Result<Uuid, Error> {
        let id = parse_id(&asked.id, "id")?;
        check_reason(&asked.reason)?;
        let state = match asked.state() {
            ConsultationState::Unspecified => return Err(Refusal::of(RefusalCode::Invalid).field("state").into()),
            state => state,
        };
        self.commit(id, By::Caller(caller), Wish::State { state, reason: asked.reason }).await?;
        Ok(id)
    }

    /// The same where nobody asked.
    ///
    /// # Errors
    /// NOT_FOUND, CLOSED, INVALID; a fault.
    pub async fn set_state_for_service(&self, id: Uuid, by: u32, state: ConsultationState) -> Result<(), Error> {
        self.commit(id, By::Service(by), Wish::State { state, reason: String::new() }).await
    }

    /// Calls all invited.
    ///
    /// # Errors
    /// NOT_FOUND, FORBIDDEN, NOT_OPEN (a draft), CLOSED, RATE_LIMITED; a fault.
    pub async fn call(&self, caller: &Caller, id: &str) -> Result<Uuid, Error> {
        let id = parse_id(id, "id")?;
        let every_ms = i64::from(self.call_every_s) * 1_000;
        self.commit(id, By::Caller(caller), Wish::Call { every_ms }).await?;
        Ok(id)
    }

    /// Opens or closes it where the clock says so: one event, whichever process comes first.
    ///
    /// # Errors
    /// A fault.
    pub async fn keep_time(&self, id: Uuid) -> Result<(), Error> {
        self.commit(id, By::Service(0), Wish::Time).await
    }

    async fn commit(&self, id: Uuid, by: By<'_>, wish: Wish) -> Result<(), Error> {
        self.context.commit(id, &mut RulesChange { rights: &self.context.rights, by, wish }).await?;
        Ok(())
    }
}

/// Who changes it.
enum By<'a> {
    /// Judged by their rights.
    Caller(&'a Caller),
    /// The service, in this person's name (0: nobody's).
    Service(u32),
}

impl By<'_> {
    fn person(&self) -> u32 {
        match self {
            Self::Caller(caller) => caller.person.id,
            Self::Service(person) => *person,
        }
    }
}

enum Wish {
    Rules(Box<UpdateConsultationRequest>),
    State { state: ConsultationState, reason: String },
    Call { every_ms: i64 },
    Time,
}

/// A change of a consultation's rules or state.
struct RulesChange<'a> {
    rights: &'a Rights,
    by: By<'a>,
    wish: Wish,
}

#[async_trait]
impl Change for RulesChange<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let id = head.conversation;
        let directory = self.rights.directory().snapshot();
        if let By::Caller(caller) = self.by {
            let rules = self.rights.rules_within(tx, head).await?;
            rules.may_manage(Asker { directory: &directory, person: &caller.person, now_ms })?;
        }
        let mut row = rows::find_within(tx, id).await?.ok_or(RefusalCode::NotFound)?;
        let (was, (watch, post, moderate)) = (row.state(), row.audiences()?);
        let mut before = Vec::new();
        let mut why = "";
        match &self.wish {
            Wish::Rules(asked) => {
                if i64::from(asked.version) != row.version {
                    return Err(Refusal::of(RefusalCode::Conflict).field("version").into());
                }
                if row.state() == ConsultationState::Closed {
                    return Err(RefusalCode::Closed.into());
                }
                let draft = Draft::from_change(asked.as_ref().clone(), row.organisation as u32, &directory)?;
                // A draft was shown to those who run it only.
                let shown = if was == ConsultationState::Draft {
                    vec![(moderate, &draft.moderate)]
                } else {
                    vec![(watch, &draft.watch), (post, &draft.post), (moderate, &draft.moderate)]
                };
                before = shown.into_iter().filter(|(old, new)| old != *new).map(|(old, _)| old).collect();
                conversations::update_title(tx, id, &draft.title).await?;
                row.set_draft(draft);
            }
            Wish::State { state, reason } => {
                judge_transition(row.state(), *state)?;
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
                why = reason;
            }
            Wish::Call { every_ms } => {
                judge_call(&row, now_ms, *every_ms)?;
                row.called_ms = now_ms;
                rows::update_called(tx, id, now_ms).await?;
                Control::record(tx, self.by.person(), vec![record_call(&row)]).await?;
                // Nothing that anybody may do has changed, and it is nothing that was said.
                return Ok(Effect::default());
            }
            Wish::Time => {
                let Some(state) = find_due_state(row.state(), row.opens_ms, row.closes_ms, now_ms) else { return Ok(Effect::default()) };
                row.state = (state as i32).into();
            }
        }
        row.version += 1;
        let opens = row.state() == ConsultationState::Open && matches!(was, ConsultationState::Draft | ConsultationState::Scheduled);
        if opens {
            row.called_ms = now_ms;
        }
        rows::update_consultation(tx, &row, now_ms).await?;
        put_rules(tx, id, &rule_set(&row)?).await?;
        let by = self.by.person();
        let mut records = vec![record_change(&row, before)];
        if opens {
            records.push(record_call(&row));
        }
        Control::record(tx, by, records).await?;
        Ok(Effect { events: vec![(by, changed(&row, why))], moves_gate: true })
    }
}
