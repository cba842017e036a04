//! Resume tokens: what a client shows when it reconnects, checked by any gateway without a question to chat-core.

mod options;
mod seal;

use std::{sync::Arc, time::Duration};

use proto::{
    internal::v1::Identity,
    v1::{Refusal, RefusalCode},
};

use crate::{fault::Fault, upstream::ChatCores};
use seal::{Seal, Sealed};

pub use options::TokenOptions;

/// Makes and checks resume tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ResumeTokens {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    seal: Seal,
    cores: ChatCores,
    options: TokenOptions,
}

/// A token and when it stops being good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// base64url.
    pub token: String,
    /// Milliseconds since 1970.
    pub expires_ms: i64,
}

impl ResumeTokens {
    /// Tokens sealed with the key of the settings, checked against what the control feed of `cores` says has ended.
    ///
    /// # Errors
    /// When the key is too short.
    pub fn new(options: &TokenOptions, cores: ChatCores) -> Result<Self, Fault> {
        let seal = Seal::new(&options.resume_key)?;
        Ok(Self { inner: Arc::new(Inner { seal, cores, options: options.clone() }) })
    }

    /// A token for a session that is live at `now_ms`, milliseconds since 1970.
    #[must_use]
    pub fn issue(&self, identity: &Identity, now_ms: i64) -> Issued {
        let feed = self.inner.cores.control();
        let position = feed.position();
        let mut identity = identity.clone();
        // Not ended up to here: later checks need not look back further.
        if feed.has_ended(&identity.session, 0, identity.control) == Some(false) {
            identity.control = identity.control.max(position);
        }
        let expires_ms = now_ms + i64::from(self.inner.options.resume_token_s) * 1_000;
        let token = self.inner.seal.seal(&Sealed { identity: Some(identity), expires_ms, epoch: feed.epoch() });
        Issued { token, expires_ms }
    }

    /// Finds who showed this token at `now_ms`, milliseconds since 1970. Waits a moment where this gateway is behind the token's position in the control log, and
    /// asks chat-core only where it cannot know.
    ///
    /// # Errors
    /// `TICKET_INVALID` (forged, or too old), `SESSION_ENDED`, `UNAVAILABLE`.
    pub async fn check(&self, token: &str, now_ms: i64) -> Result<Identity, Refusal> {
        let Inner { seal, cores, options } = &*self.inner;
        let (identity, epoch) = match seal.open(token) {
            Some(Sealed { identity: Some(identity), expires_ms, epoch }) if expires_ms > now_ms => (identity, epoch),
            _ => return Err(Refusal::of(RefusalCode::TicketInvalid)),
        };
        if identity.session_expires_ms != 0 && identity.session_expires_ms <= now_ms {
            return Err(Refusal::of(RefusalCode::SessionEnded));
        }
        let feed = cores.control();
        if !feed.is_alive(Duration::from_secs(u64::from(options.trust_silence_s))) {
            return Err(Refusal::of(RefusalCode::Unavailable));
        }
        if feed.position() < identity.control {
            feed.wait_for(identity.control, Duration::from_millis(u64::from(options.wait_ms))).await;
        }
        let position = feed.position();
        match feed.has_ended(&identity.session, epoch, identity.control) {
            Some(true) => Err(Refusal::of(RefusalCode::SessionEnded)),
            Some(false) => Ok(Identity { control: position, ..identity }),
            None => {
                metrics::counter!("yitang_gateway_resume_tokens_asked_total").increment(1);
                redeem_new_ticket(cores, &identity.session).await
            }
        }
    }
}

/// A ticket for the session, used at once: chat-core gives one only for a session that is live.
async fn redeem_new_ticket(cores: &ChatCores, session: &str) -> Result<Identity, Refusal> {
    let ticket = cores.issue_ticket(session, "").await?;
    cores.redeem(&ticket, "").await
}
