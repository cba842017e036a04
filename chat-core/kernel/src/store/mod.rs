//! The database: PostgreSQL or SQLite behind one face. Texts of statements are shared wherever both understand them
//! (`$1` does on both); appending and locking are written for each, in `log`.

mod either;
mod lists;
mod macros;
mod migrations;
mod options;
mod own;
mod upkeep;

use std::{path::Path, str::FromStr as _, time::Duration};

use clock::Clock;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use either::Either;
pub use lists::portions;
pub use migrations::Migrations;
pub use options::StoreOptions;
pub use own::Own;
pub use upkeep::{DatabaseFacts, FileLock};

use crate::fault::Fault;

/// How often SQLite's log is folded into its file. Nothing to fold costs nothing.
const FOLD_EVERY: Duration = Duration::from_secs(1);
/// A log of more pages than this is begun anew when it is folded: 16 MiB.
const LONG_LOG_PAGES: i64 = 4_096;

/// How SQLite begins to write: a transaction that begins by reading and goes on to write could fail as busy in its middle.
const IMMEDIATE: &str = "BEGIN IMMEDIATE";

/// A transaction's process may always pause for so long, ms: a busy machine is not a lost one.
const PAUSE_MS: u64 = 500;

/// PostgreSQL's clock as an expression: milliseconds since 1970, now and not when the transaction began.
pub const CLOCK_MS: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The database, and the clock whose offset its times carry. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    database: Database,
    clock: Clock,
}

/// Which database it is.
#[derive(Clone)]
pub enum Database {
    /// One writer, several readers, one file.
    Sqlite {
        /// Sees what was committed.
        read: SqlitePool,
        /// Exactly one connection.
        write: SqlitePool,
    },
    /// A pool.
    Postgres(PgPool),
}

/// A transaction. Dropped without `commit`, it is rolled back (on an [`Own`], when that is next used).
pub struct Tx<'a> {
    open: Either<Transaction<'a, Sqlite>, Transaction<'a, Postgres>>,
    clock: Clock,
}

impl Store {
    /// Connects. A file of SQLite is made if there is none.
    ///
    /// # Errors
    /// When the URL is of neither kind, or the database cannot be reached or takes no writes.
    pub async fn open(options: &StoreOptions, clock: Clock) -> Result<Self, Fault> {
        Ok(Self { database: connect(options).await?, clock })
    }

    /// Folds SQLite's write-ahead log into its file every second until `stop`, beside the writer, which does not wait for it;
    /// nothing on PostgreSQL. Where the log has become long, what came meanwhile is folded in the writer's place.
    pub async fn fold_logs(self, stop: CancellationToken) {
        let Database::Sqlite { read, .. } = &self.database else { return stop.cancelled().await };
        let mut every = tokio::time::interval(FOLD_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(every.tick()).await.is_some() {
            if fold(read).await > LONG_LOG_PAGES {
                self.fold_log().await;
            }
        }
    }

    /// Folds SQLite's write-ahead log into its file in the writer's place: who writes next waits for it, and begins again at the
    /// log's start, in blocks that its file has already. Nothing on PostgreSQL.
    pub async fn fold_log(&self) {
        if let Database::Sqlite { write, .. } = &self.database {
            fold(write).await;
        }
    }

    /// For the macros: where single statements that read are run.
    #[must_use]
    pub fn split(&self) -> Either<&SqlitePool, &PgPool> {
        match &self.database {
            Database::Sqlite { read, .. } => Either::Sqlite(read),
            Database::Postgres(pool) => Either::Postgres(pool),
        }
    }

    /// Begins a transaction that may write.
    ///
    /// # Errors
    /// When no connection is to be had in time.
    pub async fn begin(&self) -> Result<Tx<'static>, Fault> {
        Ok(self.tx(match &self.database {
            Database::Sqlite { write, .. } => Either::Sqlite(begin_sqlite(write).await?),
            Database::Postgres(pool) => Either::Postgres(pool.begin().await?),
        }))
    }

