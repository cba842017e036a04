//! What all subjects stand on, and none of them by name: the database, the log, the control log, rights, the directory in memory,
//! accounts and guests, conversations as rows, the clock. A subject imports this crate and never another subject.

#![allow(clippy::wrong_self_convention, reason = "rows are turned into messages by value: to_proto(self)")]

pub mod accounts;
mod answer;
mod context;
pub mod control;
pub mod conversations;
pub mod directory;
pub mod fault;
pub mod guests;
pub mod log;
pub mod rights;
pub mod store;
mod subject;
mod tasks;
pub mod text;
pub mod tokens;

pub use answer::answer;
pub use context::{Context, Seen, parse_id};
pub use fault::{Error, Fault};
pub use subject::{MESSAGE_BYTES, Services, Subject};
pub use tasks::Tasks;

/// Tables of the kernel.
pub static MIGRATIONS: store::Migrations = store::Migrations { sqlite: &SQLITE, postgres: &POSTGRES };
static SQLITE: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: sqlx::migrate::Migrator = sqlx::migrate!("migrations/postgres");

/// The sources of the kernel's settings: the comment above a field is what docs/settings.md says of it.
pub const OPTION_SOURCES: [&str; 3] =
    [include_str!("store/options.rs"), include_str!("log/options.rs"), include_str!("accounts/options.rs")];
