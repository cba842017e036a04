//! The statements of appending, written for each database: many rows in one statement, never one by one.

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::entry::{HeadRow, TargetRow};
use crate::{fault::Fault, store::Tx};

const HEAD: &str = "conversation, epoch, kind, seq, mseq, gate, time_ms, spoke, comments";

/// Rows of one statement on SQLite, which prepares one for each number of them: always the same few, so that they are found
/// again; and never more than the 32,766 values that it binds.
fn portions<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = [100, 50, 20, 10, 5, 1].into_iter().find(|length| *length <= rest.len())?;
        let (portion, after) = rest.split_at(length);
        rest = after;
        Some(portion)
    })
}

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

/// An event that stands already under a client_id.
#[derive(Clone, Debug, FromRow)]
pub struct StandingRow {
    pub conversation: Uuid,
    pub author: i64,
    pub client_id: Uuid,
    pub seq: i64,
    pub mseq: i64,
    pub time_ms: i64,
    pub digest: Vec<u8>,
}

/// When somebody last posted somewhere.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct SpeakerRow {
    pub conversation: Uuid,
    pub person: i64,
    pub last_ms: i64,
}

/// Locks the heads, in the order of their ids so that two batches never wait for one another in a circle.
pub async fn lock_heads(tx: &mut Tx<'_>, conversations: &[Uuid]) -> Result<Vec<HeadRow>, Fault> {
    match tx {
        Tx::Postgres(tx) => {
            let sql = format!("SELECT {HEAD} FROM heads WHERE conversation = ANY($1) ORDER BY conversation FOR UPDATE");
            Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(conversations).fetch_all(&mut **tx).await?)
        }
        Tx::Sqlite(tx) => {
            let mut heads = Vec::with_capacity(conversations.len());
            for chunk in portions(conversations) {
                let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {HEAD} FROM heads WHERE conversation IN ("));
                let mut list = query.separated(",");
                chunk.iter().for_each(|id| {
                    list.push_bind(*id);
                });
                query.push(")");
                heads.extend(query.build_query_as::<HeadRow>().fetch_all(&mut **tx).await?);
            }
            Ok(heads)
        }
    }
}

/// What already stands under these (conversation, author, client_id).
pub async fn standing(tx: &mut Tx<'_>, keys: &[(Uuid, i64, Uuid)]) -> Result<Vec<StandingRow>, Fault> {
    match tx {
        Tx::Postgres(tx) => {
            let (conversations, authors, ids) = three(keys);
            Ok(sqlx::query_as(
                // Lateral and limited: one look into one partition's index for each key, whatever the planner believes about
                // tables that grew faster than it was told. A plain join may become a walk through all events.
                "SELECT e.* FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS k(c, a, i) CROSS JOIN LATERAL \
                 (SELECT conversation, author, client_id, seq, mseq, time_ms, digest FROM events \
                 WHERE conversation = k.c AND author = k.a AND client_id = k.i LIMIT 1) AS e",
            )
            .bind(conversations)
            .bind(authors)
            .bind(ids)
            .fetch_all(&mut **tx)
            .await?)
        }
        Tx::Sqlite(tx) => {
            let mut rows = Vec::new();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new(
                    "SELECT conversation, author, client_id, seq, mseq, time_ms, digest FROM events \
                     WHERE client_id IS NOT NULL AND (conversation, author, client_id) IN (",
                );
                query.push_values(chunk, |mut row, (conversation, author, id)| {
                    row.push_bind(*conversation).push_bind(*author).push_bind(*id);
                });
                query.push(")");
                rows.extend(query.build_query_as::<StandingRow>().fetch_all(&mut **tx).await?);
            }
            Ok(rows)
        }
    }
}

