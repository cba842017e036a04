//! The settings of a chat-core.

use kernel::{accounts::AccountOptions, log::LogOptions, store::StoreOptions};
use serde::{Deserialize, Serialize};

use crate::subjects::SubjectOptions;

/// Everything that is bounded or chosen in a chat-core: the kernel's parts, then the subjects by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The database.
    pub store: StoreOptions,
    /// The log.
    pub log: LogOptions,
    /// Passwords, sessions, tickets.
    pub accounts: AccountOptions,
    /// Conversations whose rules are kept in memory at most.
    pub rules_known: usize,
    /// What the organisation at the top is called where a new service begins with nothing.
    pub first_organisation: String,
    /// The subjects that have settings, each under its name.
    #[serde(flatten)]
    pub subjects: SubjectOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            log: LogOptions::default(),
            accounts: AccountOptions::default(),
            rules_known: 20_000,
            first_organisation: "议堂".to_owned(),
            subjects: SubjectOptions::default(),
        }
    }
}
