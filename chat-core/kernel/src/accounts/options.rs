//! Bounds of accounts.

use serde::{Deserialize, Serialize};

/// Passwords, sessions, tickets and links.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountOptions {
    /// Passwords hashed at once; each takes a core and `argon2_kib` of memory for tens of milliseconds.
    pub hashing_at_once: usize,
    /// Sign-ins that wait for their turn; more are refused as OVERLOADED.
    pub hashing_waiting: usize,
    /// Memory of one hash, KiB (OWASP's advice for argon2id: 19 MiB, 2 passes).
    pub argon2_kib: u32,
    /// Passes of one hash.
    pub argon2_passes: u32,
    /// Wrong passwords for one login before it waits.
    pub failures_per_login: u32,
    /// Wrong passwords from one address before it waits: a whole office may share one.
    pub failures_per_address: u32,
    /// One failure is forgotten after this time, s.
    pub failure_forgotten_s: u32,
    /// Logins and addresses whose failures are remembered.
    pub failures_remembered: usize,
    /// A session lasts so long, s.
    pub session_s: u64,
    /// Sessions of one person; the oldest ends when there is one more.
    pub sessions_per_person: usize,
    /// A sign-in link is good for so long, s.
    pub link_s: u64,
    /// A ticket is good for so long, ms.
    pub ticket_ms: u64,
    /// Sessions of one guest's link; the oldest ends when there is one more.
    pub sessions_per_link: usize,
}

impl Default for AccountOptions {
    fn default() -> Self {
        Self {
            hashing_at_once: 2,
            hashing_waiting: 512,
            argon2_kib: 19_456,
            argon2_passes: 2,
            failures_per_login: 8,
            failures_per_address: 200,
            failure_forgotten_s: 30,
            failures_remembered: 100_000,
            session_s: 30 * 24 * 3_600,
            sessions_per_person: 20,
            link_s: 72 * 3_600,
            ticket_ms: 30_000,
            sessions_per_link: 8,
        }
    }
}
