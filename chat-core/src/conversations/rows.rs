//! Conversations, their people and how far each has read, as they are stored.

use std::collections::BTreeMap;

use proto::v1::ConversationKind;
use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_optional,
    store::{Store, Tx},
};

/// A conversation as it is listed.
#[derive(Clone, Debug, FromRow)]
pub struct ConversationRow {
    /// Its id.
    pub id: Uuid,
    /// Empty for a direct one.
    pub title: String,
    /// How far the asker has read.
    pub read_mseq: i64,
}

/// One conversation.
pub async fn one(store: &Store, id: Uuid, person: u32) -> Result<Option<ConversationRow>, Fault> {
    Ok(fetch_optional!(
        store,
        ConversationRow,
        "SELECT c.id, c.title, COALESCE(r.mseq, 0) AS read_mseq FROM conversations c \
         LEFT JOIN read_marks r ON r.conversation = c.id AND r.person = $2 WHERE c.id = $1",
        id,
        i64::from(person)
    )?)
}

/// Those a person is part of, the newest activity first.
pub async fn of_person(store: &Store, person: u32, limit: i64, offset: i64) -> Result<Vec<ConversationRow>, Fault> {
    Ok(fetch_all!(
        store,
        ConversationRow,
        "SELECT c.id, c.title, COALESCE(r.mseq, 0) AS read_mseq FROM members m \
         JOIN conversations c ON c.id = m.conversation JOIN heads h ON h.conversation = m.conversation \
         LEFT JOIN read_marks r ON r.conversation = m.conversation AND r.person = m.person \
         WHERE m.person = $1 ORDER BY h.time_ms DESC, c.id LIMIT $2 OFFSET $3",
        i64::from(person),
        limit,
        offset
    )?)
}

/// What a new conversation is.
pub struct NewConversation<'a> {
    pub id: Uuid,
    pub kind: ConversationKind,
    pub title: &'a str,
    pub created_by: u32,
    pub client_id: Option<&'a str>,
    pub direct: Option<(u32, u32)>,
    pub created_ms: i64,
}

pub async fn insert(tx: &mut Tx<'_>, new: &NewConversation<'_>) -> Result<(), Fault> {
    execute!(
        tx,
        "INSERT INTO conversations (id, kind, title, created_by, client_id, direct_low, direct_high, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        new.id,
        i64::from(new.kind as i32),
        new.title,
        i64::from(new.created_by),
        new.client_id,
        new.direct.map(|(low, _)| i64::from(low)),
        new.direct.map(|(_, high)| i64::from(high)),
        new.created_ms
    )?;
    Ok(())
}

/// The conversation that this person made under this name already.
pub async fn made_before(tx: &mut Tx<'_>, created_by: u32, client_id: &str) -> Result<Option<Uuid>, Fault> {
    let row = fetch_optional!(
        tx,
        (Uuid,),
        "SELECT id FROM conversations WHERE created_by = $1 AND client_id = $2",
        i64::from(created_by),
        client_id
    )?;
    Ok(row.map(|row| row.0))
}

/// The direct conversation of two people.
pub async fn direct(store: &Store, (low, high): (u32, u32)) -> Result<Option<Uuid>, Fault> {
    let row = fetch_optional!(
        store,
        (Uuid,),
        "SELECT id FROM conversations WHERE direct_low = $1 AND direct_high = $2",
        i64::from(low),
        i64::from(high)
    )?;
    Ok(row.map(|row| row.0))
}

pub async fn add_members(tx: &mut Tx<'_>, conversation: Uuid, people: &[u32], now_ms: i64) -> Result<(), Fault> {
    for person in people {
        execute!(
            tx,
            "INSERT INTO members (conversation, person, joined_ms) VALUES ($1, $2, $3)",
            conversation,
            i64::from(*person),
            now_ms
        )?;
    }
    Ok(())
}

pub async fn remove_members(tx: &mut Tx<'_>, conversation: Uuid, people: &[u32]) -> Result<(), Fault> {
    for person in people {
        execute!(tx, "DELETE FROM members WHERE conversation = $1 AND person = $2", conversation, i64::from(*person))?;
    }
    Ok(())
}

