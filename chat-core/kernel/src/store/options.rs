//! Settings of the database.

use serde::{Deserialize, Serialize};

/// Where the database is, and its bounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// Connections to PostgreSQL besides one for each lane, or readers of SQLite, at most.
    pub connections: u32,
    /// Waiting for a connection, ms.
    pub acquire_timeout_ms: u64,
    /// One statement, ms (PostgreSQL).
    pub statement_timeout_ms: u64,
    /// Waiting for a lock, ms. On PostgreSQL a transaction whose process says nothing for two thirds of that is ended, so that what a
    /// machine held that is gone is let go before others give up.
    pub lock_timeout_ms: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            url: "sqlite:data/yitang.db".into(),
            connections: 16,
            acquire_timeout_ms: 3_000,
            statement_timeout_ms: 5_000,
            lock_timeout_ms: 3_000,
        }
    }
}
