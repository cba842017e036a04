//! A connection that whoever writes without end keeps for itself.

use std::time::Duration;

use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqlitePool};
use tokio::time::{Instant, timeout};

use super::{Store, Tx};
use crate::fault::Fault;

/// As long as the pool keeps one of its own: what a connection's process at the database remembers does not grow for ever.
const KEPT_FOR: Duration = Duration::from_secs(1_800);
/// One that was not used for so long may have been forgotten by what lies between, and nobody would say so.
const UNUSED_FOR: Duration = Duration::from_secs(300);

/// One writer's way to the database. On PostgreSQL a connection beside the pool's: it waits for no reader, is not asked before each
/// transaction whether it is there, and its process at the database has the tables at hand that it writes to. On SQLite it is
/// the one that all writers share.
pub enum Own {
    /// Exactly one connection.
    Sqlite(SqlitePool),
    /// Nobody else's.
    Postgres {
        /// The connection.
        connection: Box<PgConnection>,
        /// When it was made.
        since: Instant,
        /// When it was last begun on.
        used: Instant,
    },
}

impl Store {
    /// Connects.
    ///
    /// # Errors
    /// When the database cannot be reached in the time that waiting for a connection may take.
    pub async fn own(&self) -> Result<Own, Fault> {
        match self {
            Self::Sqlite { write, .. } => Ok(Own::Sqlite(write.clone())),
            Self::Postgres(pool) => {
                let options = pool.connect_options();
                let connected = timeout(pool.options().get_acquire_timeout(), options.connect()).await;
                let connection = connected.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Ok(Own::Postgres { connection: Box::new(connection), since: Instant::now(), used: Instant::now() })
            }
        }
    }
}

impl Own {
    /// Begins a transaction that may write. It must be committed or rolled back: dropped, it would hold its locks until the next.
    ///
    /// # Errors
    /// When the connection is broken: then it is to be dropped.
    pub async fn begin(&mut self) -> Result<Tx<'_>, Fault> {
        Ok(match self {
            Self::Sqlite(write) => Tx::Sqlite(write.begin_with(super::IMMEDIATE).await?),
            Self::Postgres { connection, used, .. } => {
                *used = Instant::now();
                Tx::Postgres(connection.begin().await?)
            }
        })
    }

    /// Whether it has been kept long enough, or unused too long.
    #[must_use]
    pub fn old(&self) -> bool {
        matches!(self, Self::Postgres { since, used, .. } if since.elapsed() > KEPT_FOR || used.elapsed() > UNUSED_FOR)
    }
}
