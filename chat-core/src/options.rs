//! The settings of a chat-core.

use serde::{Deserialize, Serialize};

use crate::{accounts::AccountOptions, displays::DisplayOptions, log::LogOptions, store::StoreOptions};

/// Everything that is bounded or chosen in a chat-core, by subject.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The database.
    pub store: StoreOptions,
    /// The log.
    pub log: LogOptions,
    /// Passwords, sessions, tickets.
    pub accounts: AccountOptions,
    /// Screens in halls.
    pub displays: DisplayOptions,
    /// Conversations whose rules are kept in memory.
    pub rules_known: usize,
    /// How often the clock is compared with the consultations' times, ms.
    pub schedule_ms: u64,
    /// All invited are called to one consultation at most this often, s.
    pub call_every_s: u32,
    /// What the organisation at the top is called where a new service begins with nothing.
    pub first_organisation: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            log: LogOptions::default(),
            accounts: AccountOptions::default(),
            displays: DisplayOptions::default(),
            rules_known: 20_000,
            schedule_ms: 250,
            call_every_s: 60,
            first_organisation: "议堂".to_owned(),
        }
    }
}
