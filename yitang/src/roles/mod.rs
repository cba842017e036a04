//! What each command runs: the roles wired together, started, and stopped in order.

mod all;
mod backbone;
mod chat_core;
mod gateway;
mod grpc;
mod listener;
mod presence;

pub use all::all;
pub use backbone::connect as connect_backbone;
pub use chat_core::{chat_core, start_core};
pub use gateway::gateway;
pub use presence::presence;
