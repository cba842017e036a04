//! Conversations, their people and how far each has read, as they are stored.

use std::collections::BTreeMap;

use sqlx::{FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_optional,
    store::{Either, Store, Tx, portions},
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
pub async fn find_conversation(store: &Store, id: Uuid, person: u32) -> Result<Option<ConversationRow>, Fault> {
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
pub async fn list_conversations(store: &Store, person: u32, limit: i64, offset: i64) -> Result<Vec<ConversationRow>, Fault> {
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

/// The conversation that this person made under this name already.
pub async fn find_by_client_id(tx: &mut Tx<'_>, created_by: u32, client_id: &str) -> Result<Option<Uuid>, Fault> {
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
pub async fn find_direct(store: &Store, (low, high): (u32, u32)) -> Result<Option<Uuid>, Fault> {
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

pub async fn update_title(tx: &mut Tx<'_>, conversation: Uuid, title: &str) -> Result<(), Fault> {
    execute!(tx, "UPDATE conversations SET title = $2 WHERE id = $1", conversation, title)?;
    Ok(())
}

/// How far people have read, each of one conversation: (conversation, person) to mseq; nobody's mark is 0.
pub async fn find_read(store: &Store, asked: &[(Uuid, u32)]) -> Result<BTreeMap<(Uuid, u32), i64>, Fault> {
    let mut found = BTreeMap::new();
    for chunk in portions(asked) {
        let rows: Vec<(Uuid, i64, i64)> = match store.split() {
            Either::Sqlite(read) => {
                let mut query = QueryBuilder::<Sqlite>::new(READ_BEFORE);
                query.push_values(chunk, |mut row, (conversation, person)| {
                    row.push_bind(*conversation).push_bind(i64::from(*person));
                });
                query.push(READ_AFTER);
                query.build_query_as().fetch_all(read).await?
            }
            Either::Postgres(pool) => {
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

/// Around the list of keys on SQLite: joined in this order, each key is one probe of the primary key. As a list of row values
/// (`(a, b) IN (VALUES …)`) it would be a walk through the table.
const READ_BEFORE: &str = "WITH k(k_conversation, k_person) AS (";
const READ_AFTER: &str =
    ") SELECT conversation, person, mseq FROM k CROSS JOIN read_marks ON conversation = k_conversation AND person = k_person";

/// Moves marks forward, and never past the newest: read = min(max(old, new), top). Gives where each stands now.
pub async fn advance_read(tx: &mut Tx<'_>, marks: &BTreeMap<(Uuid, u32), i64>) -> Result<BTreeMap<(Uuid, u32), i64>, Fault> {
    // In the order of the keys, so that two transactions never wait for each other.
    const ONE: &str = "INSERT INTO read_marks (conversation, person, mseq) \
         SELECT h.conversation, $2, CASE WHEN $3 < h.mseq THEN $3 ELSE h.mseq END FROM heads h WHERE h.conversation = $1 \
         ON CONFLICT (conversation, person) DO UPDATE SET mseq = CASE WHEN read_marks.mseq > excluded.mseq THEN read_marks.mseq ELSE excluded.mseq END \
         RETURNING mseq";
    let mut moved = BTreeMap::new();
    match tx.split() {
        Either::Sqlite(tx) => {
            for (key, mseq) in marks {
                let row: Option<(i64,)> =
                    sqlx::query_as(ONE).bind(key.0).bind(i64::from(key.1)).bind(*mseq).fetch_optional(&mut *tx).await?;
                moved.extend(row.map(|row| (*key, row.0)));
            }
        }
        Either::Postgres(tx) => {
            let conversations: Vec<Uuid> = marks.keys().map(|key| key.0).collect();
            let people: Vec<i64> = marks.keys().map(|key| i64::from(key.1)).collect();
            let mseqs: Vec<i64> = marks.values().copied().collect();
            let sql = "INSERT INTO read_marks (conversation, person, mseq) \
                 SELECT h.conversation, k.person, LEAST(k.mseq, h.mseq) FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k(conversation, person, mseq) \
                 JOIN heads h ON h.conversation = k.conversation ORDER BY 1, 2 \
                 ON CONFLICT (conversation, person) DO UPDATE SET mseq = GREATEST(read_marks.mseq, excluded.mseq) \
                 RETURNING conversation, person, mseq";
            let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(sql).bind(conversations).bind(people).bind(mseqs).fetch_all(&mut *tx).await?;
            moved.extend(rows.into_iter().map(|(conversation, person, mseq)| ((conversation, person as u32), mseq)));
        }
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::store::example::empty_store;

    #[tokio::test]
    async fn on_sqlite_each_read_mark_is_a_probe_of_the_primary_key() {
        let (store, _folder) = empty_store().await;
        let sql = format!("EXPLAIN QUERY PLAN {READ_BEFORE}VALUES (x'01', 1), (x'02', 2){READ_AFTER}");
        let plan: Vec<(i64, i64, i64, String)> = fetch_all!(store, (i64, i64, i64, String), AssertSqlSafe(sql)).unwrap();
        let steps: Vec<&str> = plan.iter().map(|row| row.3.as_str()).collect();
        let probe = steps.iter().find(|step| step.starts_with("SEARCH read_marks"));
        assert!(probe.is_some_and(|probe| probe.matches("=?").count() == 2), "{steps:?}");
    }
}
