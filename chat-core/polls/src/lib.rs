//! Polls of one question in a room. Asking, voting and ending are posts, whose kinds say what they ask and leave (`sequence`); this
//! tells how a poll stands. It is the worked example of docs/adding.md.

mod result;

use std::sync::Arc;

use kernel::{Context, Subject, answer, serve};
use proto::v1::{
    GetPollRequest, PollResult,
    poll_service_server::{PollService, PollServiceServer},
};
use tonic::{Request, Response, Status};

/// This subject.
#[must_use]
pub fn subject(context: &Context) -> Subject {
    let service = Arc::new(Service { context: context.clone() });
    Subject::new("polls", move |services| serve!(services, PollServiceServer, service.clone()))
}

struct Service {
    context: Context,
}

#[tonic::async_trait]
impl PollService for Service {
    async fn get_poll(&self, request: Request<GetPollRequest>) -> Result<Response<PollResult>, Status> {
        answer("counting votes", async { result::find(&self.context, &self.context.caller(&request)?, request.get_ref()).await }).await
    }
}
