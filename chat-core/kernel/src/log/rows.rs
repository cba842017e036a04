//! The statements that append, written for each database: many rows in one statement, never one by one.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::entry::{HeadRow, TargetRow};
use crate::{
    fault::Fault,
    fetch_among,
    store::{CLOCK_MS, Either, Tx, portions},
};

/// The columns of a head.
pub const HEAD: &str = "conversation, epoch, kind, seq, mseq, gate, time_ms, spoke, comments";

/// An event to insert.
#[derive(Clone, Debug)]
pub struct NewRow {
    pub conversation: Uuid,
    pub seq: i64,
    pub mseq: i64,
    pub time_ms: i64,
    pub author: i64,
    pub client_id: Option<Uuid>,
    pub digest: Option<Vec<u8>>,
    pub kind: i64,
    pub target: Option<i64>,
    pub body: Vec<u8>,
}

/// A head, and the database's clock after it was locked.
#[derive(FromRow)]
struct LockedRow {
    #[sqlx(flatten)]
    head: HeadRow,
    now_ms: i64,
}

/// Locks the heads, in the order of their ids so that two batches never wait for one another in a circle. With the time, in
/// milliseconds since 1970, read when nobody else can append to them any more; 0 where none of them is known.
pub async fn lock_heads(tx: &mut Tx<'_>, conversations: &[Uuid]) -> Result<(Vec<HeadRow>, i64), Fault> {
    let clock = tx.clock().clone();
    if let Either::Sqlite(tx) = tx.split() {
        // The one writer has locked everything by beginning.
        let columns = HEAD.replacen("conversation", "hex(conversation)", 1);
        let mut heads = Vec::with_capacity(conversations.len());
        for chunk in portions(conversations) {
            // All in one row: each row for itself is handed from the database's thread to this one, which takes longer than to
            // find it.
            let mut query = QueryBuilder::<Sqlite>::new("WITH k(id) AS (");
            query.push_values(chunk, |mut values, id| {
                values.push_bind(*id);
            });
            query.push(format!(") SELECT json_group_array(json_array({columns})) FROM k CROSS JOIN heads ON conversation = id"));
            let (found,): (String,) = query.build_query_as().fetch_one(&mut *tx).await?;
            heads.extend(serde_json::from_str::<Vec<HeadRow>>(&found).map_err(|error| sqlx::Error::Decode(error.into()))?);
        }
        return Ok((heads, clock.now_ms()));
    }
    // The clock is read as each row comes out of the locking: the last reading is after the last lock.
    let lock = format!("WITH locked AS (SELECT {HEAD} FROM heads WHERE conversation");
    let read = format!(" ORDER BY conversation FOR UPDATE) SELECT {HEAD}, {CLOCK_MS} AS now_ms FROM locked");
    let rows = fetch_among!(tx, LockedRow, lock, conversations, read)?;
    let now_ms = rows.iter().map(|row| row.now_ms + clock.offset_ms()).max().unwrap_or_default();
    Ok((rows.into_iter().map(|row| row.head).collect(), now_ms))
}

