//! The rules and the log.

pub mod accounts;
mod clock;
pub mod control;
pub mod directory;
pub mod fault;
pub mod log;
pub mod rights;
pub mod store;
