//! One attempt of one call to one node.

use std::{future::Future, time::Duration};

use proto::internal::v1::edge_service_client::EdgeServiceClient;
use tokio::time::timeout;
use tonic::{Response, Status};

use super::{failure::Failure, service::Upstream};

/// Answers of batches may be larger than tonic's 4 MiB: heads of many conversations, pages of long texts.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// A client for one node.
pub(super) fn client(upstream: &Upstream) -> EdgeServiceClient<Upstream> {
    EdgeServiceClient::new(upstream.clone()).max_decoding_message_size(ANSWER_BYTES)
}

/// Makes a call that may take `within` at most.
pub(super) async fn attempt<T>(within: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
    in_time(within, async { Ok(call.await?.into_inner()) }).await
}

/// The same for whatever a call is made of.
pub(super) async fn in_time<T>(within: Duration, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(within, call).await.unwrap_or_else(|_| Err(Failure::node(format!("no answer within {} ms", within.as_millis()))))
}
