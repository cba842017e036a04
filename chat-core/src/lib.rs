//! The rules and the log: every conversation is one append-only, numbered log of events, and one folder each for the
//! subjects that decide what goes into it.

pub mod accounts;
mod chat_core;
mod clock;
pub mod consultations;
pub mod control;
pub mod conversations;
pub mod directory;
pub mod displays;
pub mod edge;
pub mod fault;
pub mod log;
pub mod moderation;
mod options;
pub mod rights;
pub mod seed;
pub mod store;

pub use chat_core::ChatCore;
pub use fault::{Error, Fault};
pub use options::Options;