pub async fn set_title(tx: &mut Tx<'_>, conversation: Uuid, title: &str) -> Result<(), Fault> {
    execute!(tx, "UPDATE conversations SET title = $2 WHERE id = $1", conversation, title)?;
    Ok(())
}

/// How far people have read, each of one conversation: (conversation, person) to mseq; nobody's mark is 0.
pub async fn read_marks(store: &Store, asked: &[(Uuid, u32)]) -> Result<BTreeMap<(Uuid, u32), i64>, Fault> {
    let mut found = BTreeMap::new();
    for chunk in asked.chunks(500) {
        let rows: Vec<(Uuid, i64, i64)> = match store {
            Store::Sqlite { read, .. } => {
                let mut query = QueryBuilder::<Sqlite>::new(
                    "SELECT conversation, person, mseq FROM read_marks WHERE (conversation, person) IN (VALUES ",
                );
                let mut list = query.separated(",");
                for (conversation, person) in chunk {
                    list.push("(")
                        .push_bind_unseparated(*conversation)
                        .push_unseparated(",")
                        .push_bind_unseparated(i64::from(*person))
                        .push_unseparated(")");
                }
                query.push(")");
                query.build_query_as().fetch_all(read).await?
            }
            Store::Postgres(pool) => {
                let (conversations, people): (Vec<Uuid>, Vec<i64>) =
                    chunk.iter().map(|(conversation, person)| (*conversation, i64::from(*person))).unzip();
                let sql = "SELECT r.conversation, r.person, r.mseq FROM unnest($1::uuid[], $2::bigint[]) AS k(conversation, person) \
                           JOIN read_marks r ON r.conversation = k.conversation AND r.person = k.person";
                sqlx::query_as(sql).bind(conversations).bind(people).fetch_all(pool).await?
            }
        };
        found.extend(rows.into_iter().map(|(conversation, person, mseq)| ((conversation, person as u32), mseq)));
    }
    Ok(found)
}

/// Moves marks forward, and never past the newest: read = min(max(old, new), top). Gives where each stands now.
pub async fn move_marks(tx: &mut Tx<'_>, marks: &BTreeMap<(Uuid, u32), i64>) -> Result<BTreeMap<(Uuid, u32), i64>, Fault> {
    // In the order of the keys, so that two transactions never wait for each other.
    const ONE: &str = "INSERT INTO read_marks (conversation, person, mseq) \
         SELECT h.conversation, $2, CASE WHEN $3 < h.mseq THEN $3 ELSE h.mseq END FROM heads h WHERE h.conversation = $1 \
         ON CONFLICT (conversation, person) DO UPDATE SET mseq = CASE WHEN read_marks.mseq > excluded.mseq THEN read_marks.mseq ELSE excluded.mseq END \
         RETURNING mseq";
    let mut moved = BTreeMap::new();
    match tx {
        Tx::Sqlite(tx) => {
            for (key, mseq) in marks {
                let row: Option<(i64,)> =
                    sqlx::query_as(ONE).bind(key.0).bind(i64::from(key.1)).bind(*mseq).fetch_optional(&mut **tx).await?;
                moved.extend(row.map(|row| (*key, row.0)));
            }
        }
        Tx::Postgres(tx) => {
            let conversations: Vec<Uuid> = marks.keys().map(|key| key.0).collect();
            let people: Vec<i64> = marks.keys().map(|key| i64::from(key.1)).collect();
            let mseqs: Vec<i64> = marks.values().copied().collect();
            let sql = "INSERT INTO read_marks (conversation, person, mseq) \
                 SELECT h.conversation, k.person, LEAST(k.mseq, h.mseq) FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k(conversation, person, mseq) \
                 JOIN heads h ON h.conversation = k.conversation ORDER BY 1, 2 \
                 ON CONFLICT (conversation, person) DO UPDATE SET mseq = GREATEST(read_marks.mseq, excluded.mseq) \
                 RETURNING conversation, person, mseq";
            let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(sql).bind(conversations).bind(people).bind(mseqs).fetch_all(&mut **tx).await?;
            moved.extend(rows.into_iter().map(|(conversation, person, mseq)| ((conversation, person as u32), mseq)));
        }
    }
    Ok(moved)
}
