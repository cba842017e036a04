//! Organisations and people as they are stored.

use std::collections::HashMap;

use proto::v1::Organisation;
use sqlx::{FromRow, QueryBuilder, Sqlite};

use super::{NewPerson, PersonEntry, Roles, cards::issue_cards};
use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_among, fetch_one, fetch_optional,
    store::{Either, Store, Tx},
};

#[derive(FromRow)]
struct OrganisationRow {
    id: i64,
    code: String,
    name: String,
    parent: Option<i64>,
    level: i64,
}

impl OrganisationRow {
    fn to_proto(self) -> Organisation {
        Organisation {
            id: self.id as u32,
            code: self.code,
            name: self.name,
            parent: self.parent.unwrap_or(0) as u32,
            level: self.level as u32,
        }
    }
}

/// Somebody, and what they sign in with.
#[derive(FromRow)]
struct LoginRow {
    login: String,
    #[sqlx(flatten)]
    person: PersonRow,
}

#[derive(FromRow)]
struct PersonRow {
    id: i64,
    name: String,
    organisation: i64,
    roles: i64,
    disabled: i64,
    card: i64,
}

impl PersonRow {
    fn to_entry(self) -> PersonEntry {
        PersonEntry {
            id: self.id as u32,
            name: self.name.into(),
            organisation: self.organisation as u32,
            roles: Roles(self.roles as u32),
            disabled: self.disabled != 0,
            card: self.card as u32,
        }
    }
}

/// All organisations.
///
/// # Errors
/// When the database fails.
pub async fn list_organisations(store: &Store) -> Result<Vec<Organisation>, Fault> {
    let rows = fetch_all!(store, OrganisationRow, "SELECT id, code, name, parent, level FROM organisations")?;
    Ok(rows.into_iter().map(OrganisationRow::to_proto).collect())
}

/// All organisations, as a transaction sees them.
///
/// # Errors
/// When the database fails.
pub async fn list_organisations_within(tx: &mut Tx<'_>) -> Result<Vec<Organisation>, Fault> {
    let rows = fetch_all!(tx, OrganisationRow, "SELECT id, code, name, parent, level FROM organisations")?;
    Ok(rows.into_iter().map(OrganisationRow::to_proto).collect())
}

/// Everybody.
///
/// # Errors
/// When the database fails.
pub async fn list_people(store: &Store) -> Result<Vec<PersonEntry>, Fault> {
    let rows = fetch_all!(store, PersonRow, "SELECT id, name, organisation, roles, disabled, card FROM people")?;
    Ok(rows.into_iter().map(PersonRow::to_entry).collect())
}

/// These people; unknown ones are left out.
///
/// # Errors
/// When the database fails.
pub async fn find_people(store: &Store, ids: &[u32]) -> Result<Vec<PersonEntry>, Fault> {
    const PEOPLE: &str = "SELECT id, name, organisation, roles, disabled, card FROM people WHERE id";
    let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
    let rows = fetch_among!(store, PersonRow, PEOPLE, ids, "")?;
    Ok(rows.into_iter().map(PersonRow::to_entry).collect())
}

/// What a person signs in with; `None`: no such person.
///
/// # Errors
/// When the database fails.
pub async fn find_login(store: &Store, person: u32) -> Result<Option<String>, Fault> {
    let row = fetch_optional!(store, (String,), "SELECT login FROM people WHERE id = $1", i64::from(person))?;
    Ok(row.map(|row| row.0))
}

/// Everybody by what they sign in with, as a transaction sees them.
///
/// # Errors
/// When the database fails.
pub async fn list_people_within(tx: &mut Tx<'_>) -> Result<HashMap<String, PersonEntry>, Fault> {
    let rows = fetch_all!(tx, LoginRow, "SELECT login, id, name, organisation, roles, disabled, card FROM people")?;
    Ok(rows.into_iter().map(|row| (row.login, row.person.to_entry())).collect())
}

/// Whether somebody signs in with this.
///
/// # Errors
/// When the database fails.
pub async fn has_login(tx: &mut Tx<'_>, login: &str) -> Result<bool, Fault> {
    Ok(fetch_optional!(tx, (i64,), "SELECT id FROM people WHERE login = $1", login)?.is_some())
}

/// The next free ids. Safe because whoever adds holds the directory's lock (see [`lock_directory`]).
///
/// # Errors
/// When the database fails.
pub async fn find_next_ids(tx: &mut Tx<'_>) -> Result<(u32, u32), Fault> {
    let (organisation, person) =
        fetch_one!(tx, (i64, i64), "SELECT COALESCE((SELECT max(id) FROM organisations), 0), COALESCE((SELECT max(id) FROM people), 0)")?;
    Ok((organisation as u32 + 1, person as u32 + 1))
}

/// One at a time changes the directory. SQLite has one writer anyway.
///
/// # Errors
/// When the database fails.
pub async fn lock_directory(tx: &mut Tx<'_>) -> Result<(), Fault> {
    if let Either::Postgres(tx) = tx.split() {
        // Any number will do that nobody else takes.
        sqlx::query("SELECT pg_advisory_xact_lock(7217001)").execute(&mut *tx).await?;
    }
    Ok(())
}

