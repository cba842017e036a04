//! The rules and the log.

pub mod accounts;
mod clock;
pub mod consultations;
pub mod control;
pub mod conversations;
pub mod directory;
pub mod fault;
pub mod log;
pub mod moderation;
pub mod rights;
pub mod store;
