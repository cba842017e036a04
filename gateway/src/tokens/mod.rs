//! Resume tokens: what a client shows when it reconnects, checked by any gateway without a question to chat-core.

mod options;

use std::sync::Arc;

use proto::{internal::v1::Identity, v1::Refusal};

use crate::{ChatCores, Fault};

pub use options::TokenOptions;

/// Makes and checks resume tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ResumeTokens {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {}

/// A token and when it stops being good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// base64url.
    pub token: String,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

impl ResumeTokens {
    /// With the key of the settings, and the control feed of `cores` for what was revoked.
    ///
    /// # Errors
    /// When the key is too short.
    pub fn new(_options: &TokenOptions, _cores: ChatCores) -> Result<Self, Fault> {
        Ok(Self { inner: Arc::new(Inner {}) })
    }

    /// A token for a session that is live now.
    #[must_use]
    pub fn issue(&self, _identity: &Identity, _now_ms: i64) -> Issued {
        let _ = &self.inner;
        Issued { token: String::new(), expires_ms: 0 }
    }

    /// Who showed this token. Waits a moment where this gateway is behind the token's position in the control log, and
    /// asks chat-core only where it cannot know.
    ///
    /// # Errors
    /// `TICKET_INVALID` (forged, or too old), `SESSION_ENDED`, `UNAVAILABLE`.
    pub async fn check(&self, _token: &str, _now_ms: i64) -> Result<Identity, Refusal> {
        Err(Refusal::of(proto::v1::RefusalCode::TicketInvalid))
    }
}
