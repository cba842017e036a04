//! The one public edge: sockets and their sessions, fan-out of conversations to them, the HTTP API, the web client's
//! files, and gRPC(-Web) forwarded to chat-core. Holds nothing that cannot be lost.
//!
//! Folders import each other in one direction only: `edge` → `hub` → `session` → `registry` → `fanout`, `tokens` → `upstream`,
//! `socket`.

pub mod edge;
pub mod fanout;
mod fault;
mod gateway;
pub mod hub;
mod options;
pub mod rate;
pub mod registry;
pub mod session;
pub mod socket;
pub mod tokens;
pub mod upstream;

pub use fault::Fault;
pub use gateway::Gateway;
pub use hub::Placement;
pub use options::Options;
pub use tokens::ResumeTokens;
pub use upstream::{ChatCores, Upstream};
