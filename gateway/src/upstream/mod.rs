//! Calls to chat-core: which node, in which batch, again where a node failed.

mod calls;
mod chat_cores;
mod control;
mod control_follower;
mod cork;
mod failure;
mod forward;
mod gather;
mod heat;
mod lines;
mod marks;
mod nodes;
mod options;
mod reads;
mod service;

pub use chat_cores::{ChatCores, Watched};
pub use control::{ControlEvents, ControlFeed, ControlNews};
pub use options::UpstreamOptions;
pub use service::Upstream;
