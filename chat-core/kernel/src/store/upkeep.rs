//! What operators ask of the database: whether a commit lasts, a copy of it, and that only one service holds a file.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use super::{Database, Store, StoreOptions};
use crate::{fault::Fault, fetch_all};

/// The schema that tables wait in while a backup is restored.
const ASIDE: &str = "yitang_before_restore";

/// What a database says of itself.
#[derive(Clone, Debug)]
pub struct DatabaseFacts {
    /// `SQLite` or `PostgreSQL`, with its version.
    pub version: String,
    /// Settings that receipts rest on, by name.
    pub settings: Vec<(&'static str, String)>,
}

impl DatabaseFacts {
    /// A setting's value; empty where it is not known.
    #[must_use]
    pub fn setting(&self, name: &str) -> &str {
        self.settings.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }
}

impl Store {
    /// Asks the database what it is, and what receipts rest on: `fsync`, `synchronous_commit`, `full_page_writes`
    /// and `synchronous_standby_names` of PostgreSQL; `journal_mode` and `synchronous` of SQLite.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn facts(&self) -> Result<DatabaseFacts, Fault> {
        match self.database() {
            Database::Sqlite { write, .. } => {
                let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(write).await?;
                let (journal,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(write).await?;
                let (synchronous,): (i64,) = sqlx::query_as("PRAGMA synchronous").fetch_one(write).await?;
                let synchronous = ["off", "normal", "full", "extra"].get(synchronous as usize).copied().unwrap_or("unknown");
                let settings = vec![("journal_mode", journal), ("synchronous", synchronous.to_owned())];
                Ok(DatabaseFacts { version: format!("SQLite {version}"), settings })
            }
            Database::Postgres(pool) => {
                let (version,): (String,) = sqlx::query_as("SELECT current_setting('server_version')").fetch_one(pool).await?;
                let mut settings = Vec::new();
                for name in ["fsync", "synchronous_commit", "full_page_writes", "synchronous_standby_names"] {
                    let (value,): (String,) = sqlx::query_as("SELECT current_setting($1)").bind(name).fetch_one(pool).await?;
                    settings.push((name, value));
                }
                Ok(DatabaseFacts { version: format!("PostgreSQL {version}"), settings })
            }
        }
    }

    /// The incarnations of all logs, in the order of their conversations.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn epochs(&self) -> Result<Vec<i64>, Fault> {
        let rows = fetch_all!(self, (i64,), "SELECT epoch FROM heads ORDER BY conversation")?;
        Ok(rows.into_iter().map(|(epoch,)| epoch).collect())
    }

    /// Whether there is nothing in it, not even empty tables.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_empty(&self) -> Result<bool, Fault> {
        let (tables,): (i64,) = match self.database() {
            Database::Sqlite { read, .. } => sqlx::query_as("SELECT count(*) FROM sqlite_schema").fetch_one(read).await?,
            Database::Postgres(pool) => {
                let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()";
                sqlx::query_as(tables).fetch_one(pool).await?
            }
        };
        Ok(tables == 0)
    }

    /// Connections of other processes of this service to PostgreSQL; this `Store` must have one connection at most.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn others_connected(&self) -> Result<i64, Fault> {
        let Database::Postgres(pool) = self.database() else { return Ok(0) };
        let others = "SELECT count(*) FROM pg_stat_activity \
            WHERE application_name = 'yitang' AND datname = current_database() AND pid <> pg_backend_pid()";
        let (others,): (i64,) = sqlx::query_as(others).fetch_one(pool).await?;
        Ok(others)
    }

    /// Puts all tables of PostgreSQL aside, whole, and leaves an empty database: until `put_back` or `forget_aside`.
    ///
    /// # Errors
    /// When the database refuses: there is something aside already, or the user does not own it.
    pub async fn put_aside(&self) -> Result<(), Fault> {
        self.postgres_script(&[&format!("ALTER SCHEMA public RENAME TO {ASIDE}"), "CREATE SCHEMA public"]).await
    }

    /// Undoes `put_aside`; what came in between is dropped.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn put_back(&self) -> Result<(), Fault> {
        self.postgres_script(&["DROP SCHEMA IF EXISTS public CASCADE", &format!("ALTER SCHEMA {ASIDE} RENAME TO public")]).await
    }

    /// Drops what was put aside.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn forget_aside(&self) -> Result<(), Fault> {
        self.postgres_script(&[&format!("DROP SCHEMA {ASIDE} CASCADE")]).await
    }

    /// Statements in one transaction; nothing on SQLite.
    async fn postgres_script(&self, statements: &[&str]) -> Result<(), Fault> {
        let Database::Postgres(pool) = self.database() else { return Ok(()) };
        let mut tx = pool.begin().await?;
        for statement in statements {
            // Made of constants only.
            sqlx::query(sqlx::AssertSqlSafe(*statement)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Writes a whole and consistent copy of SQLite's file while others go on writing.
    ///
    /// # Errors
    /// When `to` exists already or cannot be written; on PostgreSQL, which has `pg_dump` for this.
    pub async fn copy_to(&self, to: &Path) -> Result<(), Fault> {
        let Database::Sqlite { read, .. } = self.database() else {
            return Err(Fault::Settings("PostgreSQL is copied by pg_dump".to_owned()));
        };
        let to = to.to_str().ok_or_else(|| Fault::Settings("the copy's path must be UTF-8".to_owned()))?;
        sqlx::query("VACUUM INTO $1").bind(to).execute(read).await?;
        Ok(())
    }
}

/// Held as long as a service runs on a file of SQLite: two on one file would not hear each other's announcements, and a
/// restore must not replace a file in use.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl StoreOptions {
    /// SQLite's file; `None` for PostgreSQL.
    #[must_use]
    pub fn file(&self) -> Option<PathBuf> {
        self.url.strip_prefix("sqlite:").map(PathBuf::from)
    }

    /// Takes the file for one service; `None` for PostgreSQL, which any number may share.
    ///
    /// # Errors
    /// When another process has it, or the lock's file cannot be made.
    pub fn lock(&self) -> Result<Option<FileLock>, Fault> {
        let Some(path) = self.file() else { return Ok(None) };
        let lock = path.with_added_extension("lock");
        let failed = |error: std::io::Error| Fault::Settings(format!("{}: {error}", lock.display()));
        if let Some(folder) = lock.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::options().create(true).truncate(false).write(true).open(&lock).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(FileLock { _file: file })),
            Err(TryLockError::WouldBlock) => {
                Err(Fault::Settings(format!("another process of this service is running on {}", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
