//! Guests' links and sessions as they are stored. (The tables are named after the first guests there were: displays.)

use std::collections::HashMap;

use proto::{internal::v1::Identity, v1::DisplayScope};
use sqlx::FromRow;
use uuid::Uuid;

use super::Grant;
use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_among, fetch_one, fetch_optional,
    store::{Store, Tx},
};

/// Links in one list at most.
const LISTED: i64 = 100;

/// A guest's link, all but its secret.
#[derive(Clone, Debug, FromRow)]
pub struct LinkRow {
    pub id: Uuid,
    pub conversation: Uuid,
    pub label: String,
    pub created_by: i64,
    pub created_ms: i64,
    pub expires_ms: i64,
    pub seen_ms: i64,
    pub ended_ms: Option<i64>,
    pub ended_by: i64,
}

impl LinkRow {
    /// As it is judged.
    #[must_use]
    pub fn to_grant(&self) -> Grant {
        Grant {
            conversation: self.conversation,
            maker: self.created_by as u32,
            expires_ms: self.expires_ms,
            ended: self.ended_ms.is_some(),
        }
    }
}

/// A guest's session, with what it may show.
#[derive(Clone, Debug, FromRow)]
pub struct GuestRow {
    pub id: Uuid,
    pub link: Uuid,
    pub conversation: Uuid,
    pub expires_ms: i64,
}

impl GuestRow {
    /// Whose session it is: a guest's. It reaches as far as its link. `control`: the control log's position that it was read at.
    #[must_use]
    pub fn to_identity(&self, control: u64) -> Identity {
        Identity {
            person: proto::display::number(self.link),
            session: self.id.to_string(),
            path: Vec::new(),
            session_expires_ms: self.expires_ms,
            control,
            display: Some(DisplayScope { link: self.link.to_string(), conversation: self.conversation.to_string() }),
        }
    }
}

/// A guest's session that is good, with the token it is shown by.
#[derive(FromRow)]
struct LiveRow {
    #[sqlx(flatten)]
    guest: GuestRow,
    token: Vec<u8>,
}

pub async fn insert_link(tx: &mut Tx<'_>, row: &LinkRow, secret: &[u8]) -> Result<(), Fault> {
    execute!(
        tx,
        "INSERT INTO display_links (id, conversation, secret, label, created_by, created_ms, expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        row.id,
        row.conversation,
        secret,
        row.label.as_str(),
        row.created_by,
        row.created_ms,
        row.expires_ms
    )?;
    Ok(())
}

/// How many links of a consultation are good now.
pub async fn count_good_links(tx: &mut Tx<'_>, conversation: Uuid, now_ms: i64) -> Result<i64, Fault> {
    let (count,): (i64,) = fetch_one!(
        tx,
        (i64,),
        "SELECT count(*) FROM display_links WHERE conversation = $1 AND ended_ms IS NULL AND expires_ms > $2",
        conversation,
        now_ms
    )?;
    Ok(count)
}

/// Those of a consultation, the newest first.
pub async fn list_links(store: &Store, conversation: Uuid) -> Result<Vec<LinkRow>, Fault> {
    Ok(fetch_all!(
        store,
        LinkRow,
        "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by FROM display_links \
         WHERE conversation = $1 ORDER BY created_ms DESC, id LIMIT $2",
        conversation,
        LISTED
    )?)
}

pub async fn find_link(store: &Store, id: Uuid) -> Result<Option<LinkRow>, Fault> {
    Ok(fetch_optional!(
        store,
        LinkRow,
        "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by FROM display_links WHERE id = $1",
        id
    )?)
}

/// These links, whatever became of them.
pub async fn find_links(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, LinkRow>, Fault> {
    const LINKS: &str = "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by \
                         FROM display_links WHERE id";
    let rows = fetch_among!(store, LinkRow, LINKS, ids, "")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The link of a secret that is good now.
pub async fn find_link_by_secret(tx: &mut Tx<'_>, secret: &[u8], now_ms: i64) -> Result<Option<LinkRow>, Fault> {
    Ok(fetch_optional!(
        tx,
        LinkRow,
        "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by FROM display_links \
         WHERE secret = $1 AND ended_ms IS NULL AND expires_ms > $2",
        secret,
        now_ms
    )?)
}

/// Ends a link. `false`: it was ended already.
pub async fn end_link(tx: &mut Tx<'_>, id: Uuid, by: i64, now_ms: i64) -> Result<bool, Fault> {
    let ended = execute!(tx, "UPDATE display_links SET ended_ms = $2, ended_by = $3 WHERE id = $1 AND ended_ms IS NULL", id, now_ms, by)?;
    Ok(ended > 0)
}

/// Writes when a guest last used it.
pub async fn update_seen(tx: &mut Tx<'_>, id: Uuid, now_ms: i64) -> Result<(), Fault> {
    execute!(tx, "UPDATE display_links SET seen_ms = $2 WHERE id = $1 AND seen_ms < $2", id, now_ms)?;
    Ok(())
}

pub async fn insert_session(tx: &mut Tx<'_>, id: Uuid, link: Uuid, token: &[u8], client: &str, now_ms: i64) -> Result<(), Fault> {
    execute!(
        tx,
        "INSERT INTO display_sessions (id, link, token, client, created_ms) VALUES ($1, $2, $3, $4, $5)",
        id,
        link,
        token,
        client,
        now_ms
    )?;
    Ok(())
}

/// The sessions of a link that have not ended, the newest first.
pub async fn list_sessions(tx: &mut Tx<'_>, link: Uuid) -> Result<Vec<Uuid>, Fault> {
    let rows =
        fetch_all!(tx, (Uuid,), "SELECT id FROM display_sessions WHERE link = $1 AND ended_ms IS NULL ORDER BY created_ms DESC, id", link)?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Ends a guest's session; gives its link. `None`: there is none, or it has ended already.
pub async fn end_session(tx: &mut Tx<'_>, session: Uuid, now_ms: i64) -> Result<Option<Uuid>, Fault> {
    let row = fetch_optional!(
        tx,
        (Uuid,),
        "UPDATE display_sessions SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL RETURNING link",
        session,
        now_ms
    )?;
    Ok(row.map(|row| row.0))
}

/// Guests where neither session nor link has ended or expired (`$1`: now).
const LIVE: &str = "SELECT s.id, s.link, l.conversation, l.expires_ms, s.token FROM display_sessions s \
                    JOIN display_links l ON l.id = s.link WHERE s.ended_ms IS NULL AND l.ended_ms IS NULL AND l.expires_ms > $1";

/// The guests of these tokens, as stored, by token; those that are not good are left out.
pub async fn find_by_token(store: &Store, tokens: &[Vec<u8>], now_ms: i64) -> Result<HashMap<Vec<u8>, GuestRow>, Fault> {
    let rows = fetch_among!(store, LiveRow, format!("{LIVE} AND s.token"), tokens, "", now_ms)?;
    Ok(rows.into_iter().map(|row| (row.token, row.guest)).collect())
}

/// The guests of these sessions, where neither session nor link has ended or expired.
pub async fn find_live(tx: &mut Tx<'_>, sessions: &[Uuid], now_ms: i64) -> Result<Vec<GuestRow>, Fault> {
    let rows = fetch_among!(tx, LiveRow, format!("{LIVE} AND s.id"), sessions, "", now_ms)?;
    Ok(rows.into_iter().map(|row| row.guest).collect())
}
