//! The tokens' settings.

use serde::{Deserialize, Serialize};

/// Resume tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenOptions {
    /// The secret that all gateways share; at least 32 characters. Empty: a random one, good for a single gateway.
    pub resume_key: String,
    /// How long a resume token is good.
    pub resume_token_s: u32,
    /// How long a check waits for the control feed to reach the token's position before it asks chat-core.
    pub wait_ms: u32,
    /// With no word from any chat-core for longer, no token is taken: the session may have ended meanwhile.
    pub trust_silence_s: u32,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self { resume_key: String::new(), resume_token_s: 300, wait_ms: 300, trust_silence_s: 60 }
    }
}
