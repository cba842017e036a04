//! Rules as they are stored.

use prost::Message as _;
use proto::v1::{Audience, ConsultationState, ConversationKind};
use sqlx::FromRow;

use super::{Circle, ConsultationRules, MembersRules, Rules};
use crate::{fault::Fault, fetch_all, fetch_optional, log::HeadRow, store::Tx};

#[derive(FromRow)]
struct ConsultationRow {
    organisation: i64,
    state: i64,
    closes_ms: i64,
    watch: Vec<u8>,
    post: Vec<u8>,
    moderate: Vec<u8>,
    slow_mode_s: i64,
}

/// Decodes a stored audience.
///
/// # Errors
/// When it cannot be decoded.
pub fn audience(stored: &[u8]) -> Result<Audience, Fault> {
    Audience::decode(stored).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// The rules of one conversation; `None`: it has none (there is no such conversation).
///
/// # Errors
/// When the database fails.
pub async fn rules(tx: &mut Tx<'_>, head: &HeadRow) -> Result<Option<Rules>, Fault> {
    let id = head.conversation;
    let kind = i32::try_from(head.kind).ok().and_then(|kind| ConversationKind::try_from(kind).ok()).unwrap_or_default();
    match kind {
        ConversationKind::Unspecified => Ok(None),
        ConversationKind::Consultation => {
            let row = fetch_optional!(
                tx,
                ConsultationRow,
                "SELECT organisation, state, closes_ms, watch, post, moderate, slow_mode_s FROM consultations WHERE id = $1",
                id
            )?;
            let Some(row) = row else { return Ok(None) };
            let mutes = fetch_all!(tx, (i64, i64), "SELECT person, until_ms FROM mutes WHERE conversation = $1", id)?;
            Ok(Some(Rules::Consultation(ConsultationRules {
                organisation: row.organisation as u32,
                state: ConsultationState::try_from(row.state as i32).unwrap_or_default(),
                closes_ms: row.closes_ms,
                watch: Circle::of(&audience(&row.watch)?),
                post: Circle::of(&audience(&row.post)?),
                moderate: Circle::of(&audience(&row.moderate)?),
                slow_mode_s: row.slow_mode_s as u32,
                mutes: mutes.into_iter().map(|(person, until_ms)| (person as u32, until_ms)).collect(),
            })))
        }
        ConversationKind::Direct | ConversationKind::Group => {
            let owner = fetch_optional!(tx, (i64,), "SELECT created_by FROM conversations WHERE id = $1", id)?;
            let Some((owner,)) = owner else { return Ok(None) };
            let people = fetch_all!(tx, (i64,), "SELECT person FROM members WHERE conversation = $1", id)?;
            let people = people.into_iter().map(|(person,)| person as u32).collect();
            Ok(Some(Rules::Members(MembersRules { kind, owner: owner as u32, people })))
        }
    }
}
