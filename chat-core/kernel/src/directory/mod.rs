//! The directory (通讯录): organisations and people. Kept whole in memory, and up to date by following the control log, so
//! that judging a right costs no statement.

pub mod cards;
mod people;
pub mod rows;
mod snapshot;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use proto::internal::v1::{ControlBatch, control_event::Kind};
use tokio::sync::watch;

pub use people::{NewPerson, check_login, check_name};
pub use snapshot::{PersonEntry, Roles, Snapshot, example};

use crate::{control::Control, fault::Fault, store::Store, tasks::Tasks};

/// How long a caller waits for its own change to be seen here.
const OWN_CHANGE: Duration = Duration::from_secs(2);

/// The directory. Shared as `Arc<Directory>`.
pub struct Directory {
    store: Store,
    snapshot: ArcSwap<Snapshot>,
    position: watch::Sender<u64>,
}

impl Directory {
    /// Reads all of it, and follows the control log from there until `stop`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(store: &Store, control: &Arc<Control>, tasks: &Tasks) -> Result<Arc<Self>, Fault> {
        // The position first: what changes meanwhile is read twice rather than never.
        let (position, epoch) = control.head().await?;
        let mut snapshot = Snapshot::default();
        snapshot.position = position;
        snapshot.set_organisations(rows::list_organisations(store).await?);
        for person in rows::list_people(store).await? {
            snapshot.set_person(person);
        }
        tracing::info!(people = snapshot.people_count(), organisations = snapshot.organisations().len(), position, "directory read");
        let this =
            Arc::new(Self { store: store.clone(), snapshot: ArcSwap::from_pointee(snapshot), position: watch::Sender::new(position) });
        let follower = this.clone();
        let mut batches = Box::pin(control.follow(position, epoch));
        tasks.spawn("following the directory", |stop| async move {
            while let Some(batch) = tokio::select! { batch = batches.next() => batch, () = stop.cancelled() => None } {
                // What was read wrong now would be judged wrong until the next start: it is tried until it works.
                while let Err(fault) = follower.apply(&batch).await {
                    tracing::warn!(%fault, "the directory cannot be read; trying again");
                    tokio::select! { () = tokio::time::sleep(Duration::from_millis(500)) => {}, () = stop.cancelled() => return }
                }
            }
        });
        Ok(this)
    }

    /// As it is now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// The control log's position that the snapshot is the state at.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.snapshot.load().position
    }

    /// Waits until the snapshot is at least at this position, for at most two seconds: callers see what they changed.
    pub async fn wait_until(&self, position: u64) {
        let mut reached = self.position.subscribe();
        if tokio::time::timeout(OWN_CHANGE, reached.wait_for(|at| *at >= position)).await.is_err() {
            tracing::warn!(position, "the directory is behind the control log");
        }
    }

    /// Waits a moment until the snapshot is at least at this position; `false`: it is not yet.
    pub async fn reach(&self, position: u64, within: Duration) -> bool {
        let mut reached = self.position.subscribe();
        tokio::time::timeout(within, reached.wait_for(|at| *at >= position)).await.is_ok_and(|reached| reached.is_ok())
    }

    async fn apply(&self, batch: &ControlBatch) -> Result<(), Fault> {
        let mut people = Vec::new();
        let mut organisations = false;
        for event in &batch.events {
            match &event.kind {
                Some(Kind::PeopleChanged(changed)) => people.extend_from_slice(&changed.people),
                Some(Kind::OrganisationsChanged(_)) => organisations = true,
                _ => {}
            }
        }
        if people.is_empty() && !organisations {
            if batch.position > self.position() {
                self.swap(|snapshot| snapshot.position = batch.position);
            }
        } else {
            people.sort_unstable();
            people.dedup();
            let people = rows::find_people(&self.store, &people).await?;
            let tree = if organisations { Some(rows::list_organisations(&self.store).await?) } else { None };
            self.swap(|snapshot| {
                tree.into_iter().for_each(|tree| snapshot.set_organisations(tree));
                people.into_iter().for_each(|person| snapshot.set_person(person));
                snapshot.position = batch.position;
            });
        }
        self.position.send_replace(batch.position);
        Ok(())
    }

    /// Only the one task that follows the control log writes.
    fn swap(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot::clone(&self.snapshot.load());
        change(&mut snapshot);
        self.snapshot.store(Arc::new(snapshot));
    }
}
