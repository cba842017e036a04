//! Opens and closes consultations by the clock. Every chat-core does, and under the head's lock only one finds it due.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Consultations, rows};
use crate::{clock, fault::Error};

impl Consultations {
    /// Looks every `every_ms` until `stop`.
    pub fn keep_schedule(self: &Arc<Self>, every_ms: u64, tracker: &TaskTracker, stop: &CancellationToken) {
        let (this, stop) = (self.clone(), stop.clone());
        tracker.spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(Duration::from_millis(every_ms.max(10)))).await.is_some() {
                if let Err(error) = this.keep_all().await {
                    tracing::warn!(%error, "the schedule is kept a little later");
                }
            }
        });
    }

    async fn keep_all(&self) -> Result<(), Error> {
        for id in rows::due(&self.conversations.store, clock::now_ms()).await? {
            self.keep_time(id).await?;
        }
        Ok(())
    }
}
