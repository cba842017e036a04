//! Sessions, tickets and links as they are stored.

use std::collections::HashMap;

use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_among, fetch_optional,
    store::{Either, Store, Tx},
};

/// What signing in needs to know of a person.
#[derive(FromRow)]
pub struct AccountRow {
    pub id: i64,
    pub password: Option<String>,
    pub demo: i64,
    pub disabled: i64,
}

/// A session that has not ended.
#[derive(FromRow)]
pub struct SessionRow {
    pub id: Uuid,
    pub person: i64,
    pub client: String,
    pub created_ms: i64,
    pub seen_ms: i64,
    pub expires_ms: i64,
}

/// A session that is good, with the token it is shown by.
#[derive(FromRow)]
struct LiveRow {
    #[sqlx(flatten)]
    session: SessionRow,
    token: Vec<u8>,
}

/// A ticket to be kept.
pub struct NewTicket {
    pub ticket: Vec<u8>,
    pub session: Uuid,
    pub origin: String,
}

/// A ticket that was taken out, with the session it was for.
#[derive(FromRow)]
pub struct TakenTicket {
    pub ticket: Vec<u8>,
    pub session: Uuid,
    pub origin: String,
}

pub async fn find_account(store: &Store, login: &str) -> Result<Option<AccountRow>, Fault> {
    Ok(fetch_optional!(store, AccountRow, "SELECT id, password, demo, disabled FROM people WHERE login = $1", login)?)
}

pub async fn find_account_by_id(tx: &mut Tx<'_>, person: i64) -> Result<Option<AccountRow>, Fault> {
    Ok(fetch_optional!(tx, AccountRow, "SELECT id, password, demo, disabled FROM people WHERE id = $1", person)?)
}

/// An account as it is now, and until this transaction ends: who would change it waits.
pub async fn hold_account(tx: &mut Tx<'_>, person: i64) -> Result<Option<AccountRow>, Fault> {
    // SQLite's one writer holds everything.
    if let Either::Postgres(tx) = tx.split() {
        sqlx::query("SELECT FROM people WHERE id = $1 FOR SHARE").bind(person).execute(&mut *tx).await?;
    }
    find_account_by_id(tx, person).await
}

pub async fn update_password(tx: &mut Tx<'_>, person: i64, hash: &str) -> Result<(), Fault> {
    execute!(tx, "UPDATE people SET password = $2 WHERE id = $1", person, hash)?;
    Ok(())
}

/// Sets a password in place of this one (its hash). `false`: it is another one by now.
pub async fn replace_password(tx: &mut Tx<'_>, person: i64, old: Option<&str>, hash: &str) -> Result<bool, Fault> {
    const SQL: &str = "UPDATE people SET password = $3 WHERE id = $1 AND password IS NOT DISTINCT FROM $2";
    Ok(execute!(tx, SQL, person, old, hash)? == 1)
}

pub async fn insert_session(tx: &mut Tx<'_>, session: &SessionRow, token: &[u8]) -> Result<(), Fault> {
    execute!(
        tx,
        "INSERT INTO sessions (id, person, token, client, created_ms, seen_ms, expires_ms) VALUES ($1, $2, $3, $4, $5, $5, $6)",
        session.id,
        session.person,
        token,
        session.client.as_str(),
        session.created_ms,
        session.expires_ms
    )?;
    Ok(())
}

/// Sessions that have neither ended nor expired (`$1`: now), of people who are not disabled.
const LIVE: &str = "SELECT s.id, s.person, s.client, s.created_ms, s.seen_ms, s.expires_ms, s.token FROM sessions s \
                    JOIN people p ON p.id = s.person WHERE s.ended_ms IS NULL AND p.disabled = 0 AND s.expires_ms > $1";

/// The sessions of these tokens, as stored, by token; those that are not good are left out.
pub async fn find_by_token(store: &Store, tokens: &[Vec<u8>], now_ms: i64) -> Result<HashMap<Vec<u8>, SessionRow>, Fault> {
    let rows = fetch_among!(store, LiveRow, format!("{LIVE} AND s.token"), tokens, "", now_ms)?;
    Ok(rows.into_iter().map(|row| (row.token, row.session)).collect())
}

/// A person's sessions that have not ended, the newest first.
pub async fn list_sessions(store: &Store, person: i64, now_ms: i64) -> Result<Vec<SessionRow>, Fault> {
    Ok(fetch_all!(
        store,
        SessionRow,
        "SELECT id, person, client, created_ms, seen_ms, expires_ms FROM sessions \
         WHERE person = $1 AND ended_ms IS NULL AND expires_ms > $2 ORDER BY created_ms DESC, id",
        person,
        now_ms
    )?)
}

