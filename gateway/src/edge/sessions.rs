//! Who a session token belongs to, remembered for a moment; its end is heard by the control log.

use std::{collections::HashMap, time::Instant};

use parking_lot::Mutex;
use proto::{
    internal::v1::Identity,
    v1::{Refusal, RefusalCode},
};
use sha2::{Digest as _, Sha256};

use super::{EdgeOptions, rate::Rate};
use crate::ChatCores;

/// Checked sessions, by the hash of their token.
pub(super) struct Sessions {
    cores: ChatCores,
    known: Mutex<HashMap<[u8; 32], Known>>,
    most: usize,
    believed_ms: u128,
    per_s: u32,
    burst: u32,
}

struct Known {
    identity: Identity,
    checked: Instant,
    rate: Rate,
}

impl Sessions {
    pub(super) fn new(cores: ChatCores, options: &EdgeOptions) -> Self {
        Self {
            cores,
            known: Mutex::default(),
            most: options.session_cache_most.max(1),
            believed_ms: u128::from(options.session_cache_s) * 1_000,
            per_s: options.requests_per_s,
            burst: options.requests_burst,
        }
    }

    /// Who this is. Counts as one request of the session.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `RATE_LIMITED`, `UNAVAILABLE`.
    pub(super) async fn check(&self, token: &str) -> Result<Identity, Refusal> {
        let key: [u8; 32] = Sha256::digest(token).into();
        if let Some(identity) = self.remembered(&key)? {
            return Ok(identity);
        }
        let identity = self.cores.check_session(token).await?.ok_or_else(|| Refusal::of(RefusalCode::Unauthenticated))?;
        self.remember(key, identity.clone());
        Ok(identity)
    }

    fn remembered(&self, key: &[u8; 32]) -> Result<Option<Identity>, Refusal> {
        let mut all = self.known.lock();
        let Some(known) = all.get_mut(key) else { return Ok(None) };
        let control = self.cores.control();
        let ended = control.ended(&known.identity.session, 0, known.identity.control) == Some(true);
        if ended || known.checked.elapsed().as_millis() > self.believed_ms {
            all.remove(key);
            return if ended { Err(Refusal::of(RefusalCode::Unauthenticated)) } else { Ok(None) };
        }
        if !known.rate.take(Instant::now(), self.per_s, self.burst) {
            return Err(Refusal::of(RefusalCode::RateLimited));
        }
        Ok(Some(known.identity.clone()))
    }

    fn remember(&self, key: [u8; 32], identity: Identity) {
        let mut all = self.known.lock();
        if all.len() >= self.most {
            all.retain(|_, known| known.checked.elapsed().as_millis() <= self.believed_ms);
        }
        if all.len() < self.most {
            let now = Instant::now();
            all.insert(key, Known { identity, checked: now, rate: Rate::full(now, self.burst) });
        }
    }
}
