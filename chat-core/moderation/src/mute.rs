//! A person is stopped from posting in one conversation for a while, or may post again.

use async_trait::async_trait;
use kernel::{
    Context, Error,
    accounts::Caller,
    control::{Control, Record},
    log::{Change, Effect, HeadRow},
    parse_id,
    rights::{Asker, Rights},
    store::Tx,
    text::check_reason,
};
use proto::{
    internal::v1::{Concern, MuteChanged, control_event::Kind},
    v1::{MutePersonRequest, Refusal, RefusalCode},
};

use crate::rows;

/// A mute at most, ms: a year.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// Mutes a person, or lets them post again.
///
/// # Errors
/// NOT_FOUND, FORBIDDEN, INVALID, TOO_LARGE; a fault.
pub async fn mute(context: &Context, caller: &Caller, asked: &MutePersonRequest) -> Result<(), Error> {
    let id = parse_id(&asked.id, "id")?;
    check_reason(&asked.reason)?;
    context.commit(id, &mut MuteChange { rights: &context.rights, caller, asked }).await?;
    Ok(())
}

struct MuteChange<'a> {
    rights: &'a Rights,
    caller: &'a Caller,
    asked: &'a MutePersonRequest,
}

#[async_trait]
impl Change for MuteChange<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let MutePersonRequest { person, until_ms, reason, .. } = self.asked;
        let by = self.caller.person.id;
        let rules = self.rights.rules_within(tx, head).await?;
        let directory = self.rights.directory().snapshot();
        rules.may_moderate(Asker { directory: &directory, person: &self.caller.person, now_ms })?;
        if rules.members().is_some() {
            return Err(RefusalCode::Unsupported.into());
        }
        if *until_ms < 0 || *until_ms > now_ms + LONGEST_MS {
            return Err(Refusal::of(RefusalCode::Invalid).field("until_ms").into());
        }
        let other = directory.person(*person).ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("person"))?;
        // Those who run the meeting do not mute each other.
        if rules.may_moderate(Asker { directory: &directory, person: other, now_ms }).is_ok() {
            return Err(Refusal::of(RefusalCode::Forbidden)
                .field("person")
                .words("不能禁言主持或管理人员。", "Those who run the consultation cannot be muted.")
                .into());
        }
        // A time that has passed already lets them post again.
        let until_ms = if *until_ms > now_ms { *until_ms } else { 0 };
        rows::put_mute(tx, head.conversation, *person, until_ms, by, reason).await?;
        rows::insert_act(
            tx,
            head.conversation,
            &rows::ActRow { id: 0, time_ms: now_ms, by: by.into(), person: (*person).into(), until_ms, reason: reason.clone() },
        )
        .await?;
        let conversation = head.conversation.to_string();
        let concern = Concern { conversation: conversation.clone(), people: vec![*person], rights: true, ..Concern::default() };
        let kind = Kind::MuteChanged(MuteChanged { conversation, person: *person, until_ms, reason: reason.clone() });
        Control::record(tx, by, vec![Record { concern, kind }]).await?;
        // Nothing for the public log: who is muted is for the person and for those who moderate.
        Ok(Effect { events: Vec::new(), moves_gate: true })
    }
}
