//! Secrets that a client holds: 256 random bits as text; only their SHA-256 is stored.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// A new secret, base64url.
#[must_use]
pub fn new_secret() -> String {
    let bytes: [u8; 32] = rand::random();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is stored of it; `None`: it is not of the form that we give out.
#[must_use]
pub fn stored(secret: &str) -> Option<Vec<u8>> {
    (secret.len() == 43).then(|| Sha256::digest(secret.as_bytes()).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_stored() {
        let secret = new_secret();
        assert_eq!(secret.len(), 43);
        let kept = stored(&secret).unwrap();
        assert!(kept.len() == 32 && kept != secret.as_bytes());
        assert!(stored("short").is_none() && stored(&"x".repeat(5_000)).is_none());
        assert_ne!(new_secret(), new_secret());
    }
}
