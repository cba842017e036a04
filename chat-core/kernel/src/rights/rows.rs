//! Rules as they are stored.

use std::collections::{HashMap, HashSet};

use prost::Message as _;
use proto::v1::Audience;
use uuid::Uuid;

use super::{RuleSet, Rules};
use crate::{execute, fault::Fault, fetch_all, fetch_optional, store::Tx};

/// Decodes a stored audience.
///
/// # Errors
/// When it cannot be decoded.
pub fn decode_audience(stored: &[u8]) -> Result<Audience, Fault> {
    Audience::decode(stored).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// The rules of one conversation; `None`: it has none (there is no such conversation).
///
/// # Errors
/// When the database fails, or holds what cannot be decoded.
pub async fn find_rules(tx: &mut Tx<'_>, conversation: Uuid) -> Result<Option<Rules>, Fault> {
    let stored = fetch_optional!(tx, (String,), "SELECT body FROM rules WHERE conversation = $1", conversation)?;
    let Some((body,)) = stored else { return Ok(None) };
    let set: RuleSet = serde_json::from_str(&body).map_err(|error| Fault::Corrupt(format!("rules of {conversation}: {error}")))?;
    let mut members = HashSet::new();
    if set.members {
        let rows = fetch_all!(tx, (i64,), "SELECT person FROM members WHERE conversation = $1", conversation)?;
        members = rows.into_iter().map(|(person,)| person as u32).collect();
    }
    let mutes = fetch_all!(tx, (i64, i64), "SELECT person, until_ms FROM mutes WHERE conversation = $1", conversation)?;
    let mutes: HashMap<u32, i64> = mutes.into_iter().map(|(person, until_ms)| (person as u32, until_ms)).collect();
    Ok(Some(Rules::new(set, members, mutes)))
}

/// Writes the rules of a conversation, in place of those it has. The head's gate must move in the same transaction.
///
/// # Errors
/// When the database fails.
pub async fn put_rules(tx: &mut Tx<'_>, conversation: Uuid, set: &RuleSet) -> Result<(), Fault> {
    let body = serde_json::to_string(set).map_err(|error| Fault::Corrupt(error.to_string()))?;
    execute!(
        tx,
        "INSERT INTO rules (conversation, body) VALUES ($1, $2) ON CONFLICT (conversation) DO UPDATE SET body = excluded.body",
        conversation,
        body
    )?;
    Ok(())
}