    /// Begins a transaction that only reads, where several statements must see one state (SQLite) or use one connection.
    ///
    /// # Errors
    /// When no connection is to be had in time.
    pub async fn begin_read(&self) -> Result<Tx<'static>, Fault> {
        Ok(self.tx(match &self.database {
            Database::Sqlite { read, .. } => Either::Sqlite(read.begin().await?),
            Database::Postgres(pool) => Either::Postgres(pool.begin().await?),
        }))
    }

    fn tx<'a>(&self, open: Either<Transaction<'a, Sqlite>, Transaction<'a, Postgres>>) -> Tx<'a> {
        Tx { open, clock: self.clock.clone() }
    }

    /// Which database it is.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The clock that it was opened with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Milliseconds since 1970: the database's clock on PostgreSQL, where several processes write; the process's on SQLite, where it
    /// is the same machine. With the clock's offset.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now_ms(&self) -> Result<i64, Fault> {
        match &self.database {
            Database::Sqlite { .. } => Ok(self.clock.now_ms()),
            Database::Postgres(pool) => {
                let (now_ms,): (i64,) = sqlx::query_as(AssertSqlSafe(format!("SELECT {CLOCK_MS}"))).fetch_one(pool).await?;
                Ok(now_ms + self.clock.offset_ms())
            }
        }
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        let _: (i32,) = crate::fetch_one!(self, (i32,), "SELECT 1")?;
        Ok(())
    }

    /// Closes all connections of its pools; SQLite folds its write-ahead log in.
    pub async fn close(&self) {
        match &self.database {
            Database::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Database::Postgres(pool) => pool.close().await,
        }
    }
}

async fn connect(options: &StoreOptions) -> Result<Database, Fault> {
    let acquire = Duration::from_millis(options.acquire_timeout_ms);
    if options.url.starts_with("postgres:") || options.url.starts_with("postgresql:") {
        let connect = PgConnectOptions::from_str(&options.url)?.application_name("yitang").options([
            // A receipt must survive: whatever the server's default is, this connection waits for the disk.
            ("synchronous_commit", "on".to_owned()),
            ("statement_timeout", options.statement_timeout_ms.to_string()),
            ("lock_timeout", options.lock_timeout_ms.to_string()),
            // Sooner than anybody gives up waiting for a lock: what a machine held that is gone is let go in time.
            ("idle_in_transaction_session_timeout", (options.lock_timeout_ms * 2 / 3).max(PAUSE_MS).to_string()),
            // Every statement is a look into an index by keys, however many: it is planned once. For lists of keys the
            // planner would else weigh anew, and now and then walk through all events, or compile the statement.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
            ("jit", "off".to_owned()),
        ]);
        let connect = connect.disable_statement_logging();
        let pool = PgPoolOptions::new().max_connections(options.connections).acquire_timeout(acquire);
        let pool = pool.after_connect(|connection, _| Box::pin(takes_writes(connection)));
        return match pool.connect_with(connect.clone()).await {
            Ok(pool) => Ok(Database::Postgres(pool)),
            // It has waited in vain; why, one connection alone can tell.
            Err(sqlx::Error::PoolTimedOut) => {
                let alone = async { takes_writes(&mut connect.connect().await?).await };
                timeout(acquire, alone).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Err(sqlx::Error::PoolTimedOut.into())
            }
            Err(error) => Err(error.into()),
        };
    }
    let Some(path) = options.url.strip_prefix("sqlite:") else {
        return Err(Fault::Settings("the store's url must begin with sqlite: or postgres:".into()));
    };
    if let Some(folder) = Path::new(path).parent() {
        std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
    }
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A receipt must survive a loss of power: NORMAL would not sync the log at each commit.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_millis(options.lock_timeout_ms))
        .foreign_keys(true)
        // KiB. At the end of a commit SQLite may look at every page that it holds: no more than a busy hour needs.
        .pragma("cache_size", "-16384")
        // The log's pages go into the file beside the writer (`fold_logs`). Where that does not keep up, the writer does it
        // itself at 128 MiB; at SQLite's own 4 MiB nearly every commit of a flood would end with two more syncs.
        .pragma("wal_autocheckpoint", "32768")
        .disable_statement_logging();
    let write = SqlitePoolOptions::new().max_connections(1).acquire_timeout(acquire).connect_with(connect.clone()).await?;
    let read = SqlitePoolOptions::new().max_connections(options.connections).acquire_timeout(acquire).connect_with(connect).await?;
    Ok(Database::Sqlite { read, write })
}

/// Begins on the one connection that writes to SQLite. Where SQLite has rolled back by itself, as on a full disk, the driver goes on
/// believing in a transaction and begins no other: that connection is replaced.
async fn begin_sqlite(write: &SqlitePool) -> Result<Transaction<'static, Sqlite>, Fault> {
    match write.begin_with(IMMEDIATE).await {
        Err(sqlx::Error::InvalidSavePointStatement) => {
            tracing::warn!("a connection to SQLite had lost its transaction; it is replaced");
            write.acquire().await?.close().await?;
            Ok(write.begin_with(IMMEDIATE).await?)
        }
        begun => Ok(begun?),
    }
}

