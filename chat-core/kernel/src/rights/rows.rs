//! Rules as they are stored.

use std::collections::{HashMap, HashSet};

use prost::Message as _;
use proto::v1::Audience;
use uuid::Uuid;

use super::{RuleSet, Rules};
use crate::{execute, fault::Fault, fetch_among, store::Tx};

/// Decodes a stored audience.
///
/// # Errors
/// When it cannot be decoded.
pub fn decode_audience(stored: &[u8]) -> Result<Audience, Fault> {
    Audience::decode(stored).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// The rules of these conversations; those that have none (there is no such conversation) are left out. Three statements, however
/// many they are.
///
/// # Errors
/// When the database fails, or holds what cannot be decoded.
pub async fn find_rules(tx: &mut Tx<'_>, conversations: &[Uuid]) -> Result<HashMap<Uuid, Rules>, Fault> {
    let stored = fetch_among!(tx, (Uuid, String), "SELECT conversation, body FROM rules WHERE conversation", conversations, "")?;
    let mut sets = Vec::with_capacity(stored.len());
    for (conversation, body) in stored {
        let set: RuleSet = serde_json::from_str(&body).map_err(|error| Fault::Corrupt(format!("rules of {conversation}: {error}")))?;
        sets.push((conversation, set));
    }
    let with_members: Vec<Uuid> = sets.iter().filter(|(_, set)| set.members).map(|(conversation, _)| *conversation).collect();
    let rows = fetch_among!(tx, (Uuid, i64), "SELECT conversation, person FROM members WHERE conversation", with_members, "")?;
    let mut members: HashMap<Uuid, HashSet<u32>> = HashMap::new();
    for (conversation, person) in rows {
        members.entry(conversation).or_default().insert(person as u32);
    }
    let rows =
        fetch_among!(tx, (Uuid, i64, i64), "SELECT conversation, person, until_ms FROM mutes WHERE conversation", conversations, "")?;
    let mut mutes: HashMap<Uuid, HashMap<u32, i64>> = HashMap::new();
    for (conversation, person, until_ms) in rows {
        mutes.entry(conversation).or_default().insert(person as u32, until_ms);
    }
    let mut rules = HashMap::with_capacity(sets.len());
    for (conversation, set) in sets {
        let (members, mutes) = (members.remove(&conversation).unwrap_or_default(), mutes.remove(&conversation).unwrap_or_default());
        rules.insert(conversation, Rules::new(set, members, mutes));
    }
    Ok(rules)
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
