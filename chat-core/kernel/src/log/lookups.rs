//! What a batch is judged against, looked up by keys: each key is one probe of an index, on either database.

use sqlx::{
    AssertSqlSafe, FromRow, Postgres, QueryBuilder, Sqlite,
    postgres::{PgArguments, PgRow},
    query::QueryAs,
    sqlite::SqliteRow,
};
use uuid::Uuid;

use super::entry::TargetRow;
use crate::{
    fault::Fault,
    store::{Either, Tx, portions},
};

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

/// What somebody has posted in a conversation before.
#[derive(Clone, Copy, Debug, FromRow)]
pub struct SpeakerRow {
    pub conversation: Uuid,
    pub person: i64,
    pub last_ms: i64,
    pub posts: i64,
}

/// A mark that stands.
#[derive(Clone, Debug, FromRow)]
pub struct MarkRow {
    pub conversation: Uuid,
    pub target: i64,
    pub mark: i64,
    pub person: i64,
    pub value: String,
}

/// An event that a post is judged by.
#[derive(Clone, Debug, FromRow)]
pub struct BodyRow {
    pub conversation: Uuid,
    pub seq: i64,
    pub body: Vec<u8>,
}

/// What is looked up: rows of a table by their conversation and the columns of `keys`, each with its type on PostgreSQL.
struct Lookup {
    columns: &'static str,
    table: &'static str,
    keys: &'static [(&'static str, &'static str)],
}

const STANDING: Lookup = Lookup {
    columns: "conversation, author, client_id, seq, mseq, time_ms, digest",
    table: "events",
    keys: &[("author", "bigint"), ("client_id", "uuid")],
};
const SPEAKERS: Lookup = Lookup { columns: "conversation, person, last_ms, posts", table: "speakers", keys: &[("person", "bigint")] };
const TARGETS: Lookup =
    Lookup { columns: "conversation, seq, author, time_ms, kind, version, gone", table: "events", keys: &[("seq", "bigint")] };

const MARKS: Lookup = Lookup {
    columns: "conversation, target, mark, person, value",
    table: "marks",
    keys: &[("target", "bigint"), ("mark", "bigint"), ("person", "bigint")],
};
const BODIES: Lookup = Lookup { columns: "conversation, seq, body", table: "events", keys: &[("seq", "bigint")] };

impl Lookup {
    /// On PostgreSQL: each key is one probe of one partition's index, whatever the planner believes about tables that grew faster
    /// than it was told; a plain join may become a walk through all events. `$1` is the conversation (`one`) or a list of them,
    /// and the keys' lists follow.
    fn postgres(&self, one: bool) -> String {
        let Self { columns, table, keys } = self;
        let lists: Vec<String> = keys.iter().zip(2..).map(|((_, kind), place)| format!("${place}::{kind}[]")).collect();
        let names: Vec<String> = keys.iter().map(|(key, _)| format!("k_{key}")).collect();
        let matches: Vec<String> = keys.iter().map(|(key, _)| format!("{key} = k_{key}")).collect();
        let (lists, names, matches) = (lists.join(", "), names.join(", "), matches.join(" AND "));
        let (conversations, column, conversation) =
            if one { ("", "", "$1") } else { ("$1::uuid[], ", "k_conversation, ", "k_conversation") };
        format!(
            "SELECT e.* FROM unnest({conversations}{lists}) AS k({column}{names}) CROSS JOIN LATERAL \
             (SELECT {columns} FROM {table} WHERE conversation = {conversation} AND {matches} LIMIT 1) AS e"
        )
    }

    /// On SQLite: what stands before and after the list of keys. Joined in this order, each key is one probe of an index; as a
    /// list of row values (`(a, b) IN (VALUES …)`) it would be a walk through the table.
    fn sqlite(&self) -> (String, String) {
        let Self { columns, table, keys } = self;
        let names: String = keys.iter().map(|(key, _)| format!(", k_{key}")).collect();
        let matches: String = keys.iter().map(|(key, _)| format!(" AND {key} = k_{key}")).collect();
        let after = format!(") SELECT {columns} FROM k CROSS JOIN {table} ON conversation = k_conversation{matches}");
        (format!("WITH k(k_conversation{names}) AS ("), after)
    }
}

/// What already stands under these (conversation, author, client_id).
pub async fn find_standing(tx: &mut Tx<'_>, keys: &[(Uuid, i64, Uuid)]) -> Result<Vec<StandingRow>, Fault> {
    let mut rows = Vec::new();
    match tx.split() {
        Either::Postgres(tx) => {
            for group in groups(keys, |key| key.0) {
                let authors: Vec<i64> = group.keys.iter().map(|key| key.1).collect();
                let ids: Vec<Uuid> = group.keys.iter().map(|key| key.2).collect();
                rows.extend(group.ask(&STANDING).bind(authors).bind(ids).fetch_all(&mut *tx).await?);
            }
        }
        Either::Sqlite(tx) => {
            let (before, after) = STANDING.sqlite();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new(&before);
                query.push_values(chunk, |mut row, (conversation, author, id)| {
                    row.push_bind(*conversation).push_bind(*author).push_bind(*id);
                });
                query.push(&after);
                rows.extend(query.build_query_as::<StandingRow>().fetch_all(&mut *tx).await?);
            }
        }
    }
    Ok(rows)
}

