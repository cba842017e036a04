//! Accounts: passwords, sessions, one-use tickets and sign-in links. Every change is an event of the control log, in the
//! same transaction.

mod failures;
mod options;
mod password;
mod rows;
mod service;
mod sessions;
mod tickets;
pub(crate) mod tokens;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use proto::{
    metadata,
    v1::{Refusal, RefusalCode},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::metadata::MetadataMap;
use uuid::Uuid;

pub use options::AccountOptions;
pub use service::AccountApi;
pub use sessions::SignedInAs;

use self::{failures::Failures, password::Passwords};
use crate::{
    clock,
    control::Control,
    directory::{Directory, PersonEntry},
    displays,
    fault::{Error, Fault},
    store::Store,
};

/// Who makes a public call, as the edge vouches for.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Not disabled.
    pub person: Arc<PersonEntry>,
    /// The session the call is made in.
    pub session: Uuid,
}

/// Accounts. Shared as `Arc<Accounts>`.
pub struct Accounts {
    store: Store,
    control: Arc<Control>,
    directory: Arc<Directory>,
    passwords: Passwords,
    by_login: Mutex<Failures>,
    by_address: Mutex<Failures>,
    options: AccountOptions,
    sessions_per_link: usize,
}

impl Accounts {
    /// Starts it; a task forgets used tickets and links until `stop`.
    ///
    /// # Errors
    /// When the settings cannot be used.
    pub fn start(
        store: &Store,
        control: &Arc<Control>,
        directory: &Arc<Directory>,
        options: AccountOptions,
        sessions_per_link: usize,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, Fault> {
        let forgotten_ms = u64::from(options.failure_forgotten_s) * 1_000;
        let failures = |most| Mutex::new(Failures::new(most, forgotten_ms, options.failures_remembered));
        let this = Arc::new(Self {
            store: store.clone(),
            control: control.clone(),
            directory: directory.clone(),
            passwords: Passwords::new(&options)?,
            by_login: failures(options.failures_per_login),
            by_address: failures(options.failures_per_address),
            options,
            sessions_per_link,
        });
        let (sweeper, stop) = (this.clone(), stop.clone());
        tracker.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(Duration::from_secs(60))).await.is_some() {
                if let Err(fault) = sweeper.sweep().await {
                    tracing::debug!(%fault, "used tickets are forgotten later");
                }
            }
        });
        Ok(this)
    }

    /// The directory that people are looked up in.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn sessions_per_link(&self) -> usize {
        self.sessions_per_link
    }

    /// Whether somebody at this address has guessed too often.
    ///
    /// # Errors
    /// RATE_LIMITED.
    pub(crate) fn address_waits(&self, address: &str) -> Result<(), Error> {
        match self.by_address.lock().wait_ms(address, clock::now_ms()) {
            0 => Ok(()),
            wait_ms => Err(Refusal::of(RefusalCode::RateLimited).retry_after_ms(wait_ms).into()),
        }
    }

    /// Somebody at this address has guessed wrong.
    pub(crate) fn note_failure(&self, address: &str) {
        self.by_address.lock().note(address, clock::now_ms());
    }

    /// Who makes this call: a person. The edge strips these names from what clients send and sets them itself. Methods that
    /// a screen may call too ask [`displays::link_of`] first.
    ///
    /// # Errors
    /// UNAUTHENTICATED, ACCOUNT_DISABLED; FORBIDDEN: it is a screen, which shows and does nothing.
    pub fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Refusal> {
        if displays::link_of(metadata).is_some() {
            return Err(Refusal::of(RefusalCode::Forbidden).words("大屏只用于显示。", "A screen shows, and can do nothing else."));
        }
        let unknown = || Refusal::of(RefusalCode::Unauthenticated);
        let said = |name| metadata.get(name).and_then(|value| value.to_str().ok());
        let person: u32 = said(metadata::PERSON).and_then(|id| id.parse().ok()).ok_or_else(unknown)?;
        let session = said(metadata::SESSION).and_then(|id| Uuid::try_parse(id).ok()).ok_or_else(unknown)?;
        let person = self.directory.snapshot().person(person).cloned().ok_or_else(unknown)?;
        if person.disabled {
            return Err(Refusal::of(RefusalCode::AccountDisabled));
        }
        Ok(Caller { person, session })
    }

    async fn sweep(&self) -> Result<(), Fault> {
        let mut tx = self.store.begin().await?;
        rows::sweep(&mut tx, clock::now_ms()).await?;
        tx.commit().await
    }
}
