//! Opens and closes consultations by the clock. Every chat-core does, and under the head's lock only one finds it due.

use std::time::Duration;

use kernel::Error;

use crate::{change::Consultations, rows};

/// Compares the clock with the consultations' times every `every_ms` until the process stops.
pub fn start(consultations: &Consultations, every_ms: u64) {
    let this = consultations.clone();
    let every = Duration::from_millis(every_ms.max(10));
    consultations.context.tasks.spawn("keeping the schedule of consultations", move |stop| async move {
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            if let Err(error) = keep_schedule(&this).await {
                tracing::warn!(%error, "the schedule is kept a little later");
            }
        }
    });
}

/// One that cannot be changed holds up none of the others.
async fn keep_schedule(consultations: &Consultations) -> Result<(), Error> {
    let context = &consultations.context;
    for id in rows::list_due(&context.store, context.clock.now_ms()).await? {
        if let Err(error) = consultations.keep_time(id).await {
            tracing::error!(consultation = %id, %error, "a consultation is not opened or closed by its time");
            metrics::counter!("yitang_chat_core_schedule_failed_total").increment(1);
        }
    }
    Ok(())
}
