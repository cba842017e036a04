//! Calls to chat-core: which node, in which batch, again where a node failed.

mod chat_cores;
mod control;
mod options;
mod service;

pub use chat_cores::{ChatCores, Watched};
pub use control::{ControlEvents, ControlFeed, ControlNews};
pub use options::UpstreamOptions;
pub use service::Upstream;