/// Whether a connection to PostgreSQL is to one that takes writes. After a failover an address may lead to the former primary for a moment,
/// and everything but writing would work there for as long as the connection is kept.
///
/// # Errors
/// When it does not; or does not answer.
async fn takes_writes(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let (read_only,): (String,) = sqlx::query_as("SELECT current_setting('transaction_read_only')").fetch_one(connection).await?;
    if read_only == "on" {
        return Err(sqlx::Error::Protocol("this PostgreSQL takes no writes: it is a standby, or set to read only".to_owned()));
    }
    Ok(())
}

/// Folds what nobody reads any more, and gives the log's length in pages.
async fn fold(pool: &SqlitePool) -> i64 {
    // Whether somebody was in the way, how many pages it has, and how many of them are folded.
    let folded: Result<(i64, i64, i64), _> = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(pool).await;
    folded.map(|(_, pages, _)| pages).unwrap_or_else(|error| {
        tracing::warn!(%error, "SQLite's log is not folded into its file");
        0
    })
}

impl Tx<'_> {
    /// For the macros, and for statements that differ between the databases.
    pub fn split(&mut self) -> Either<&mut SqliteConnection, &mut PgConnection> {
        match &mut self.open {
            Either::Sqlite(tx) => Either::Sqlite(tx),
            Either::Postgres(tx) => Either::Postgres(tx),
        }
    }

    /// The clock that its store was opened with.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Milliseconds since 1970: the database's clock on PostgreSQL, where several processes write; the process's on
    /// SQLite, where it is the same machine. With the clock's offset.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now_ms(&mut self) -> Result<i64, Fault> {
        match &mut self.open {
            Either::Sqlite(_) => Ok(self.clock.now_ms()),
            Either::Postgres(tx) => {
                let (now_ms,): (i64,) = sqlx::query_as(AssertSqlSafe(format!("SELECT {CLOCK_MS}"))).fetch_one(&mut **tx).await?;
                Ok(now_ms + self.clock.offset_ms())
            }
        }
    }

    /// Makes it last: returns when the disk has it.
    ///
    /// # Errors
    /// When it is rolled back, or when that cannot be known (the connection broke).
    pub async fn commit(self) -> Result<(), Fault> {
        match self.open {
            Either::Sqlite(tx) => tx.commit().await?,
            Either::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Gives it up, and its locks at once; dropped, it gives them up when its connection is next used or goes back to its pool.
    ///
    /// # Errors
    /// When the connection broke.
    pub async fn rollback(self) -> Result<(), Fault> {
        match self.open {
            Either::Sqlite(tx) => tx.rollback().await?,
            Either::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod example {
    //! Databases of a test's own, gone with it.

    use super::*;

    /// Without tables.
    pub async fn new_store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        (Store::open(&StoreOptions { url, ..StoreOptions::default() }, Clock::default()).await.unwrap(), folder)
    }

    /// With the kernel's tables, empty.
    pub async fn empty_store() -> (Store, tempfile::TempDir) {
        let (store, folder) = new_store().await;
        store.migrate(std::slice::from_ref(&crate::MIGRATIONS)).await.unwrap();
        (store, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute;

    use super::example::new_store;

    #[tokio::test]
    async fn a_log_that_is_folded_begins_anew() {
        let (store, _folder) = new_store().await;
        let Database::Sqlite { read, write } = store.database() else { panic!("not SQLite") };
        sqlx::query("CREATE TABLE pages (bytes BLOB)").execute(write).await.unwrap();
        let put = |count: u32| {
            let put = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) INSERT INTO pages SELECT zeroblob(4000) FROM n";
            sqlx::query(put).bind(count).execute(write)
        };
        put(1_000).await.unwrap();
        let long = fold(read).await;
        assert!(long >= 1_000, "{long} pages");
        put(10).await.unwrap();
        store.fold_log().await;
        put(1).await.unwrap();
        let anew = fold(read).await;
        assert!((1..100).contains(&anew), "{anew} pages");
        let (rows,): (i64,) = crate::fetch_one!(store, (i64,), "SELECT count(*) FROM pages").unwrap();
        assert_eq!(rows, 1_011);
    }

    #[tokio::test]
    async fn a_database_that_takes_no_writes_is_not_taken_for_one() {
        let server = testkit::Postgres::start();
        let options = StoreOptions { url: server.create_database(), acquire_timeout_ms: 500, ..StoreOptions::default() };
        let store = Store::open(&options, Clock::default()).await.unwrap();
        let read_only =
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$";
        execute!(store, read_only).unwrap();
        let fault = Store::open(&options, Clock::default()).await.map(|_| ()).unwrap_err();
        assert!(fault.is_passing() && fault.to_string().contains("takes no writes"), "{fault}");
        assert!(store.own().await.is_err_and(|fault| fault.is_passing()));
    }
}