/// The same within a transaction.
pub async fn list_sessions_within(tx: &mut Tx<'_>, person: i64) -> Result<Vec<SessionRow>, Fault> {
    Ok(fetch_all!(
        tx,
        SessionRow,
        "SELECT id, person, client, created_ms, seen_ms, expires_ms FROM sessions \
         WHERE person = $1 AND ended_ms IS NULL ORDER BY created_ms DESC, id",
        person
    )?)
}

/// Ends a session. `false`: it has ended already, or is not this person's (`person` 0: whoever's).
pub async fn end_session(tx: &mut Tx<'_>, session: Uuid, person: i64, now_ms: i64) -> Result<Option<i64>, Fault> {
    let row = fetch_optional!(
        tx,
        (i64,),
        "UPDATE sessions SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL AND ($3 = 0 OR person = $3) RETURNING person",
        session,
        now_ms,
        person
    )?;
    Ok(row.map(|row| row.0))
}

/// These sessions, where they have neither ended nor expired and their people are not disabled.
pub async fn find_live(tx: &mut Tx<'_>, ids: &[Uuid], now_ms: i64) -> Result<Vec<SessionRow>, Fault> {
    let rows = fetch_among!(tx, LiveRow, format!("{LIVE} AND s.id"), ids, "", now_ms)?;
    Ok(rows.into_iter().map(|row| row.session).collect())
}

/// Notes that these sessions were used, at most every ten minutes each.
pub async fn update_seen(tx: &mut Tx<'_>, sessions: &[SessionRow], now_ms: i64) -> Result<(), Fault> {
    for session in sessions.iter().filter(|session| session.seen_ms < now_ms - 600_000) {
        execute!(tx, "UPDATE sessions SET seen_ms = $2 WHERE id = $1", session.id, now_ms)?;
    }
    Ok(())
}

/// Keeps tickets, many in a statement.
pub async fn insert_tickets(tx: &mut Tx<'_>, tickets: &[NewTicket], expires_ms: i64) -> Result<(), Fault> {
    const SQL: &str = "INSERT INTO tickets (ticket, session, origin, expires_ms) ";
    for chunk in tickets.chunks(1_000) {
        match tx.split() {
            Either::Sqlite(tx) => {
                let mut query = QueryBuilder::<Sqlite>::new(SQL);
                query.push_values(chunk, |mut row, one| {
                    row.push_bind(one.ticket.clone()).push_bind(one.session).push_bind(one.origin.clone()).push_bind(expires_ms);
                });
                query.build().execute(&mut *tx).await?;
            }
            Either::Postgres(tx) => {
                let mut query = QueryBuilder::<sqlx::Postgres>::new(SQL);
                query.push_values(chunk, |mut row, one| {
                    row.push_bind(one.ticket.clone()).push_bind(one.session).push_bind(one.origin.clone()).push_bind(expires_ms);
                });
                query.build().execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}

/// Takes tickets out: whoever gets one here is the only one who does.
pub async fn take_tickets(tx: &mut Tx<'_>, tickets: &[Vec<u8>], now_ms: i64) -> Result<Vec<TakenTicket>, Fault> {
    const TAKE: &str = "DELETE FROM tickets WHERE expires_ms > $1 AND ticket";
    Ok(fetch_among!(tx, TakenTicket, TAKE, tickets, " RETURNING ticket, session, origin", now_ms)?)
}

/// Forgets what is of no use any more.
pub async fn delete_expired(tx: &mut Tx<'_>, now_ms: i64) -> Result<(), Fault> {
    execute!(tx, "DELETE FROM tickets WHERE expires_ms <= $1", now_ms)?;
    execute!(tx, "DELETE FROM sign_in_links WHERE expires_ms <= $1", now_ms)?;
    Ok(())
}

pub async fn insert_link(tx: &mut Tx<'_>, link: &[u8], person: i64, expires_ms: i64) -> Result<(), Fault> {
    // One link a person: a new one takes the old one's place.
    execute!(tx, "DELETE FROM sign_in_links WHERE person = $1", person)?;
    execute!(tx, "INSERT INTO sign_in_links (link, person, expires_ms) VALUES ($1, $2, $3)", link, person, expires_ms)?;
    Ok(())
}

pub async fn take_link(tx: &mut Tx<'_>, link: &[u8], now_ms: i64) -> Result<Option<i64>, Fault> {
    let row = fetch_optional!(tx, (i64,), "DELETE FROM sign_in_links WHERE link = $1 AND expires_ms > $2 RETURNING person", link, now_ms)?;
    Ok(row.map(|row| row.0))
}
