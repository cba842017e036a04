//! What a token holds, and the seal on it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message as _;
use proto::internal::v1::Identity;
use sha2::Sha256;

use crate::fault::Fault;

/// The first byte of every token: another layout gets another number.
const LAYOUT: u8 = 1;
const MAC_BYTES: usize = 32;
const KEY_LEAST: usize = 32;
/// Longer than any token that we make.
const TOKEN_MOST: usize = 2_048;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sealed {
    #[prost(message, optional, tag = "1")]
    pub(super) identity: Option<Identity>,
    #[prost(int64, tag = "2")]
    pub(super) expires_ms: i64,
    /// Of the control log that `identity.control` is a position in.
    #[prost(uint32, tag = "3")]
    pub(super) epoch: u32,
}

/// HMAC-SHA256 over layout and content.
#[derive(Clone)]
pub(super) struct Seal {
    keyed: Hmac<Sha256>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// An empty key: a random one.
    pub(super) fn new(key: &str) -> Result<Self, Fault> {
        let random: [u8; KEY_LEAST] = rand::random();
        let key = match key {
            "" => &random[..],
            key if key.len() < KEY_LEAST => {
                return Err(Fault::Options(format!("tokens.resume_key has {} characters; it needs {KEY_LEAST}", key.len())));
            }
            key => key.as_bytes(),
        };
        let keyed = Hmac::new_from_slice(key).map_err(|_| Fault::Options("tokens.resume_key cannot be used".to_owned()))?;
        Ok(Self { keyed })
    }

    pub(super) fn seal(&self, sealed: &Sealed) -> String {
        let mut bytes = vec![LAYOUT];
        bytes.extend_from_slice(&sealed.encode_to_vec());
        let mac = self.keyed.clone().chain_update(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// `None`: not ours. The comparison takes the same time wherever it fails.
    pub(super) fn open(&self, token: &str) -> Option<Sealed> {
        if token.len() > TOKEN_MOST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (content, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        self.keyed.clone().chain_update(content).verify_slice(mac).ok()?;
        let (&layout, content) = content.split_first()?;
        if layout != LAYOUT {
            return None;
        }
        Sealed::decode(content).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Sealed {
        let identity = Identity {
            person: 27_000,
            session: uuid::Uuid::nil().to_string(),
            path: vec![90, 3, 1],
            session_expires_ms: 5,
            control: 77,
            display: None,
        };
        Sealed { identity: Some(identity), expires_ms: 1_790_000_000_000, epoch: 9 }
    }

    #[test]
    fn a_token_is_opened_by_whoever_has_the_key_and_by_nobody_else() {
        let ours = Seal::new("0123456789abcdef0123456789abcdef").unwrap();
        let token = ours.seal(&sealed());
        assert!(token.len() < 200, "{}", token.len());
        assert_eq!(Seal::new("0123456789abcdef0123456789abcdef").unwrap().open(&token), Some(sealed()));
        assert_eq!(Seal::new("0123456789abcdef0123456789abcdeF").unwrap().open(&token), None);
        assert_eq!(Seal::new("").unwrap().open(&token), None);
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let seal = Seal::new("").unwrap();
        let token = URL_SAFE_NO_PAD.decode(seal.seal(&sealed())).unwrap();
        for index in 0..token.len() {
            let mut forged = token.clone();
            forged[index] ^= 1;
            assert_eq!(seal.open(&URL_SAFE_NO_PAD.encode(forged)), None, "byte {index}");
        }
        for odd in ["", "x", "AA", "????", &"A".repeat(10_000)] {
            assert_eq!(seal.open(odd), None);
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(Seal::new("short").is_err());
    }
}
