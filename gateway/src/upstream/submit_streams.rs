//! Streams to one node on which posts are passed on. A stream carries one call at a time, and lasts: opening one for each call
//! would cost more than the post.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use parking_lot::Mutex;
use proto::{
    internal::v1::{Submission, SubmitRequest, SubmitResponse, SubmitVerdict, edge_service_client::EdgeServiceClient, submit_verdict},
    v1::Receipt,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{attempt::in_time, failure::Failure, gather::Call, service::Upstream};

/// Passes gathered posts on to a node; one call may take `within`.
pub(super) fn submit(client: EdgeServiceClient<Upstream>, within: Duration) -> Call<Submission, Receipt> {
    let streams = Arc::new(SubmitStreams::new(client, within));
    Arc::new(move |submissions| {
        let streams = Arc::clone(&streams);
        Box::pin(async move { Ok(streams.submit(submissions).await?.into_iter().map(to_receipt).collect()) })
    })
}

fn to_receipt(verdict: SubmitVerdict) -> Result<Receipt, Failure> {
    match verdict.verdict {
        Some(submit_verdict::Verdict::Receipt(receipt)) => Ok(receipt),
        Some(submit_verdict::Verdict::Refusal(refusal)) => Err(Failure::from_refusal(refusal)),
        None => Err(Failure::node("a verdict without a verdict")),
    }
}

/// The streams to one node: as many as there are calls under way at once.
struct SubmitStreams {
    client: EdgeServiceClient<Upstream>,
    /// How long one call may take, opening its stream included.
    within: Duration,
    idle: Mutex<Vec<SubmitStream>>,
}

struct SubmitStream {
    requests: mpsc::Sender<SubmitRequest>,
    answers: Streaming<SubmitResponse>,
}

impl SubmitStreams {
    fn new(client: EdgeServiceClient<Upstream>, within: Duration) -> Self {
        Self { client, within, idle: Mutex::default() }
    }

    /// Passes posts on; a verdict for each, in their order.
    ///
    /// # Errors
    /// When the node did not answer in time, or could not be asked. What became of the posts is not known then: they are sent
    /// again under the ids they have.
    async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<SubmitVerdict>, Failure> {
        in_time(self.within, self.call(SubmitRequest { submissions })).await
    }

    async fn call(&self, request: SubmitRequest) -> Result<Vec<SubmitVerdict>, Failure> {
        let mut stream = match self.take_idle() {
            Some(stream) => stream,
            None => self.open().await?,
        };
        let ended = || Failure::node("the stream of posts ended");
        stream.requests.send(request).await.map_err(|_| ended())?;
        let answer = stream.answers.message().await?.ok_or_else(ended)?;
        // A stream whose call was not answered, or given up, is never seen again.
        self.idle.lock().push(stream);
        Ok(answer.verdicts)
    }

    /// A stream that lasts still, the one used last first.
    fn take_idle(&self) -> Option<SubmitStream> {
        loop {
            let mut stream = self.idle.lock().pop()?;
            // Nothing was asked on it: whatever comes means that it has ended.
            if stream.answers.message().now_or_never().is_none() {
                return Some(stream);
            }
        }
    }

    async fn open(&self) -> Result<SubmitStream, Failure> {
        let (requests, asked) = mpsc::channel(1);
        let answers = self.client.clone().submit(ReceiverStream::new(asked)).await?.into_inner();
        metrics::counter!("yitang_gateway_upstream_lines_total").increment(1);
        Ok(SubmitStream { requests, answers })
    }
}