/// Adds organisations, parents before their children.
///
/// # Errors
/// When the database fails, or a code stands already.
pub async fn insert_organisations(tx: &mut Tx<'_>, organisations: &[Organisation]) -> Result<(), Fault> {
    for organisation in organisations {
        let parent = (organisation.parent != 0).then_some(i64::from(organisation.parent));
        execute!(
            tx,
            "INSERT INTO organisations (id, code, name, parent, level) VALUES ($1, $2, $3, $4, $5)",
            i64::from(organisation.id),
            organisation.code.as_str(),
            organisation.name.as_str(),
            parent,
            i64::from(organisation.level)
        )?;
    }
    Ok(())
}

/// Gives an organisation another name; gives its people, who are shown with it from now on (`now_ms`, milliseconds since 1970).
///
/// # Errors
/// When the database fails.
pub async fn rename_organisation(tx: &mut Tx<'_>, id: u32, name: &str, now_ms: i64) -> Result<Vec<u32>, Fault> {
    execute!(tx, "UPDATE organisations SET name = $2 WHERE id = $1", i64::from(id), name)?;
    let people = fetch_all!(tx, (i64,), "SELECT id FROM people WHERE organisation = $1 ORDER BY id", i64::from(id))?;
    let people: Vec<u32> = people.into_iter().map(|row| row.0 as u32).collect();
    issue_cards(tx, &people, now_ms).await?;
    Ok(people)
}

/// Adds people, many in a statement.
///
/// # Errors
/// When the database fails, or a login stands already.
pub async fn insert_people(tx: &mut Tx<'_>, people: &[NewPerson], created_ms: i64) -> Result<(), Fault> {
    // Nine values a row, and SQLite takes 32,766 in a statement.
    for chunk in people.chunks(1_000) {
        match tx.split() {
            Either::Sqlite(tx) => insert_query::<Sqlite>(chunk, created_ms).build().execute(&mut *tx).await.map(|_| ())?,
            Either::Postgres(tx) => insert_query::<sqlx::Postgres>(chunk, created_ms).build().execute(&mut *tx).await.map(|_| ())?,
        }
        issue_cards(tx, &chunk.iter().map(|person| person.id).collect::<Vec<_>>(), created_ms).await?;
    }
    Ok(())
}

fn insert_query<D: sqlx::Database>(people: &[NewPerson], created_ms: i64) -> QueryBuilder<D>
where
    i64: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
    String: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
    Option<String>: for<'q> sqlx::Encode<'q, D> + sqlx::Type<D>,
{
    let mut query = QueryBuilder::new("INSERT INTO people (id, login, name, organisation, roles, password, demo, created_ms) ");
    query.push_values(people, |mut row, person| {
        row.push_bind(i64::from(person.id))
            .push_bind(person.login.clone())
            .push_bind(person.name.clone())
            .push_bind(i64::from(person.organisation))
            .push_bind(i64::from(person.roles.0))
            .push_bind(person.password.clone())
            .push_bind(i64::from(person.demo))
            .push_bind(created_ms);
    });
    query
}

/// Puts the new names, organisations and roles of people in place (from `now_ms` on, milliseconds since 1970), who were read under the directory's lock. In one statement on
/// PostgreSQL: each of them is held for no longer than that takes.
///
/// # Errors
/// When the database fails.
pub async fn update_people(tx: &mut Tx<'_>, people: &[PersonEntry], now_ms: i64) -> Result<(), Fault> {
    match tx.split() {
        Either::Postgres(tx) => {
            sqlx::query(
                "UPDATE people SET name = new.name, organisation = new.organisation, roles = new.roles \
                 FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[]) AS new (id, name, organisation, roles) \
                 WHERE people.id = new.id",
            )
            .bind(people.iter().map(|person| i64::from(person.id)).collect::<Vec<_>>())
            .bind(people.iter().map(|person| person.name.to_string()).collect::<Vec<_>>())
            .bind(people.iter().map(|person| i64::from(person.organisation)).collect::<Vec<_>>())
            .bind(people.iter().map(|person| i64::from(person.roles.0)).collect::<Vec<_>>())
            .execute(&mut *tx)
            .await?;
        }
        Either::Sqlite(_) => {
            for person in people {
                update_person(tx, person, now_ms).await?;
            }
        }
    }
    issue_cards(tx, &people.iter().map(|person| person.id).collect::<Vec<_>>(), now_ms).await
}

/// Puts a person's new data in place, from `now_ms` on (milliseconds since 1970).
///
/// # Errors
/// When the database fails.
pub async fn update_person(tx: &mut Tx<'_>, person: &PersonEntry, now_ms: i64) -> Result<(), Fault> {
    execute!(
        tx,
        "UPDATE people SET name = $2, organisation = $3, roles = $4, disabled = $5 WHERE id = $1",
        i64::from(person.id),
        person.name.as_ref(),
        i64::from(person.organisation),
        i64::from(person.roles.0),
        i64::from(person.disabled)
    )?;
    issue_cards(tx, &[person.id], now_ms).await
}
