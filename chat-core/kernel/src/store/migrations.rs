//! The tables of this executable's version.

use std::time::Duration;

use sqlx::{
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::sleep;

use super::{Database, Store};
use crate::fault::Fault;

/// The tables of one part of the house, for either database. Versions are unique over all parts.
#[derive(Clone, Debug)]
pub struct Migrations {
    /// Of the folder `migrations/sqlite`.
    pub sqlite: &'static Migrator,
    /// Of the folder `migrations/postgres`.
    pub postgres: &'static Migrator,
}

/// All parts' migrations in the order of their versions.
fn merge<'a>(parts: impl Iterator<Item = &'a Migrator>) -> Migrator {
    Migrator::with_migrations(parts.flat_map(|part| part.iter().cloned()).collect())
}

/// How a connection that migrates differs from the others: an index over millions of events takes its time, and so does whoever
/// waits for another process to make it. If that one's machine is gone, the server lets go of its lock soon.
const PATIENT: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];
/// How often whoever waits for a migration writes so into the log.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

impl Store {
    /// Brings the tables to this executable's version. Safe to call from several processes at once.
    ///
    /// # Errors
    /// When a migration fails, or the database was made by a newer executable.
    pub async fn migrate(&self, parts: &[Migrations]) -> Result<(), Fault> {
        match self.database() {
            Database::Sqlite { write, .. } => merge(parts.iter().map(|part| part.sqlite)).run(write).await?,
            Database::Postgres(pool) => {
                let migrator = merge(parts.iter().map(|part| part.postgres));
                let patient = PgConnectOptions::clone(&pool.connect_options()).options(PATIENT);
                let patient = PgPoolOptions::new().max_connections(1).connect_with(patient).await?;
                let mut migrating = Box::pin(migrator.run(&patient));
                let migrated = loop {
                    tokio::select! {
                        migrated = &mut migrating => break migrated,
                        () = sleep(LOGGED_EVERY) => tracing::info!("the database is being migrated, here or by another process"),
                    }
                };
                drop(migrating);
                patient.close().await;
                migrated?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clock::Clock;

    use super::*;
    use crate::{
        MIGRATIONS, execute,
        store::{StoreOptions, example::new_store},
    };

    #[tokio::test]
    async fn events_of_before_are_kept_when_they_stand_in_the_order_of_writing() {
        let (store, _folder) = new_store().await;
        let Database::Sqlite { write, .. } = store.database() else { panic!("not SQLite") };
        let (before, after): (Vec<_>, Vec<_>) =
            MIGRATIONS.sqlite.iter().filter(|migration| migration.version <= 6).partition(|migration| migration.version < 6);
        assert!(!after.is_empty());
        for migration in before {
            sqlx::raw_sql(migration.sql.clone()).execute(write).await.unwrap();
        }
        let put = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
            INSERT INTO events SELECT iif(i % 3 = 0, x'0A', x'0B'), i, i, i, i % 7, randomblob(16), randomblob(16), 1, NULL, i % 2, 0, \
            randomblob(300) FROM n";
        sqlx::query(put).execute(write).await.unwrap();
        const ALL: &str = "SELECT count(*), group_concat(line) FROM (SELECT hex(conversation) || hex(body) || quote(client_id) || quote(digest) || \
            json_array(seq, mseq, time_ms, author, kind, target, version, gone) AS line FROM events ORDER BY conversation, seq)";
        let kept: (i64, String) = crate::fetch_one!(store, (i64, String), ALL).unwrap();
        assert_eq!(kept.0, 1_000);
        for migration in after {
            sqlx::raw_sql(migration.sql.clone()).execute(write).await.unwrap();
        }
        assert!(kept == crate::fetch_one!(store, (i64, String), ALL).unwrap(), "an event was changed");
        let again = "INSERT INTO events SELECT conversation, seq + 3000, mseq, time_ms, author, client_id, digest, kind, target, version, gone, \
            body FROM events LIMIT 1";
        assert!(sqlx::query(again).execute(write).await.is_err(), "one client_id, two events");
    }

    #[tokio::test]
    async fn migrations_wait_for_one_another_however_short_a_lock_may_be_waited_for() {
        let server = testkit::Postgres::start();
        let options = StoreOptions { url: server.create_database(), ..StoreOptions::default() };
        let one = Store::open(&options, Clock::default()).await.unwrap();
        one.migrate(std::slice::from_ref(&MIGRATIONS)).await.unwrap();
        let mut held = one.begin().await.unwrap();
        execute!(held, "LOCK TABLE _sqlx_migrations IN ACCESS EXCLUSIVE MODE").unwrap();
        let hasty =
            Store::open(&StoreOptions { lock_timeout_ms: 100, statement_timeout_ms: 100, ..options }, Clock::default()).await.unwrap();
        let waiting = tokio::spawn(async move { hasty.migrate(std::slice::from_ref(&MIGRATIONS)).await });
        sleep(Duration::from_millis(500)).await;
        assert!(!waiting.is_finished());
        held.rollback().await.unwrap();
        waiting.await.unwrap().unwrap();
    }
}
