//! Mutes as they are stored: those in force, which the kernel judges by, and every act.

use kernel::{
    Fault, execute, fetch_all, fetch_one,
    store::{Store, Tx},
};
use sqlx::FromRow;
use uuid::Uuid;

/// Somebody was muted, or let post again.
#[derive(Clone, Debug, FromRow)]
pub struct ActRow {
    /// Counts the acts of the conversation, from 1.
    pub id: i64,
    /// Milliseconds since 1970.
    pub time_ms: i64,
    /// Who did it.
    #[sqlx(rename = "by_person")]
    pub by: i64,
    /// To whom.
    pub person: i64,
    /// Milliseconds since 1970; 0: may post again.
    pub until_ms: i64,
    /// In the words of whoever did it.
    pub reason: String,
}

/// Puts a mute in place of the one in force; `until_ms` 0: there is none any more.
pub async fn put_mute(tx: &mut Tx<'_>, conversation: Uuid, person: u32, until_ms: i64, by: u32, reason: &str) -> Result<(), Fault> {
    execute!(tx, "DELETE FROM mutes WHERE conversation = $1 AND person = $2", conversation, i64::from(person))?;
    if until_ms > 0 {
        execute!(
            tx,
            "INSERT INTO mutes (conversation, person, until_ms, muted_by, reason) VALUES ($1, $2, $3, $4, $5)",
            conversation,
            i64::from(person),
            until_ms,
            i64::from(by),
            reason
        )?;
    }
    Ok(())
}

/// Adds an act, under the head's lock: its id is the next one.
pub async fn insert_act(tx: &mut Tx<'_>, conversation: Uuid, act: &ActRow) -> Result<(), Fault> {
    let (last,): (i64,) = fetch_one!(tx, (i64,), "SELECT COALESCE(max(id), 0) FROM mute_acts WHERE conversation = $1", conversation)?;
    execute!(
        tx,
        "INSERT INTO mute_acts (conversation, id, time_ms, done_by, person, until_ms, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        conversation,
        last + 1,
        act.time_ms,
        act.by,
        act.person,
        act.until_ms,
        act.reason.as_str()
    )?;
    Ok(())
}

/// Acts with an id below `before`, the newest first.
pub async fn list_acts(store: &Store, conversation: Uuid, before: i64, limit: i64) -> Result<Vec<ActRow>, Fault> {
    Ok(fetch_all!(
        store,
        ActRow,
        "SELECT id, time_ms, done_by AS by_person, person, until_ms, reason FROM mute_acts WHERE conversation = $1 AND id < $2 \
         ORDER BY id DESC LIMIT $3",
        conversation,
        before,
        limit
    )?)
}
