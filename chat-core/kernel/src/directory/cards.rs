//! Cards: how people were shown at a time. An event names the card of its author, so that a record shows them as they were when they
//! spoke, whatever they are called today.

use sqlx::{AssertSqlSafe, FromRow};

use super::Roles;
use crate::{
    fault::Fault,
    fetch_among,
    store::{Either, Store, Tx, portions},
};

/// A card; it never changes.
#[derive(Clone, Debug, FromRow)]
pub struct CardRow {
    /// Its id, as events name it.
    pub id: i64,
    /// Whose it is.
    pub person: i64,
    /// Their name then.
    pub name: String,
    /// Their organisation then.
    pub organisation: i64,
    /// What it was called then.
    pub organisation_name: String,
    /// Their roles then, as bits.
    pub roles: i64,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
}

impl CardRow {
    /// As the contract has it.
    #[must_use]
    pub fn to_proto(self) -> proto::v1::Card {
        proto::v1::Card {
            id: self.id as u32,
            person: self.person as u32,
            name: self.name,
            organisation: self.organisation as u32,
            organisation_name: self.organisation_name,
            roles: Roles(self.roles as u32).iter().map(Into::into).collect(),
            since_ms: self.since_ms,
        }
    }
}

/// Cards by their ids; unknown ones are left out.
///
/// # Errors
/// When the database fails.
pub async fn find_cards(store: &Store, ids: &[u32]) -> Result<Vec<CardRow>, Fault> {
    const CARDS: &str = "SELECT id, person, name, organisation, organisation_name, roles, since_ms FROM cards WHERE id";
    let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    Ok(fetch_among!(store, CardRow, CARDS, ids, "")?)
}

/// Gives each of these people a new card where they are shown otherwise than on the one they have. Under the directory's lock: ids
/// are the next ones.
///
/// # Errors
/// When the database fails.
pub async fn issue_cards(tx: &mut Tx<'_>, people: &[u32], since_ms: i64) -> Result<(), Fault> {
    let people: Vec<i64> = people.iter().map(|id| i64::from(*id)).collect();
    match tx.split() {
        Either::Postgres(tx) => {
            let (insert, update) = statements("= ANY($2)", "= ANY($1)");
            sqlx::query(AssertSqlSafe(insert)).bind(since_ms).bind(&people).execute(&mut *tx).await?;
            sqlx::query(AssertSqlSafe(update)).bind(&people).execute(&mut *tx).await?;
        }
        Either::Sqlite(tx) => {
            for portion in portions(&people) {
                let places = |from: usize| (from..).take(portion.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(",");
                let (insert, update) = statements(&format!("IN ({})", places(2)), &format!("IN ({})", places(1)));
                let insert = sqlx::query(AssertSqlSafe(insert)).bind(since_ms);
                portion.iter().fold(insert, |query, id| query.bind(*id)).execute(&mut *tx).await?;
                let update = sqlx::query(AssertSqlSafe(update));
                portion.iter().fold(update, |query, id| query.bind(*id)).execute(&mut *tx).await?;
            }
        }
    }
    Ok(())
}

/// Inserts the cards that are missing (`$1`: since when), and points their people to them.
fn statements(among_insert: &str, among_update: &str) -> (String, String) {
    let insert = format!(
        "INSERT INTO cards (id, person, name, organisation, organisation_name, roles, since_ms) \
         SELECT (SELECT COALESCE(max(id), 0) FROM cards) + row_number() OVER (ORDER BY p.id), \
         p.id, p.name, p.organisation, o.name, p.roles, $1 FROM people p JOIN organisations o ON o.id = p.organisation \
         WHERE p.id {among_insert} AND NOT EXISTS (SELECT 1 FROM cards c WHERE c.id = p.card AND c.name = p.name \
         AND c.organisation = p.organisation AND c.organisation_name = o.name AND c.roles = p.roles)"
    );
    let update = format!("UPDATE people SET card = (SELECT max(c.id) FROM cards c WHERE c.person = people.id) WHERE id {among_update}");
    (insert, update)
}

#[cfg(test)]
mod tests {
    use proto::v1::{Organisation, Role};

    use super::*;
    use crate::directory::{
        NewPerson, PersonEntry,
        rows::{find_people, insert_organisations, insert_people, rename_organisation, update_person},
    };

    #[tokio::test]
    async fn a_card_is_issued_for_each_change_of_how_somebody_is_shown_and_for_no_other() {
        let (store, _folder) = crate::store::example::empty_store().await;
        let mut tx = store.begin().await.unwrap();
        let organisation = Organisation { id: 1, code: "33".into(), name: "浙江省".into(), parent: 0, level: 1 };
        insert_organisations(&mut tx, &[organisation]).await.unwrap();
        let new = |id: u32| NewPerson {
            id,
            login: format!("p{id}"),
            name: format!("person {id}"),
            organisation: 1,
            roles: Roles::from_roles([Role::Member]),
            password: None,
            demo: false,
        };
        insert_people(&mut tx, &[new(1), new(2)], 100).await.unwrap();
        tx.commit().await.unwrap();
        let first = find_people(&store, &[1, 2]).await.unwrap();
        let cards = |people: &[PersonEntry]| people.iter().map(|person| person.card).collect::<Vec<_>>();
        assert_eq!(cards(&first), [1, 2]);

        let mut tx = store.begin().await.unwrap();
        update_person(&mut tx, &PersonEntry { disabled: true, ..first[0].clone() }, 200).await.unwrap();
        update_person(&mut tx, &PersonEntry { name: "another name".into(), ..first[1].clone() }, 200).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(cards(&find_people(&store, &[1, 2]).await.unwrap()), [1, 3], "a disabling is nothing that is shown");

        let mut tx = store.begin().await.unwrap();
        rename_organisation(&mut tx, 1, "浙江", 300).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(cards(&find_people(&store, &[1, 2]).await.unwrap()), [4, 5]);
        let shown = find_cards(&store, &[1, 3, 5, 99]).await.unwrap();
        let shown: Vec<_> =
            shown.iter().map(|card| (card.person, card.name.as_str(), card.organisation_name.as_str(), card.since_ms)).collect();
        assert_eq!(shown, [(1, "person 1", "浙江省", 100), (2, "another name", "浙江省", 200), (2, "another name", "浙江", 300)]);
    }
}
