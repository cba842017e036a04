//! A connection that whoever writes without end keeps for itself.

use std::time::Duration;

use clock::Clock;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqlitePool};
use tokio::time::{Instant, timeout};

use super::{Database, Either, Store, Tx};
use crate::fault::Fault;

/// As long as the pool keeps one of its own: what a connection's process at the database remembers does not grow for ever.
const KEPT_FOR: Duration = Duration::from_secs(1_800);
/// One that was not used for so long is asked whether it is there: what lies between may have forgotten it, and says nothing.
const SURE_FOR: Duration = Duration::from_secs(1);
/// And answers in this time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// One writer's way to the database. On PostgreSQL a connection beside the pool's: it waits for no reader, is not asked before each
/// transaction whether it is there, and its process at the database has the tables at hand that it writes to. On SQLite it is
/// the one that all writers share.
pub struct Own {
    kept: Kept,
    clock: Clock,
}

enum Kept {
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
    /// When no database that takes writes is reached in the time that waiting for a connection may take.
    pub async fn own(&self) -> Result<Own, Fault> {
        let kept = match self.database() {
            Database::Sqlite { write, .. } => Kept::Sqlite(write.clone()),
            Database::Postgres(pool) => {
                let options = pool.connect_options();
                let connected = async {
                    let mut connection = options.connect().await?;
                    super::takes_writes(&mut connection).await?;
                    Ok::<_, sqlx::Error>(connection)
                };
                let connection =
                    timeout(pool.options().get_acquire_timeout(), connected).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
                Kept::Postgres { connection: Box::new(connection), since: Instant::now(), used: Instant::now() }
            }
        };
        Ok(Own { kept, clock: self.clock().clone() })
    }
}

impl Own {
    /// Begins a transaction that may write. It must be committed or rolled back: dropped, it would hold its locks until the next.
    ///
    /// # Errors
    /// When the connection cannot be used: then it is to be dropped.
    pub async fn begin(&mut self) -> Result<Tx<'_>, Fault> {
        let open = match &mut self.kept {
            Kept::Sqlite(write) => Either::Sqlite(super::begin_sqlite(write).await?),
            Kept::Postgres { connection, used, .. } => {
                if used.elapsed() > SURE_FOR {
                    timeout(ANSWERS_WITHIN, connection.ping()).await.map_err(|elapsed| sqlx::Error::Io(elapsed.into()))??;
                }
                *used = Instant::now();
                Either::Postgres(connection.begin().await?)
            }
        };
        Ok(Tx { open, clock: self.clock.clone() })
    }

    /// Whether it has been kept long enough.
    #[must_use]
    pub fn is_old(&self) -> bool {
        matches!(&self.kept, Kept::Postgres { since, .. } if since.elapsed() > KEPT_FOR)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::example::new_store;

    #[tokio::test]
    async fn a_connection_that_lost_its_transaction_is_replaced() {
        let (store, _folder) = new_store().await;
        let mut own = store.own().await.unwrap();
        let mut tx = own.begin().await.unwrap();
        crate::execute!(tx, "CREATE TABLE lost (id INTEGER)").unwrap();
        // As SQLite does by itself when the disk is full.
        crate::execute!(tx, "ROLLBACK").unwrap();
        assert!(tx.rollback().await.is_err(), "there is none");
        let mut tx = own.begin().await.expect("another one");
        crate::execute!(tx, "CREATE TABLE lost (id INTEGER)").unwrap();
        crate::execute!(tx, "COMMIT").unwrap();
        drop(tx);
        // Whoever writes next, if it is not a lane, heals it too.
        let mut tx = store.begin().await.expect("another one");
        crate::execute!(tx, "INSERT INTO lost VALUES (1)").unwrap();
        tx.commit().await.unwrap();
    }
}