/// Inserts events. A row that stands already is an error that nothing else is tried after: the transaction is given up.
pub async fn insert_events(tx: &mut Tx<'_>, rows: &[NewRow]) -> Result<(), Fault> {
    match tx.split() {
        Either::Postgres(tx) => {
            sqlx::query(
                "INSERT INTO events (conversation, seq, mseq, time_ms, author, client_id, digest, kind, target, body) \
                 SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::uuid[], $7::bytea[], \
                 $8::bigint[], $9::bigint[], $10::bytea[])",
            )
            .bind(rows.iter().map(|row| row.conversation).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.seq).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.mseq).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.time_ms).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.author).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.client_id).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.digest.as_deref()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.kind).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.target).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.body.as_slice()).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        }
        Either::Sqlite(tx) => {
            for chunk in portions(rows) {
                // FAIL: nothing of the statement is undone by itself, so SQLite need not remember each page as it was.
                let mut query = QueryBuilder::<Sqlite>::new(
                    "INSERT OR FAIL INTO events (conversation, seq, mseq, time_ms, author, client_id, digest, kind, target, body) ",
                );
                query.push_values(chunk, |mut values, row| {
                    values
                        .push_bind(row.conversation)
                        .push_bind(row.seq)
                        .push_bind(row.mseq)
                        .push_bind(row.time_ms)
                        .push_bind(row.author)
                        .push_bind(row.client_id)
                        .push_bind(row.digest.as_deref())
                        .push_bind(row.kind)
                        .push_bind(row.target)
                        .push_bind(row.body.as_slice());
                });
                query.build().execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}

/// The time that a head's change carries, of a transaction at `now_ms`: whole seconds, never in the past. Who asks what moved
/// since a time is told of it a second longer; and while a conversation is busy its row is written without touching an index.
fn changed_at(now_ms: i64) -> i64 {
    (now_ms + 999).div_euclid(1_000) * 1_000
}

/// Writes the heads as they are now; `now_ms` is the time of this transaction.
pub async fn update_heads(tx: &mut Tx<'_>, heads: &[HeadRow], now_ms: i64) -> Result<(), Fault> {
    // The rows stand, so each is found by its key and updated there. `UPDATE … FROM` would read all heads on PostgreSQL, as long as
    // they are not many, and on SQLite copy everything aside first.
    const ON_CONFLICT: &str = " ON CONFLICT (conversation) DO UPDATE SET seq = excluded.seq, mseq = excluded.mseq, gate = excluded.gate, \
                               time_ms = excluded.time_ms, spoke = excluded.spoke, comments = excluded.comments, \
                               changed_ms = excluded.changed_ms";
    const INTO: &str = "INSERT INTO heads (partition, changed_ms, conversation, epoch, kind, seq, mseq, gate, time_ms, spoke, comments) ";
    let changed_ms = changed_at(now_ms);
    match tx.split() {
        Either::Postgres(tx) => {
            let sql = format!(
                "{INTO} SELECT 0, $1, * FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
                 $8::bigint[], $9::bigint[], $10::bigint[]){ON_CONFLICT}"
            );
            sqlx::query(AssertSqlSafe(sql))
                .bind(changed_ms)
                .bind(heads.iter().map(|head| head.conversation).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.epoch).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.kind).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.seq).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.mseq).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.gate).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.time_ms).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.spoke).collect::<Vec<_>>())
                .bind(heads.iter().map(|head| head.comments).collect::<Vec<_>>())
                .execute(&mut *tx)
                .await?;
        }
        Either::Sqlite(tx) => {
            for chunk in portions(heads) {
                let mut query = QueryBuilder::<Sqlite>::new(INTO);
                query.push_values(chunk, |mut values, head| {
                    values
                        .push("0")
                        .push_bind(changed_ms)
                        .push_bind(head.conversation)
                        .push_bind(head.epoch)
                        .push_bind(head.kind)
                        .push_bind(head.seq)
                        .push_bind(head.mseq)
                        .push_bind(head.gate)
                        .push_bind(head.time_ms)
                        .push_bind(head.spoke)
                        .push_bind(head.comments);
                });
                query.push(ON_CONFLICT);
                query.build().execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}

/// Writes who posted where: (conversation, person, when in milliseconds since 1970, how many more). Gives those who had not spoken there before.
pub async fn upsert_speakers(tx: &mut Tx<'_>, rows: &[(Uuid, i64, i64, i64)]) -> Result<Vec<(Uuid, i64)>, Fault> {
    const ON_CONFLICT: &str = " ON CONFLICT (conversation, person) DO UPDATE SET last_ms = excluded.last_ms, \
                               posts = speakers.posts + excluded.posts";
    match tx.split() {
        Either::Postgres(tx) => {
            let sql = format!(
                "INSERT INTO speakers (conversation, person, last_ms, posts) \
                 SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]){ON_CONFLICT} \
                 RETURNING conversation, person, posts"
            );
            let noted: Vec<(Uuid, i64, i64)> = sqlx::query_as(AssertSqlSafe(sql))
                .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
                .fetch_all(&mut *tx)
                .await?;
            // Whose posts there are just these is there for the first time.
            let posts: HashMap<(Uuid, i64), i64> = rows.iter().map(|row| ((row.0, row.1), row.3)).collect();
            let new = noted.into_iter().filter(|row| posts.get(&(row.0, row.1)) == Some(&row.2));
            Ok(new.map(|row| (row.0, row.1)).collect())
        }
        Either::Sqlite(tx) => {
            let mut new = Vec::new();
            for chunk in portions(rows) {
                // Asked for before: as rows that the statement returns, all would be handed to this thread, one by one.
                let mut query = QueryBuilder::<Sqlite>::new("WITH k(in_conversation, who) AS (");
                query.push_values(chunk, |mut values, row| {
                    values.push_bind(row.0).push_bind(row.1);
                });
                query.push(
                    ") SELECT in_conversation, who FROM k WHERE NOT EXISTS \
                     (SELECT 1 FROM speakers WHERE conversation = in_conversation AND person = who)",
                );
                new.extend(query.build_query_as::<(Uuid, i64)>().fetch_all(&mut *tx).await?);
                let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO speakers (conversation, person, last_ms, posts) ");
                query.push_values(chunk, |mut values, row| {
                    values.push_bind(row.0).push_bind(row.1).push_bind(row.2).push_bind(row.3);
                });
                query.push(ON_CONFLICT);
                query.build().execute(&mut *tx).await?;
            }
            Ok(new)
        }
    }
}

/// Writes on events what later ones made of them: version and whether they stand.
pub async fn update_targets(tx: &mut Tx<'_>, rows: &[TargetRow]) -> Result<(), Fault> {
    for row in rows {
        crate::execute!(
            tx,
            "UPDATE events SET version = $3, gone = $4 WHERE conversation = $1 AND seq = $2",
            row.conversation,
            row.seq,
            row.version,
            row.gone
        )?;
    }
    Ok(())
}

/// A mark to be set in place of the one that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMark {
    pub conversation: Uuid,
    pub target: i64,
    pub mark: i64,
    /// Whose it is; 0: nobody's.
    pub person: i64,
    pub value: String,
    /// Of the event that sets it.
    pub seq: i64,
}

