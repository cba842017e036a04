//! The answer to who has signed in.

use proto::{
    limits,
    v1::{Limits, Welcome},
};

use crate::registry::{Core, Session};

/// Who has signed in, how to come back, and what bounds apply.
pub(super) fn welcome(core: &Core, session: &Session) -> Welcome {
    let shared = &core.shared;
    let now_ms = shared.clock.now_ms();
    let welcome = session.with_identity(|identity| {
        let issued = shared.tokens.issue(identity, now_ms);
        Welcome {
            // A screen's number is ours, and means nothing to it.
            person: if identity.display.is_some() { 0 } else { identity.person },
            display: identity.display.clone(),
            session: identity.session.clone(),
            resume_token: issued.token,
            resume_token_expires_ms: issued.expires_ms,
            time_ms: now_ms,
            heartbeat_ms: shared.options.heartbeat_ms,
            gateway: shared.gateway.clone(),
            limits: Some(Limits {
                text_bytes: limits::TEXT_BYTES as u32,
                frame_bytes: limits::FRAME_IN_BYTES as u32,
                page_events: limits::PAGE_EVENTS,
                subscriptions: limits::SUBSCRIPTIONS as u32,
                contract: limits::CONTRACT,
            }),
            retry: Some(shared.options.to_retry()),
        }
    });
    welcome.unwrap_or_default()
}