/// What these people have posted in these conversations before: (conversation, person).
pub async fn find_speakers(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<Vec<SpeakerRow>, Fault> {
    find_numbered(tx, &SPEAKERS, &single(keys)).await
}

/// The events that posts act on: (conversation, seq).
pub async fn find_targets(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<Vec<TargetRow>, Fault> {
    find_numbered(tx, &TARGETS, &single(keys)).await
}

/// Bodies of events that posts are judged by: (conversation, seq).
pub async fn find_bodies(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<Vec<BodyRow>, Fault> {
    find_numbered(tx, &BODIES, &single(keys)).await
}

/// Marks that stand: (conversation, [target, mark, person]).
pub async fn find_marks(tx: &mut Tx<'_>, keys: &[(Uuid, [i64; 3])]) -> Result<Vec<MarkRow>, Fault> {
    find_numbered(tx, &MARKS, keys).await
}

fn single(keys: &[(Uuid, i64)]) -> Vec<(Uuid, [i64; 1])> {
    keys.iter().map(|(conversation, number)| (*conversation, [*number])).collect()
}

/// Rows by conversation and `N` numbers.
async fn find_numbered<R, const N: usize>(tx: &mut Tx<'_>, lookup: &Lookup, keys: &[(Uuid, [i64; N])]) -> Result<Vec<R>, Fault>
where
    R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut rows = Vec::new();
    match tx.split() {
        Either::Postgres(tx) => {
            for group in groups(keys, |key| key.0) {
                let mut query = group.ask(lookup);
                for place in 0..N {
                    query = query.bind(group.keys.iter().map(|key| key.1[place]).collect::<Vec<i64>>());
                }
                rows.extend(query.fetch_all(&mut *tx).await?);
            }
        }
        Either::Sqlite(tx) => {
            let (before, after) = lookup.sqlite();
            for chunk in portions(keys) {
                let mut query = QueryBuilder::<Sqlite>::new(&before);
                query.push_values(chunk, |mut row, (conversation, numbers)| {
                    row.push_bind(*conversation);
                    for number in numbers {
                        row.push_bind(*number);
                    }
                });
                query.push(&after);
                rows.extend(query.build_query_as::<R>().fetch_all(&mut *tx).await?);
            }
        }
    }
    Ok(rows)
}

/// Conversations up to this number are looked into one by one. A statement that is told which conversation it is about opens one
/// partition; one that learns it row by row opens all 64, which costs as much as a dozen such statements.
const ONE_BY_ONE: usize = 8;

/// Keys that are looked up by one statement: of one conversation, or of all of theirs (more than one).
#[derive(Debug, PartialEq)]
struct Group<K> {
    conversations: Vec<Uuid>,
    keys: Vec<K>,
    one: bool,
}

impl<K> Group<K> {
    /// The statement, with its conversations bound; the keys' lists are to follow.
    fn ask<R: for<'r> FromRow<'r, PgRow>>(&self, lookup: &Lookup) -> QueryAs<'static, Postgres, R, PgArguments> {
        let query = sqlx::query_as(AssertSqlSafe(lookup.postgres(self.one)));
        if self.one { query.bind(self.conversations[0]) } else { query.bind(self.conversations.clone()) }
    }
}

/// Keys of a batch by conversation, where there are few; together where there are many. A batch is made of what came one after
/// another, so keys of one conversation may stand apart.
fn groups<K: Copy>(keys: &[K], conversation: impl Fn(&K) -> Uuid) -> Vec<Group<K>> {
    let mut found: Vec<Group<K>> = Vec::new();
    for key in keys {
        let of = conversation(key);
        match found.iter().position(|group| group.conversations == [of]) {
            Some(place) => found[place].keys.push(*key),
            None if found.len() == ONE_BY_ONE => {
                return vec![Group { conversations: keys.iter().map(conversation).collect(), keys: keys.to_vec(), one: false }];
            }
            None => found.push(Group { conversations: vec![of], keys: vec![*key], one: true }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fetch_all, store::example::empty_store};

    #[test]
    fn few_conversations_are_looked_into_one_by_one_and_many_together() {
        let keys = |of: &[u128]| of.iter().zip(0..).map(|(id, number)| (Uuid::from_u128(*id), number)).collect::<Vec<(Uuid, i64)>>();
        let sizes = |of: &[u128]| groups(&keys(of), |key| key.0).iter().map(|group| (group.one, group.keys.len())).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), []);
        assert_eq!(sizes(&[1, 2, 1]), [(true, 2), (true, 1)]);
        let ids: Vec<u128> = (1..=ONE_BY_ONE as u128 + 1).collect();
        assert_eq!(sizes(&ids[1..]), [(true, 1); ONE_BY_ONE]);
        assert_eq!(sizes(&ids), [(false, ids.len())]);
        let together = groups(&keys(&ids), |key| key.0);
        assert!(together[0].conversations.iter().eq(together[0].keys.iter().map(|key| &key.0)), "each key with its conversation");
    }

    #[tokio::test]
    async fn on_sqlite_each_key_is_a_probe_of_an_index() {
        let (store, _folder) = empty_store().await;
        for (lookup, row) in [
            (STANDING, "(x'01', 1, x'02')"),
            (SPEAKERS, "(x'01', 1)"),
            (TARGETS, "(x'01', 1)"),
            (MARKS, "(x'01', 1, 1, 1)"),
            (BODIES, "(x'01', 1)"),
        ] {
            let (before, after) = lookup.sqlite();
            let sql = format!("EXPLAIN QUERY PLAN {before}VALUES {row}, {row}{after}");
            let plan: Vec<(i64, i64, i64, String)> = fetch_all!(store, (i64, i64, i64, String), AssertSqlSafe(sql.clone())).unwrap();
            let steps: Vec<String> = plan.into_iter().map(|row| row.3).collect();
            let probe = steps.iter().find(|step| step.starts_with("SEARCH")).unwrap_or_else(|| panic!("{sql}: {steps:?}"));
            assert_eq!(probe.matches("=?").count(), lookup.keys.len() + 1, "{sql}: {steps:?}");
        }
    }
}
