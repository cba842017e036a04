//! What gateways ask. Never reachable from outside: callers show the roles' shared key.

mod audience;
mod watch;

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use proto::{
    internal::v1::{
        CheckSessionsRequest, CheckSessionsResponse, CheckedSession, ControlBatch, EndSessionRequest, EndSessionResponse,
        FindAudienceRequest, FindAudienceResponse, FollowControlRequest, HeadsRequest, HeadsResponse, IssueTicketsRequest,
        IssueTicketsResponse, MarkReadRequest, MarkReadResponse, ReadRequest, RedeemTicketsRequest, RedeemTicketsResponse,
        SignInByDisplayRequest, SignInByLinkRequest, SignInRequest, SignInResponse, SignedIn, SubmitRequest, SubmitResponse, SubmitVerdict,
        WatchRequest, WatchResponse, edge_service_server::EdgeService, sign_in_response::Outcome, submit_verdict,
    },
    v1::{Page, PageRequest, Refusal, RefusalCode, page_request::Where},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use kernel::{
    Context, Error,
    accounts::SignedInAs,
    answer,
    log::{Log, Submission},
    parse_id,
};

/// Entries of one batch at most.
const ENTRIES: usize = 4_096;

/// Serves gateways.
pub struct EdgeApi {
    /// The kernel.
    pub context: Context,
    /// Streams of posts end: what has been asked is answered, and no more is taken.
    pub draining: CancellationToken,
}

fn check_entries(entries: usize) -> Result<(), Refusal> {
    if entries > ENTRIES { Err(Refusal::of(RefusalCode::TooLarge)) } else { Ok(()) }
}

fn signed_in(answer: Result<SignedInAs, Error>) -> Response<SignInResponse> {
    let outcome = match answer {
        Ok(SignedInAs { token, identity }) => Outcome::SignedIn(SignedIn { token, identity: Some(identity) }),
        Err(error) => Outcome::Refusal(error.refuse("signing in")),
    };
    Response::new(SignInResponse { outcome: Some(outcome) })
}

async fn submit_all(log: Arc<Log>, asked: Vec<proto::internal::v1::Submission>) -> Result<SubmitResponse, Status> {
    check_entries(asked.len())?;
    let mut verdicts: Vec<Option<Result<_, Refusal>>> = Vec::with_capacity(asked.len());
    let mut posts = Vec::with_capacity(asked.len());
    for submission in asked {
        let post = submission.post.ok_or_else(|| Refusal::of(RefusalCode::Malformed).field("post"));
        match post.and_then(|post| Submission::new(submission.person, post)) {
            Ok(post) => {
                posts.push(post);
                verdicts.push(None);
            }
            Err(refusal) => verdicts.push(Some(Err(refusal))),
        }
    }
    let mut written = log.submit(posts).await.into_iter();
    let verdicts = verdicts
        .into_iter()
        .map(|verdict| verdict.or_else(|| written.next()).unwrap_or_else(|| Err(Refusal::of(RefusalCode::Internal))))
        .map(|verdict| SubmitVerdict {
            verdict: Some(match verdict {
                Ok(receipt) => submit_verdict::Verdict::Receipt(receipt),
                Err(refusal) => submit_verdict::Verdict::Refusal(refusal),
            }),
        })
        .collect();
    Ok(SubmitResponse { verdicts })
}

#[tonic::async_trait]
impl EdgeService for EdgeApi {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        Ok(signed_in(self.context.accounts.sign_in(request.into_inner()).await))
    }

    async fn sign_in_by_link(&self, request: Request<SignInByLinkRequest>) -> Result<Response<SignInResponse>, Status> {
        Ok(signed_in(self.context.accounts.sign_in_by_link(request.into_inner()).await))
    }

    async fn sign_in_by_display(&self, request: Request<SignInByDisplayRequest>) -> Result<Response<SignInResponse>, Status> {
        Ok(signed_in(self.context.accounts.sign_in_guest(request.into_inner()).await))
    }

    async fn check_sessions(&self, request: Request<CheckSessionsRequest>) -> Result<Response<CheckSessionsResponse>, Status> {
        answer("checking sessions", async {
            let tokens = request.into_inner().tokens;
            check_entries(tokens.len())?;
            let sessions = self.context.accounts.check_sessions(&tokens).await?;
            Ok(CheckSessionsResponse { sessions: sessions.into_iter().map(|identity| CheckedSession { identity }).collect() })
        })
        .await
    }

    async fn end_session(&self, request: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        answer("ending a session", async {
            if let Ok(session) = Uuid::try_parse(&request.get_ref().session) {
                self.context.accounts.end_session(session, None).await?;
            }
            Ok(EndSessionResponse {})
        })
        .await
    }

    async fn issue_tickets(&self, request: Request<IssueTicketsRequest>) -> Result<Response<IssueTicketsResponse>, Status> {
        answer("issuing tickets", async {
            let wanted = request.into_inner().wanted;
            check_entries(wanted.len())?;
            Ok(IssueTicketsResponse { tickets: self.context.accounts.issue_tickets(&wanted).await? })
        })
        .await
    }

    async fn redeem_tickets(&self, request: Request<RedeemTicketsRequest>) -> Result<Response<RedeemTicketsResponse>, Status> {
        answer("redeeming tickets", async {
            let shown = request.into_inner().shown;
            check_entries(shown.len())?;
            Ok(RedeemTicketsResponse { redeemed: self.context.accounts.redeem_tickets(&shown).await? })
        })
        .await
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<WatchResponse>, Status> {
        answer("judging who may watch", async {
            let asks = request.into_inner().asks;
            check_entries(asks.len())?;
            Ok(self.watch_all(&asks).await?)
        })
        .await
    }

    type SubmitStream = Pin<Box<dyn Stream<Item = Result<SubmitResponse, Status>> + Send>>;

    async fn submit(&self, request: Request<Streaming<SubmitRequest>>) -> Result<Response<Self::SubmitStream>, Status> {
        let log = self.context.log.clone();
        let asked = request.into_inner().take_until(self.draining.clone().cancelled_owned());
        let answers = asked.and_then(move |asked| submit_all(log.clone(), asked.submissions));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Page>, Status> {
        answer("reading a conversation", async {
            let ReadRequest { conversation, page, person } = request.into_inner();
            let id = parse_id(&conversation, "conversation")?;
            let asked = page.unwrap_or(PageRequest { r#where: Some(Where::Before(0)), ..PageRequest::default() });
            self.context.read_page(id, person, &asked).await
        })
        .await
    }

    async fn mark_read(&self, request: Request<MarkReadRequest>) -> Result<Response<MarkReadResponse>, Status> {
        answer("moving read marks", async {
            let marks = request.into_inner().marks;
            check_entries(marks.len())?;
            Ok(MarkReadResponse { mseq: self.context.conversations.mark_read(&marks).await? })
        })
        .await
    }

    async fn heads(&self, request: Request<HeadsRequest>) -> Result<Response<HeadsResponse>, Status> {
        answer("comparing heads", async {
            let HeadsRequest { since_ms, partitions, conversations } = request.into_inner();
            check_entries(conversations.len())?;
            let ids: Vec<Uuid> = conversations.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
            let mut heads = if ids.is_empty() { Vec::new() } else { self.context.log.heads(&ids).await? };
            // Asked with 0 for the first time, it only tells where to go on from.
            let from_ms = if since_ms == 0 { i64::MAX / 4 } else { since_ms };
            let (moved, as_of_ms) = self.context.log.heads_since(from_ms, &partitions).await?;
            heads.extend(moved);
            Ok(HeadsResponse { heads: heads.into_iter().map(|head| head.to_proto()).collect(), as_of_ms })
        })
        .await
    }

    async fn find_audience(&self, request: Request<FindAudienceRequest>) -> Result<Response<FindAudienceResponse>, Status> {
        answer("finding an audience", async {
            let asked = request.into_inner();
            check_entries(asked.people.len())?;
            Ok(audience::find(&self.context, &asked).await?)
        })
        .await
    }

    type FollowControlStream = Pin<Box<dyn Stream<Item = Result<ControlBatch, Status>> + Send>>;

    async fn follow_control(&self, request: Request<FollowControlRequest>) -> Result<Response<Self::FollowControlStream>, Status> {
        let context = &self.context;
        answer("following the control log", async move {
            let FollowControlRequest { after, epoch } = request.into_inner();
            let (head, now) = context.control.head().await?;
            // Of another incarnation, or beyond it: whoever asks must judge everything again, from the newest on.
            let after = if epoch == now && after <= head { after } else { head };
            let stream: Self::FollowControlStream = Box::pin(context.control.follow(after, now).map(Ok));
            Ok(stream)
        })
        .await
    }
}
