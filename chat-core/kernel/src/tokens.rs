//! Secrets that a client holds: 256 random bits as text; only their SHA-256 is stored.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A new secret, base64url.
#[must_use]
pub fn create_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The hash that is stored of a secret; `None`: it is not of the form that [`create_secret`] gives out.
#[must_use]
pub fn hash_secret(secret: &str) -> Option<Vec<u8>> {
    (secret.len() == 43).then(|| Sha256::digest(secret.as_bytes()).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_stored() {
        let secret = create_secret();
        assert_eq!(secret.len(), 43);
        let kept = hash_secret(&secret).unwrap();
        assert!(kept.len() == 32 && kept != secret.as_bytes());
        assert!(hash_secret("short").is_none() && hash_secret(&"x".repeat(5_000)).is_none());
        assert_ne!(create_secret(), create_secret());
    }
}
