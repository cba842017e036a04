//! Calls to other roles: which chat-core, in which batch, again where a node failed; and the stream to presence.
//!
//! A post goes through here in five hops, none of them backwards: `chat_cores` (by its conversation, until when) → `nodes`
//! (which node, and the next one where it fails) → `gather` (together with others) → `submit_streams` (on a stream that lasts)
//! → `service` (in this process, or over the network).

mod attempt;
mod calls;
mod chat_cores;
mod control;
mod control_follower;
mod cork;
mod failure;
mod forward;
mod gather;
mod heat;
mod marks;
mod nodes;
mod options;
mod presence;
mod reads;
mod service;
mod submit_streams;

pub use calls::Watched;
pub use chat_cores::ChatCores;
pub use control::{ControlEvents, ControlFeed, ControlUpdate};
pub use options::UpstreamOptions;
pub use presence::{PresenceInstance, PresenceReporter, PresenceUpdate, report as report_presence};
pub use service::Upstream;
