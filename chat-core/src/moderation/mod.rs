//! Moderation: a person is muted in one conversation for a while. (Hiding a comment is a post: see `rights`.)

use async_trait::async_trait;
use proto::{
    codec,
    internal::v1::{MuteChanged, control_event::Kind},
    limits,
    v1::{MutePersonRequest, Refusal, RefusalCode},
};

use crate::{
    accounts::Caller,
    control::Control,
    conversations::{Conversations, parse_id},
    execute,
    fault::Error,
    log::{Change, Effect, HeadRow},
    rights::{Asker, Rights, Rules},
    store::Tx,
};

/// A mute at most, ms: a year.
const LONGEST_MS: i64 = 366 * 24 * 3_600_000;

/// Mutes a person, or lets them post again.
///
/// # Errors
/// NOT_FOUND, FORBIDDEN, INVALID, TOO_LARGE; a fault.
pub async fn mute(conversations: &Conversations, caller: &Caller, asked: MutePersonRequest) -> Result<(), Error> {
    let id = parse_id(&asked.id, "id")?;
    if asked.reason.len() > limits::REASON_BYTES {
        return Err(Refusal::of(RefusalCode::TooLarge).field("reason").into());
    }
    if !asked.reason.is_empty() {
        codec::check_text(&asked.reason).map_err(|refusal| refusal.field("reason"))?;
    }
    conversations.log.commit(id, &mut Mute { rights: &conversations.rights, caller, asked: &asked }).await?;
    conversations.control.committed();
    Ok(())
}

struct Mute<'a> {
    rights: &'a Rights,
    caller: &'a Caller,
    asked: &'a MutePersonRequest,
}

#[async_trait]
impl Change for Mute<'_> {
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error> {
        let MutePersonRequest { person, until_ms, reason, .. } = self.asked;
        let rules = self.rights.rules_within(tx, head).await?;
        let directory = self.rights.directory().snapshot();
        rules.may_moderate(Asker { directory: &directory, person: &self.caller.person, now_ms })?;
        if !matches!(*rules, Rules::Consultation(_)) {
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
        execute!(tx, "DELETE FROM mutes WHERE conversation = $1 AND person = $2", head.conversation, i64::from(*person))?;
        if *until_ms > now_ms {
            execute!(
                tx,
                "INSERT INTO mutes (conversation, person, until_ms, muted_by, reason) VALUES ($1, $2, $3, $4, $5)",
                head.conversation,
                i64::from(*person),
                *until_ms,
                i64::from(self.caller.person.id),
                reason.as_str()
            )?;
        }
        let told =
            MuteChanged { conversation: head.conversation.to_string(), person: *person, until_ms: *until_ms, reason: reason.clone() };
        Control::record(tx, self.caller.person.id, Kind::MuteChanged(told)).await?;
        // Nothing for the public log: who is muted is for the person and for those who moderate.
        Ok(Effect { events: Vec::new(), moves_gate: true })
    }
}
