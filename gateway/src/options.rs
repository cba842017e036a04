//! The gateway's settings.

use serde::{Deserialize, Serialize};

use crate::{edge::EdgeOptions, registry::HubOptions, tokens::TokenOptions, upstream::UpstreamOptions};

/// Everything that is bounded or chosen in a gateway, by subject.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// This gateway's name, shown to clients for support and to presence; must differ between gateways. Empty: made up.
    pub name: String,
    /// HTTP, the upgrade, the web client.
    pub edge: EdgeOptions,
    /// Sockets and rooms.
    pub hub: HubOptions,
    /// Calls to chat-core.
    pub upstream: UpstreamOptions,
    /// Resume tokens.
    pub tokens: TokenOptions,
}
