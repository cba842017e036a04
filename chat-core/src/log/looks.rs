//! What a batch is judged against, looked up by keys: each key is one probe of an index, on either database.

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Sqlite};
use uuid::Uuid;

use super::entry::TargetRow;
use crate::{
    fault::Fault,
    store::{Tx, portions},
};

// What follows a list of keys on SQLite. Joined in this order, each key is one probe of an index; as a list of row values
// (`(a, b) IN (VALUES …)`) it would be a walk through the table.
const STANDING_SQLITE: &str = ") SELECT conversation, author, client_id, seq, mseq, time_ms, digest FROM k CROSS JOIN events \
                               ON client_id = k.i AND conversation = k.c AND author = k.a";
const SPEAKERS_SQLITE: &str = ") SELECT conversation, person, last_ms FROM k CROSS JOIN speakers ON conversation = k.c AND person = k.p";
const TARGETS_SQLITE: &str =
    ") SELECT conversation, seq, author, time_ms, kind, version, gone FROM k CROSS JOIN events ON conversation = k.c AND seq = k.s";

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

/// What already stands under these (conversation, author, client_id).
pub async fn standing(tx: &mut Tx<'_>, keys: &[(Uuid, i64, Uuid)]) -> Result<Vec<StandingRow>, Fault> {
    match tx {
        Tx::Postgres(tx) => {
            let mut rows = Vec::new();
            for (conversation, keys) in looks(keys, |key| key.0) {
                let sql = probe(
                    conversation.is_some(),
                    "bigint[], $3::uuid[]",
                    "a, i",
                    "SELECT conversation, author, client_id, seq, mseq, time_ms, digest FROM events",
                    "author = k.a AND client_id = k.i",
                );
                let query = sqlx::query_as(AssertSqlSafe(sql));
                let query = match conversation {
                    Some(conversation) => query.bind(conversation),
                    None => query.bind(keys.iter().map(|key| key.0).collect::<Vec<_>>()),
                };
                let authors: Vec<i64> = keys.iter().map(|key| key.1).collect();
                let ids: Vec<Uuid> = keys.iter().map(|key| key.2).collect();
                rows.extend(query.bind(authors).bind(ids).fetch_all(&mut **tx).await? as Vec<StandingRow>);
            }
            Ok(rows)
        }
        Tx::Sqlite(tx) => {
            let mut rows = Vec::new();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new("WITH k(c, a, i) AS (");
                query.push_values(chunk, |mut row, (conversation, author, id)| {
                    row.push_bind(*conversation).push_bind(*author).push_bind(*id);
                });
                query.push(STANDING_SQLITE);
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
            let mut rows = Vec::new();
            for (conversation, keys) in looks(keys, |key| key.0) {
                let sql =
                    probe(conversation.is_some(), "bigint[]", "n", "SELECT conversation, person, last_ms FROM speakers", "person = k.n");
                let query = sqlx::query_as(AssertSqlSafe(sql));
                let query = match conversation {
                    Some(conversation) => query.bind(conversation),
                    None => query.bind(keys.iter().map(|key| key.0).collect::<Vec<_>>()),
                };
                let numbers: Vec<i64> = keys.iter().map(|key| key.1).collect();
                rows.extend(query.bind(numbers).fetch_all(&mut **tx).await? as Vec<SpeakerRow>);
            }
            Ok(rows)
        }
        Tx::Sqlite(tx) => {
            let mut rows = Vec::new();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new("WITH k(c, p) AS (");
                query.push_values(chunk, |mut row, (conversation, person)| {
                    row.push_bind(*conversation).push_bind(*person);
                });
                query.push(SPEAKERS_SQLITE);
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
            let mut rows = Vec::new();
            for (conversation, keys) in looks(keys, |key| key.0) {
                let sql = probe(conversation.is_some(), "bigint[]", "n", &format!("SELECT {COLUMNS} FROM events"), "seq = k.n");
                let query = sqlx::query_as(AssertSqlSafe(sql));
                let query = match conversation {
                    Some(conversation) => query.bind(conversation),
                    None => query.bind(keys.iter().map(|key| key.0).collect::<Vec<_>>()),
                };
                let numbers: Vec<i64> = keys.iter().map(|key| key.1).collect();
                rows.extend(query.bind(numbers).fetch_all(&mut **tx).await? as Vec<TargetRow>);
            }
            Ok(rows)
        }
        Tx::Sqlite(tx) => {
            let mut rows = Vec::new();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new("WITH k(c, s) AS (");
                query.push_values(chunk, |mut row, (conversation, seq)| {
                    row.push_bind(*conversation).push_bind(*seq);
                });
                query.push(TARGETS_SQLITE);
                rows.extend(query.build_query_as::<TargetRow>().fetch_all(&mut **tx).await?);
            }
            Ok(rows)
        }
    }
}

