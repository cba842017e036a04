//! The rules and the log.

mod clock;
pub mod control;
pub mod fault;
pub mod log;
pub mod store;
