//! Passwords: argon2id, so many at once and no more.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier as _, Version};
use proto::v1::{Refusal, RefusalCode};
use tokio::sync::Semaphore;

use super::AccountOptions;
use crate::fault::{Error, Fault};

/// Characters of a password, at least and at most.
const CHARACTERS: std::ops::RangeInclusive<usize> = 10..=128;
/// The most common ones that are long enough; compared without case.
const COMMON: [&str; 16] = [
    "1234567890",
    "0123456789",
    "12345678910",
    "123456789a",
    "a123456789",
    "qwertyuiop",
    "1q2w3e4r5t",
    "password123",
    "password1234",
    "aa123456789",
    "0987654321",
    "1111111111",
    "0000000000",
    "8888888888",
    "6666666666",
    "abcdefghij",
];

/// Hashes and compares passwords off the runtime's threads.
#[derive(Clone)]
pub struct Passwords {
    argon2: Argon2<'static>,
    at_once: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Compared with where there is no such account, so that both take as long.
    nobody: Arc<str>,
}

impl Passwords {
    /// With the bounds of the settings.
    ///
    /// # Errors
    /// When argon2 refuses its parameters.
    pub fn new(options: &AccountOptions) -> Result<Self, Fault> {
        let params = Params::new(options.argon2_kib, options.argon2_passes, 1, None).map_err(|error| Fault::Settings(error.to_string()))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = salted(&argon2, b"nobody")?.into();
        let at_once = Arc::new(Semaphore::new(options.hashing_at_once.max(1)));
        Ok(Self { argon2, at_once, waiting: Arc::new(Semaphore::new(options.hashing_waiting.max(1))), nobody })
    }

    /// A password's hash, in PHC form.
    ///
    /// # Errors
    /// OVERLOADED; a fault.
    pub async fn hash(&self, password: String) -> Result<String, Error> {
        self.run(move |argon2| salted(argon2, password.as_bytes())).await
    }

    /// Whether it is the password that was hashed. `None`: there is no hash; takes as long and says no.
    ///
    /// # Errors
    /// OVERLOADED; a fault.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Error> {
        let nobody = self.nobody.clone();
        self.run(move |argon2| {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| nobody.to_string());
            Ok(argon2.verify_password(password.as_bytes(), hash.as_str()).is_ok() && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Argon2<'static>) -> Result<T, Fault> + Send + 'static) -> Result<T, Error> {
        let Ok(_waiting) = self.waiting.try_acquire() else { return Err(RefusalCode::Overloaded.into()) };
        let turn = self.at_once.clone().acquire_owned().await.map_err(|_| Fault::Stopped("hashing"))?;
        let argon2 = self.argon2.clone();
        let started = std::time::Instant::now();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&argon2);
            drop(turn);
            done
        });
        let done = done.await.map_err(|_| Fault::Stopped("hashing"))?;
        metrics::histogram!("yitang_chat_core_password_hash_seconds").record(started.elapsed().as_secs_f64());
        Ok(done?)
    }
}

fn salted(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, Fault> {
    let salt: [u8; 16] = rand::random();
    let hash: Result<PasswordHash, _> = argon2.hash_password_with_salt(password, &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// Long enough, and not one that everybody tries first.
///
/// # Errors
/// PASSWORD_WEAK.
pub fn check_strength(password: &str, login: &str) -> Result<(), Refusal> {
    let folded = password.to_lowercase();
    let one_character = password.chars().next().is_some_and(|first| password.chars().all(|c| c == first));
    let weak = !CHARACTERS.contains(&password.chars().count())
        || COMMON.contains(&folded.as_str())
        || one_character
        || !login.is_empty() && folded.contains(login) && login.chars().count() * 2 > folded.chars().count();
    if weak { Err(Refusal::of(RefusalCode::PasswordWeak).field("new_password")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(&AccountOptions {
            argon2_kib: 64,
            argon2_passes: 1,
            hashing_at_once: 1,
            hashing_waiting: 2,
            ..AccountOptions::default()
        })
        .unwrap()
    }

    #[tokio::test]
    async fn only_the_password_itself_fits() {
        let passwords = cheap();
        let hash = passwords.hash("春眠不觉晓处处闻啼鸟".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.verify("春眠不觉晓处处闻啼鸟".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("春眠不觉晓".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("nobody".into(), None).await.unwrap(), "no account has no password");
    }

    #[tokio::test]
    async fn hashing_is_bounded() {
        let passwords = cheap();
        let tried = futures::future::join_all((0..20).map(|_| passwords.hash("a long password".into()))).await;
        assert!(tried.iter().any(Result::is_ok) && tried.iter().any(Result::is_err));
    }

    #[test]
    fn weak_passwords_are_told() {
        for weak in ["short", "1234567890", "PASSWORD123", "aaaaaaaaaaaa", "wangfang88", &"x9".repeat(65)] {
            assert!(check_strength(weak, "wangfang").is_err(), "{weak}");
        }
        for strong in ["correct horse battery", "春眠不觉晓处处闻啼鸟", "wangfang likes blue tea"] {
            assert!(check_strength(strong, "wangfang").is_ok(), "{strong}");
        }
    }
}
