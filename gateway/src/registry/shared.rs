//! What all cores of a gateway share.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use clock::Clock;

use super::options::HubOptions;
use crate::{fanout::Fanout, tokens::ResumeTokens, upstream::ChatCores};

/// What all cores share.
pub struct Shared {
    /// This gateway's name.
    pub gateway: String,
    /// Calls to chat-core.
    pub chat_cores: ChatCores,
    /// Resume tokens.
    pub tokens: ResumeTokens,
    /// The rooms.
    pub fanout: Fanout,
    /// The settings of the registry and its sockets.
    pub options: HubOptions,
    /// The calendar's time.
    pub clock: Clock,
    /// Sockets of this gateway.
    pub sockets: AtomicUsize,
    /// Those of them that have not signed in yet.
    pub unsigned: AtomicUsize,
    /// No new sockets are taken.
    pub draining: AtomicBool,
}