/// Sets marks, each in place of the one that stands. No two of `rows` are of one target, mark and person.
pub async fn upsert_marks(tx: &mut Tx<'_>, rows: &[NewMark]) -> Result<(), Fault> {
    const ON_CONFLICT: &str = " ON CONFLICT (conversation, target, mark, person) DO UPDATE SET value = excluded.value, seq = excluded.seq";
    match tx.split() {
        Either::Postgres(tx) => {
            let sql = format!(
                "INSERT INTO marks (conversation, target, mark, person, value, seq) \
                 SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[]){ON_CONFLICT}"
            );
            sqlx::query(AssertSqlSafe(sql))
                .bind(rows.iter().map(|row| row.conversation).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.target).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.mark).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.person).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.value.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.seq).collect::<Vec<_>>())
                .execute(&mut *tx)
                .await?;
        }
        Either::Sqlite(tx) => {
            for chunk in portions(rows) {
                let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO marks (conversation, target, mark, person, value, seq) ");
                query.push_values(chunk, |mut values, row| {
                    values
                        .push_bind(row.conversation)
                        .push_bind(row.target)
                        .push_bind(row.mark)
                        .push_bind(row.person)
                        .push_bind(row.value.as_str())
                        .push_bind(row.seq);
                });
                query.push(ON_CONFLICT);
                query.build().execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_never_carries_a_time_before_its_own() {
        for (now_ms, changed_ms) in [(0, 0), (1, 1_000), (999, 1_000), (1_000, 1_000), (1_001, 2_000)] {
            assert_eq!(changed_at(now_ms), changed_ms);
        }
    }
}
