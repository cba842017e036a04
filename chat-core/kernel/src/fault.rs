//! What goes wrong on our side. Logged once, where it is turned into a refusal.

use proto::v1::{Refusal, RefusalCode};
use sqlx::migrate::MigrateError;

/// PostgreSQL's "read only SQL transaction": a standby says so to whoever would write.
const READ_ONLY: &str = "25006";

/// A failure that is not the caller's.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database refused, broke, or did not answer.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// The database's migrations do not fit this executable.
    #[error("migrating: {0}")]
    Migrate(#[from] MigrateError),
    /// What is stored cannot be understood.
    #[error("the store holds what cannot be understood: {0}")]
    Corrupt(String),
    /// The settings cannot be used.
    #[error("settings: {0}")]
    Settings(String),
    /// A part of this process has stopped.
    #[error("{0} has stopped")]
    Stopped(&'static str),
}

impl Fault {
    /// Whether the same may work a moment later: the database is away or busy.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => is_passing(error),
            // While another process migrates, or the database goes away in the middle; nothing of a migration is half done.
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => is_passing(error),
            Self::Stopped(_) => true,
            _ => false,
        }
    }

    /// Whether the database takes no writes on this connection: what was the primary is a standby now.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.code().as_deref() == Some(READ_ONLY))
    }

    /// Whether a row was refused because it stands already.
    #[must_use]
    pub fn stands_already(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Logs it, with what was being done, and gives the refusal that the caller is told.
    #[must_use]
    pub fn refuse(self, doing: &'static str) -> Refusal {
        if self.is_passing() {
            tracing::warn!(fault = %self, doing, "unavailable");
            Refusal::of(RefusalCode::Unavailable)
        } else {
            tracing::error!(fault = %self, doing, "failed");
            Refusal::of(RefusalCode::Internal)
        }
    }
}

/// Whether the same may work a moment later.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => {
            // PostgreSQL: 08 connection, 53 resources, 57 stopping or cancelled, 40 serialisation and deadlock,
            // 55 lock not available, 25006 read-only while failing over, 25P03 paused too long within a transaction.
            // SQLite: 5 busy, 6 locked.
            let code = error.code().unwrap_or_default();
            ["5", "6", READ_ONLY, "25P03"].contains(&&*code)
                || ["08", "53", "57", "40", "55"].iter().any(|class| code.starts_with(class) && code.len() == 5)
        }
        _ => false,
    }
}

impl From<uuid::Error> for Fault {
    fn from(error: uuid::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

/// Either "no" for the caller, or a failure of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's.
    #[error("refused: {}", .0.message_en)]
    Refused(Box<Refusal>),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Error {
    /// The refusal that the caller is told; a fault is logged.
    #[must_use]
    pub fn refuse(self, doing: &'static str) -> Refusal {
        match self {
            Self::Refused(refusal) => *refusal,
            Self::Fault(fault) => fault.refuse(doing),
        }
    }

    /// Whether a row was refused because it stands already.
    #[must_use]
    pub fn stands_already(&self) -> bool {
        matches!(self, Self::Fault(fault) if fault.stands_already())
    }

    /// The same as a gRPC status.
    #[must_use]
    pub fn into_status(self, doing: &'static str) -> tonic::Status {
        self.refuse(doing).into()
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<RefusalCode> for Error {
    fn from(code: RefusalCode) -> Self {
        Refusal::of(code).into()
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Fault(error.into())
    }
}
