//! Streams to one node on which posts are passed on. A line carries one call at a time, and lasts: opening a stream for each
//! call would cost more than the post.

use std::time::Duration;

use futures::FutureExt as _;
use parking_lot::Mutex;
use proto::internal::v1::{Submission, SubmitRequest, SubmitResponse, SubmitVerdict, edge_service_client::EdgeServiceClient};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{Upstream, calls::in_time, failure::Failure};

/// The lines to one node: as many as there are calls under way at once.
pub(super) struct Lines {
    client: EdgeServiceClient<Upstream>,
    /// One call at most takes so long, opening its line included.
    within: Duration,
    idle: Mutex<Vec<Line>>,
}

struct Line {
    requests: mpsc::Sender<SubmitRequest>,
    answers: Streaming<SubmitResponse>,
}

impl Lines {
    pub(super) fn new(client: EdgeServiceClient<Upstream>, within: Duration) -> Self {
        Self { client, within, idle: Mutex::default() }
    }

    /// Passes posts on; a verdict for each, in their order.
    ///
    /// # Errors
    /// When the node did not answer in time, or could not be asked. What became of the posts is not known then: they are sent
    /// again under the ids they have.
    pub(super) async fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<SubmitVerdict>, Failure> {
        in_time(self.within, self.call(SubmitRequest { submissions })).await
    }

    async fn call(&self, request: SubmitRequest) -> Result<Vec<SubmitVerdict>, Failure> {
        let mut line = match self.idle() {
            Some(line) => line,
            None => self.open().await?,
        };
        let ended = || Failure::node("the stream of posts ended");
        line.requests.send(request).await.map_err(|_| ended())?;
        let answer = line.answers.message().await?.ok_or_else(ended)?;
        // A line whose call was not answered, or given up, is never seen again.
        self.idle.lock().push(line);
        Ok(answer.verdicts)
    }

    /// A line that lasts still, the one used last first.
    fn idle(&self) -> Option<Line> {
        loop {
            let mut line = self.idle.lock().pop()?;
            // Nothing was asked on it: whatever it says is that it has ended.
            if line.answers.message().now_or_never().is_none() {
                return Some(line);
            }
        }
    }

    async fn open(&self) -> Result<Line, Failure> {
        let (requests, asked) = mpsc::channel(1);
        let answers = self.client.clone().submit(ReceiverStream::new(asked)).await?.into_inner();
        metrics::counter!("yitang_gateway_upstream_lines_total").increment(1);
        Ok(Line { requests, answers })
    }
}
