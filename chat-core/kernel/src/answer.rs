//! The one way to answer a method: errors, metrics and the log's words in one place.

use std::future::Future;

use futures::future::BoxFuture;
use tokio::time::Instant;
use tonic::{Response, Status};

use crate::fault::Error;

/// Answers a public or internal method with what `work` gives; or with its refusal or fault, as a status with its words. `doing`: what it
/// does, for the log of a fault and the metric's label ("listing consultations"). In a box: a transaction within is tens of kilobytes.
pub fn answer<'a, T: Send + 'a>(
    doing: &'static str,
    work: impl Future<Output = Result<T, Error>> + Send + 'a,
) -> BoxFuture<'a, Result<Response<T>, Status>> {
    Box::pin(async move {
        let begun = Instant::now();
        let answered = work.await;
        let outcome = match &answered {
            Ok(_) => "done",
            Err(Error::Refused(_)) => "refused",
            Err(Error::Fault(_)) => "failed",
        };
        metrics::histogram!("yitang_chat_core_call_seconds", "call" => doing, "outcome" => outcome).record(begun.elapsed());
        answered.map(Response::new).map_err(|error| error.into_status(doing))
    })
}
