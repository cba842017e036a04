//! Who a session token belongs to, remembered for a moment; its end is known by the control log.

use std::{collections::HashMap, time::Instant};

use parking_lot::Mutex;
use proto::{
    internal::v1::Identity,
    v1::{Refusal, RefusalCode},
};
use sha2::{Digest as _, Sha256};

use super::options::EdgeOptions;
use crate::{
    rate::{Limit, Pace, Rate},
    upstream::ChatCores,
};

/// Checked sessions, by the hash of their token.
pub(super) struct Sessions {
    cores: ChatCores,
    known: Mutex<HashMap<[u8; 32], Known>>,
    most: usize,
    believed_ms: u128,
    /// What one session may ask for.
    limit: Limit,
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
            limit: Limit::per_second(options.requests_per_s, options.requests_burst),
        }
    }

    /// Finds who this is. Counts as one request of the session.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `RATE_LIMITED`, `UNAVAILABLE`.
    pub(super) async fn check(&self, token: &str) -> Result<Identity, Refusal> {
        let key: [u8; 32] = Sha256::digest(token).into();
        if let Some(identity) = self.find(&key)? {
            return Ok(identity);
        }
        let identity = self.cores.check_session(token).await?.ok_or_else(|| Refusal::of(RefusalCode::Unauthenticated))?;
        self.insert(key, identity.clone());
        Ok(identity)
    }

    fn find(&self, key: &[u8; 32]) -> Result<Option<Identity>, Refusal> {
        let mut all = self.known.lock();
        let Some(known) = all.get_mut(key) else { return Ok(None) };
        let control = self.cores.control();
        let ended = control.has_ended(&known.identity.session, 0, known.identity.control) == Some(true);
        if ended || known.checked.elapsed().as_millis() > self.believed_ms {
            all.remove(key);
            return if ended { Err(Refusal::of(RefusalCode::Unauthenticated)) } else { Ok(None) };
        }
        if let Pace::Wait(_) | Pace::Flood = known.rate.admit(known.checked.elapsed(), self.limit) {
            return Err(Refusal::of(RefusalCode::RateLimited));
        }
        Ok(Some(known.identity.clone()))
    }

    fn insert(&self, key: [u8; 32], identity: Identity) {
        let mut all = self.known.lock();
        if all.len() >= self.most {
            all.retain(|_, known| known.checked.elapsed().as_millis() <= self.believed_ms);
        }
        if all.len() < self.most {
            all.insert(key, Known { identity, checked: Instant::now(), rate: Rate::default() });
        }
    }
}
