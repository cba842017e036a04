//! Display links and the sessions of screens as they are stored.

use std::collections::HashMap;

use proto::v1::DisplayLink;
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_among, fetch_one, fetch_optional,
    rights::Grant,
    store::{Store, Tx},
};

/// Links told in one list.
pub const LISTED: i64 = 100;

/// A display link, all but its secret.
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
    /// As rights see it.
    #[must_use]
    pub fn grant(&self) -> Grant {
        Grant {
            conversation: self.conversation,
            maker: self.created_by as u32,
            expires_ms: self.expires_ms,
            ended: self.ended_ms.is_some(),
        }
    }

    /// As staff see it. `path` only where it was just made.
    #[must_use]
    pub fn told(&self, path: String) -> DisplayLink {
        DisplayLink {
            id: self.id.to_string(),
            consultation: self.conversation.to_string(),
            label: self.label.clone(),
            path,
            created_ms: self.created_ms,
            expires_ms: self.expires_ms,
            created_by: self.created_by as u32,
            last_seen_ms: self.seen_ms,
            ended_ms: self.ended_ms.unwrap_or(0),
            ended_by: self.ended_by as u32,
        }
    }
}

/// The session of a screen, with what it may show.
#[derive(Clone, Debug, FromRow)]
pub struct ScreenRow {
    pub id: Uuid,
    pub link: Uuid,
    pub conversation: Uuid,
    pub expires_ms: i64,
}

/// A screen's session that is good, with the token it is shown by.
#[derive(FromRow)]
struct LiveRow {
    #[sqlx(flatten)]
    screen: ScreenRow,
    token: Vec<u8>,
}

pub async fn insert(tx: &mut Tx<'_>, row: &LinkRow, secret: &[u8]) -> Result<(), Fault> {
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
pub async fn good(tx: &mut Tx<'_>, conversation: Uuid, now_ms: i64) -> Result<i64, Fault> {
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
pub async fn of(store: &Store, conversation: Uuid) -> Result<Vec<LinkRow>, Fault> {
    Ok(fetch_all!(
        store,
        LinkRow,
        "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by FROM display_links \
         WHERE conversation = $1 ORDER BY created_ms DESC, id LIMIT $2",
        conversation,
        LISTED
    )?)
}

pub async fn one(store: &Store, id: Uuid) -> Result<Option<LinkRow>, Fault> {
    Ok(fetch_optional!(
        store,
        LinkRow,
        "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by FROM display_links WHERE id = $1",
        id
    )?)
}

/// These links, whatever became of them.
pub async fn some(store: &Store, ids: &[Uuid]) -> Result<HashMap<Uuid, LinkRow>, Fault> {
    const LINKS: &str = "SELECT id, conversation, label, created_by, created_ms, expires_ms, seen_ms, ended_ms, ended_by \
                         FROM display_links WHERE id";
    let rows = fetch_among!(store, LinkRow, LINKS, ids, "")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The link of a secret that is good now.
pub async fn by_secret(tx: &mut Tx<'_>, secret: &[u8], now_ms: i64) -> Result<Option<LinkRow>, Fault> {
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
pub async fn end(tx: &mut Tx<'_>, id: Uuid, by: i64, now_ms: i64) -> Result<bool, Fault> {
    let ended = execute!(tx, "UPDATE display_links SET ended_ms = $2, ended_by = $3 WHERE id = $1 AND ended_ms IS NULL", id, now_ms, by)?;
    Ok(ended > 0)
}

/// Notes that a screen has just shown it.
pub async fn seen(tx: &mut Tx<'_>, id: Uuid, now_ms: i64) -> Result<(), Fault> {
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
pub async fn sessions_of(tx: &mut Tx<'_>, link: Uuid) -> Result<Vec<Uuid>, Fault> {
    let rows =
        fetch_all!(tx, (Uuid,), "SELECT id FROM display_sessions WHERE link = $1 AND ended_ms IS NULL ORDER BY created_ms DESC, id", link)?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

/// Ends a screen's session; gives its link. `None`: there is none, or it has ended already.
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

/// Screens where neither session nor link has ended or expired (`$1`: now).
const LIVE: &str = "SELECT s.id, s.link, l.conversation, l.expires_ms, s.token FROM display_sessions s \
                    JOIN display_links l ON l.id = s.link WHERE s.ended_ms IS NULL AND l.ended_ms IS NULL AND l.expires_ms > $1";

/// The screens of these tokens, as stored, by token; those that are not good are left out.
pub async fn screens_by_token(store: &Store, tokens: &[Vec<u8>], now_ms: i64) -> Result<HashMap<Vec<u8>, ScreenRow>, Fault> {
    let rows = fetch_among!(store, LiveRow, format!("{LIVE} AND s.token"), tokens, "", now_ms)?;
    Ok(rows.into_iter().map(|row| (row.token, row.screen)).collect())
}

/// The screens of these sessions, where neither session nor link has ended or expired.
pub async fn live_screens(tx: &mut Tx<'_>, sessions: &[Uuid], now_ms: i64) -> Result<Vec<ScreenRow>, Fault> {
    let rows = fetch_among!(tx, LiveRow, format!("{LIVE} AND s.id"), sessions, "", now_ms)?;
    Ok(rows.into_iter().map(|row| row.screen).collect())
}

/// Which of these people have spoken in a conversation.
pub async fn spoke(store: &Store, conversation: Uuid, people: &[u32]) -> Result<Vec<u32>, Fault> {
    const SPEAKERS: &str = "SELECT person FROM speakers WHERE conversation = $1 AND person";
    let people: Vec<i64> = people.iter().map(|person| i64::from(*person)).collect();
    let rows = fetch_among!(store, (i64,), SPEAKERS, people, "", conversation)?;
    Ok(rows.into_iter().map(|row| row.0 as u32).collect())
}