/// Up to so many conversations are looked into one by one. A statement that is told which conversation it is about opens one
/// partition; one that learns it row by row opens all 64, which costs as much as a dozen such statements.
const ONE_BY_ONE: usize = 8;

/// Keys of a batch by conversation, where there are few; together (`None`) where there are many. A batch is made of what came
/// one after another, so keys of one conversation may stand apart.
fn looks<K: Copy>(keys: &[K], conversation: impl Fn(&K) -> Uuid) -> Vec<(Option<Uuid>, Vec<K>)> {
    let mut found: Vec<(Option<Uuid>, Vec<K>)> = Vec::new();
    for key in keys {
        let of = Some(conversation(key));
        match found.iter().position(|(known, _)| *known == of) {
            Some(place) => found[place].1.push(*key),
            None if found.len() == ONE_BY_ONE => return vec![(None, keys.to_vec())],
            None => found.push((of, vec![*key])),
        }
    }
    found
}

/// The statement that looks keys up, each by one probe of one partition's index, whatever the planner believes about tables
/// that grew faster than it was told: a plain join may become a walk through all events. `$1` is the conversation, or a list of
/// them; the lists from `$2` on (`types`) are called `k(names)` in `matches`.
fn probe(one: bool, types: &str, names: &str, select: &str, matches: &str) -> String {
    let (conversations, column, conversation) = if one { ("", "", "$1") } else { ("$1::uuid[], ", "c, ", "k.c") };
    format!(
        "SELECT e.* FROM unnest({conversations}$2::{types}) AS k({column}{names}) CROSS JOIN LATERAL \
         ({select} WHERE conversation = {conversation} AND {matches} LIMIT 1) AS e"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fetch_all,
        store::{Store, StoreOptions},
    };

    #[test]
    fn few_conversations_are_looked_into_one_by_one_and_many_together() {
        let keys = |of: &[u128]| of.iter().zip(0..).map(|(id, number)| (Uuid::from_u128(*id), number)).collect::<Vec<(Uuid, i64)>>();
        let few = looks(&keys(&[1, 2, 1]), |key| key.0);
        assert_eq!(
            few,
            [
                (Some(Uuid::from_u128(1)), keys(&[1, 2, 1]).iter().filter(|key| key.0.as_u128() == 1).copied().collect::<Vec<_>>()),
                (Some(Uuid::from_u128(2)), vec![(Uuid::from_u128(2), 1)])
            ]
        );
        let ids: Vec<u128> = (1..=ONE_BY_ONE as u128 + 1).collect();
        assert_eq!(looks(&keys(&ids), |key| key.0), [(None, keys(&ids))]);
        assert_eq!(looks(&keys(&ids[1..]), |key| key.0).len(), ONE_BY_ONE);
    }

    #[tokio::test]
    async fn on_sqlite_each_key_is_a_probe_of_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::open(&StoreOptions { url, ..StoreOptions::default() }).await.unwrap();
        store.migrate().await.unwrap();
        for (keys, select) in [("k(c, a, i)", STANDING_SQLITE), ("k(c, p)", SPEAKERS_SQLITE), ("k(c, s)", TARGETS_SQLITE)] {
            let row = if keys.contains('i') { "(x'01', 1, x'02')" } else { "(x'01', 1)" };
            let sql = format!("EXPLAIN QUERY PLAN WITH {keys} AS (VALUES {row}, {row}{select}");
            let plan: Vec<(i64, i64, i64, String)> = fetch_all!(store, (i64, i64, i64, String), AssertSqlSafe(sql.clone())).unwrap();
            let steps: Vec<String> = plan.into_iter().map(|row| row.3).collect();
            let probe = steps.iter().find(|step| step.starts_with("SEARCH")).unwrap_or_else(|| panic!("{sql}: {steps:?}"));
            assert!(probe.matches("=?").count() == keys.matches(',').count() + 1, "{sql}: {steps:?}");
        }
    }
}