/// When these people last posted in these conversations.
pub async fn speakers(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<Vec<SpeakerRow>, Fault> {
    match tx {
        Tx::Postgres(tx) => {
            let (conversations, people): (Vec<Uuid>, Vec<i64>) = keys.iter().copied().unzip();
            Ok(sqlx::query_as(
                "SELECT s.* FROM unnest($1::uuid[], $2::bigint[]) AS k(c, p) CROSS JOIN LATERAL \
                 (SELECT conversation, person, last_ms FROM speakers WHERE conversation = k.c AND person = k.p LIMIT 1) AS s",
            )
            .bind(conversations)
            .bind(people)
            .fetch_all(&mut **tx)
            .await?)
        }
        Tx::Sqlite(tx) => {
            let mut rows = Vec::new();
            for chunk in portions(keys) {
                let mut query =
                    QueryBuilder::<Sqlite>::new("SELECT conversation, person, last_ms FROM speakers WHERE (conversation, person) IN (");
                query.push_values(chunk, |mut row, (conversation, person)| {
                    row.push_bind(*conversation).push_bind(*person);
                });
                query.push(")");
                rows.extend(query.build_query_as::<SpeakerRow>().fetch_all(&mut **tx).await?);
            }
            Ok(rows)
        }
    }
}

/// The comments that edits, recalls and hides are about.
pub async fn targets(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<Vec<TargetRow>, Fault> {
    const COLUMNS: &str = "conversation, seq, author, time_ms, kind, version, gone";
    match tx {
        Tx::Postgres(tx) => {
            let (conversations, seqs): (Vec<Uuid>, Vec<i64>) = keys.iter().copied().unzip();
            let sql = format!(
                "SELECT e.* FROM unnest($1::uuid[], $2::bigint[]) AS k(c, s) CROSS JOIN LATERAL \
                 (SELECT {COLUMNS} FROM events WHERE conversation = k.c AND seq = k.s LIMIT 1) AS e"
            );
            Ok(sqlx::query_as(AssertSqlSafe(sql)).bind(conversations).bind(seqs).fetch_all(&mut **tx).await?)
        }
        Tx::Sqlite(tx) => {
            let mut rows = Vec::new();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM events WHERE (conversation, seq) IN ("));
                query.push_values(chunk, |mut row, (conversation, seq)| {
                    row.push_bind(*conversation).push_bind(*seq);
                });
                query.push(")");
                rows.extend(query.build_query_as::<TargetRow>().fetch_all(&mut **tx).await?);
            }
            Ok(rows)
        }
    }
}

/// Inserts events. A row that stands already is an error: duplicates were looked up before, under the lock.
pub async fn insert_events(tx: &mut Tx<'_>, rows: &[NewRow]) -> Result<(), Fault> {
    match tx {
        Tx::Postgres(tx) => {
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
            .execute(&mut **tx)
            .await?;
        }
        Tx::Sqlite(tx) => {
            for chunk in portions(rows) {
                let mut query = QueryBuilder::<Sqlite>::new(
                    "INSERT INTO events (conversation, seq, mseq, time_ms, author, client_id, digest, kind, target, body) ",
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
                query.build().execute(&mut **tx).await?;
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
    let changed_ms = changed_at(now_ms);
    match tx {
        Tx::Postgres(tx) => {
            sqlx::query(
                "UPDATE heads h SET seq = k.seq, mseq = k.mseq, gate = k.gate, time_ms = k.time_ms, spoke = k.spoke, \
                 comments = k.comments, changed_ms = $8 \
                 FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) \
                 AS k(conversation, seq, mseq, gate, time_ms, spoke, comments) WHERE h.conversation = k.conversation",
            )
            .bind(heads.iter().map(|head| head.conversation).collect::<Vec<_>>())
            .bind(heads.iter().map(|head| head.seq).collect::<Vec<_>>())
            .bind(heads.iter().map(|head| head.mseq).collect::<Vec<_>>())
            .bind(heads.iter().map(|head| head.gate).collect::<Vec<_>>())
            .bind(heads.iter().map(|head| head.time_ms).collect::<Vec<_>>())
            .bind(heads.iter().map(|head| head.spoke).collect::<Vec<_>>())
            .bind(heads.iter().map(|head| head.comments).collect::<Vec<_>>())
            .bind(changed_ms)
            .execute(&mut **tx)
            .await?;
        }
        Tx::Sqlite(tx) => {
            for chunk in portions(heads) {
                let mut query = QueryBuilder::<Sqlite>::new("WITH k(conversation, seq, mseq, gate, time_ms, spoke, comments) AS (");
                query.push_values(chunk, |mut values, head| {
                    values
                        .push_bind(head.conversation)
                        .push_bind(head.seq)
                        .push_bind(head.mseq)
                        .push_bind(head.gate)
                        .push_bind(head.time_ms)
                        .push_bind(head.spoke)
                        .push_bind(head.comments);
                });
                query.push(
                    ") UPDATE heads SET seq = k.seq, mseq = k.mseq, gate = k.gate, time_ms = k.time_ms, spoke = k.spoke, \
                     comments = k.comments, changed_ms = ",
                );
                query.push_bind(changed_ms);
                query.push(" FROM k WHERE heads.conversation = k.conversation");
                query.build().execute(&mut **tx).await?;
            }
        }
    }
    Ok(())
}

/// Notes who posted where: (conversation, person, when, how many more).
pub async fn note_speakers(tx: &mut Tx<'_>, rows: &[(Uuid, i64, i64, i64)]) -> Result<(), Fault> {
    const ON_CONFLICT: &str = " ON CONFLICT (conversation, person) DO UPDATE SET last_ms = excluded.last_ms, \
                               posts = speakers.posts + excluded.posts";
    match tx {
        Tx::Postgres(tx) => {
            let sql = format!(
                "INSERT INTO speakers (conversation, person, last_ms, posts) \
                 SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[]){ON_CONFLICT}"
            );
            sqlx::query(AssertSqlSafe(sql))
                .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.2).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.3).collect::<Vec<_>>())
                .execute(&mut **tx)
                .await?;
        }
        Tx::Sqlite(tx) => {
            for chunk in portions(rows) {
                let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO speakers (conversation, person, last_ms, posts) ");
                query.push_values(chunk, |mut values, row| {
                    values.push_bind(row.0).push_bind(row.1).push_bind(row.2).push_bind(row.3);
                });
                query.push(ON_CONFLICT);
                query.build().execute(&mut **tx).await?;
            }
        }
    }
    Ok(())
}

/// Writes on comments what edits, recalls and hides made of them.
pub async fn mark_targets(tx: &mut Tx<'_>, rows: &[TargetRow]) -> Result<(), Fault> {
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

fn three(keys: &[(Uuid, i64, Uuid)]) -> (Vec<Uuid>, Vec<i64>, Vec<Uuid>) {
    let conversations = keys.iter().map(|key| key.0).collect();
    let authors = keys.iter().map(|key| key.1).collect();
    (conversations, authors, keys.iter().map(|key| key.2).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_of_any_number_of_rows_is_made_of_a_few_lengths() {
        let rows: Vec<u32> = (0..1_000).collect();
        for count in 0..rows.len() {
            let portions: Vec<&[u32]> = portions(&rows[..count]).collect();
            assert_eq!(portions.concat(), rows[..count]);
            assert!(portions.iter().all(|portion| [100, 50, 20, 10, 5, 1].contains(&portion.len())));
        }
    }

    #[test]
    fn a_change_never_carries_a_time_before_its_own() {
        for (now_ms, changed_ms) in [(0, 0), (1, 1_000), (999, 1_000), (1_000, 1_000), (1_001, 2_000)] {
            assert_eq!(changed_at(now_ms), changed_ms);
        }
    }
}
