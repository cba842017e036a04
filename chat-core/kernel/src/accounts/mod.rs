//! Accounts: passwords, sessions, one-use tickets and sign-in links. Every change is an event of the control log, in the
//! same transaction.

mod failures;
mod guests;
mod options;
mod password;
mod rows;
mod sessions;
mod tickets;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use proto::{
    metadata,
    v1::{Refusal, RefusalCode},
};
use tonic::metadata::MetadataMap;
use uuid::Uuid;

pub use options::AccountOptions;
pub use rows::SessionRow;
pub use sessions::SignedInAs;

use self::{failures::Failures, password::Passwords};
use crate::{
    control::Control,
    directory::{Directory, PersonEntry},
    fault::{Error, Fault},
    guests::find_link,
    store::Store,
    tasks::Tasks,
};

/// How often used tickets and links are deleted.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

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
        tasks: &Tasks,
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
        });
        let sweeper = this.clone();
        tasks.spawn("deleting used tickets", |stop| async move {
            while stop.run_until_cancelled(tokio::time::sleep(SWEEP_EVERY)).await.is_some() {
                if let Err(fault) = sweeper.delete_expired().await {
                    tracing::debug!(%fault, "used tickets are deleted later");
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

    /// Milliseconds since 1970, by the process's clock.
    fn now_ms(&self) -> i64 {
        self.store.clock().now_ms()
    }

    /// Whether somebody at this address has guessed too often.
    ///
    /// # Errors
    /// RATE_LIMITED.
    fn judge_address(&self, address: &str) -> Result<(), Error> {
        match self.by_address.lock().wait_ms(address, self.now_ms()) {
            0 => Ok(()),
            wait_ms => Err(Refusal::of(RefusalCode::RateLimited).retry_after_ms(wait_ms).into()),
        }
    }

    /// Somebody at this address has guessed wrong.
    fn count_failure(&self, address: &str) {
        self.by_address.lock().note(address, self.now_ms());
    }

    /// Who makes this call: a person. The edge strips these names from what clients send and sets them itself. Methods that
    /// a guest may call too ask [`find_link`] first.
    ///
    /// # Errors
    /// UNAUTHENTICATED, ACCOUNT_DISABLED; FORBIDDEN: it is a guest, which reads and does nothing.
    pub fn caller(&self, metadata: &MetadataMap) -> Result<Caller, Refusal> {
        if find_link(metadata).is_some() {
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

    async fn delete_expired(&self) -> Result<(), Fault> {
        let mut tx = self.store.begin().await?;
        rows::delete_expired(&mut tx, self.now_ms()).await?;
        tx.commit().await
    }
}
