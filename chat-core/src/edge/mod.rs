//! What gateways ask. Never reachable from outside: callers show the roles' shared key.

mod watch;

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use proto::{
    internal::v1::{
        CheckSessionsRequest, CheckSessionsResponse, CheckedSession, ControlBatch, EndSessionRequest, EndSessionResponse,
        FollowControlRequest, HeadsRequest, HeadsResponse, InvitedRequest, InvitedResponse, IssueTicketsRequest, IssueTicketsResponse,
        MarkReadRequest, MarkReadResponse, ReadRequest, RedeemTicketsRequest, RedeemTicketsResponse, SignInByDisplayRequest,
        SignInByLinkRequest, SignInRequest, SignInResponse, SignedIn, SubmitRequest, SubmitResponse, SubmitVerdict, WatchRequest,
        WatchResponse, edge_service_server::EdgeService, sign_in_response::Outcome, submit_verdict,
    },
    v1::{Page, PageRequest, Refusal, RefusalCode, page_request::Where},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::{
    accounts::{Accounts, SignedInAs},
    consultations::Consultations,
    control::Control,
    conversations::{self, Conversations},
    fault::{Error, Fault},
    log::{Log, Submission},
};

/// Entries of one batch.
const ENTRIES: usize = 4_096;

/// Serves gateways.
pub struct EdgeApi {
    /// Sessions and tickets.
    pub accounts: Arc<Accounts>,
    /// Consultations, and beneath them everything that is written and read.
    pub consultations: Arc<Consultations>,
    /// Followed by gateways.
    pub control: Arc<Control>,
    /// Streams of posts end: what has been asked is answered, and no more is taken.
    pub draining: CancellationToken,
}

impl EdgeApi {
    fn conversations(&self) -> &Conversations {
        &self.consultations.conversations
    }
}

fn bounded(entries: usize) -> Result<(), Status> {
    if entries > ENTRIES { Err(Refusal::of(RefusalCode::TooLarge).into()) } else { Ok(()) }
}

fn signed_in(answer: Result<SignedInAs, Error>) -> Response<SignInResponse> {
    let outcome = match answer {
        Ok(SignedInAs { token, identity }) => Outcome::SignedIn(SignedIn { token, identity: Some(identity) }),
        Err(error) => Outcome::Refusal(error.refuse("signing in")),
    };
    Response::new(SignInResponse { outcome: Some(outcome) })
}

fn failed(doing: &'static str) -> impl Fn(Fault) -> Status {
    move |fault| fault.refuse(doing).into()
}

async fn submitted(log: Arc<Log>, asked: Vec<proto::internal::v1::Submission>) -> Result<SubmitResponse, Status> {
    bounded(asked.len())?;
    let mut verdicts: Vec<Option<Result<_, Refusal>>> = Vec::with_capacity(asked.len());
    let mut posts = Vec::with_capacity(asked.len());
    for one in asked {
        let post = one.post.ok_or_else(|| Refusal::of(RefusalCode::Malformed).field("post"));
        match post.and_then(|post| Submission::new(one.person, post)) {
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
        Ok(signed_in(self.accounts.sign_in(request.into_inner()).await))
    }

    async fn sign_in_by_link(&self, request: Request<SignInByLinkRequest>) -> Result<Response<SignInResponse>, Status> {
        Ok(signed_in(self.accounts.sign_in_by_link(request.into_inner()).await))
    }

    async fn sign_in_by_display(&self, request: Request<SignInByDisplayRequest>) -> Result<Response<SignInResponse>, Status> {
        Ok(signed_in(self.accounts.sign_in_by_display(request.into_inner()).await))
    }

    async fn check_sessions(&self, request: Request<CheckSessionsRequest>) -> Result<Response<CheckSessionsResponse>, Status> {
        let tokens = request.into_inner().tokens;
        bounded(tokens.len())?;
        let sessions = self.accounts.check_sessions(&tokens).await.map_err(failed("checking sessions"))?;
        Ok(Response::new(CheckSessionsResponse { sessions: sessions.into_iter().map(|identity| CheckedSession { identity }).collect() }))
    }

    async fn end_session(&self, request: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        if let Ok(session) = Uuid::try_parse(&request.get_ref().session) {
            self.accounts.end_session(session, None).await.map_err(|error| error.status("ending a session"))?;
        }
        Ok(Response::new(EndSessionResponse {}))
    }

    async fn issue_tickets(&self, request: Request<IssueTicketsRequest>) -> Result<Response<IssueTicketsResponse>, Status> {
        let wanted = request.into_inner().wanted;
        bounded(wanted.len())?;
        let tickets = self.accounts.issue_tickets(&wanted).await.map_err(failed("issuing tickets"))?;
        Ok(Response::new(IssueTicketsResponse { tickets }))
    }

    async fn redeem_tickets(&self, request: Request<RedeemTicketsRequest>) -> Result<Response<RedeemTicketsResponse>, Status> {
        let shown = request.into_inner().shown;
        bounded(shown.len())?;
        let redeemed = self.accounts.redeem_tickets(&shown).await.map_err(failed("redeeming tickets"))?;
        Ok(Response::new(RedeemTicketsResponse { redeemed }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<WatchResponse>, Status> {
        let asks = request.into_inner().asks;
        bounded(asks.len())?;
        let answer = self.watch_all(&asks).await.map_err(failed("judging who may watch"))?;
        Ok(Response::new(answer))
    }

    type SubmitStream = Pin<Box<dyn Stream<Item = Result<SubmitResponse, Status>> + Send>>;

    async fn submit(&self, request: Request<Streaming<SubmitRequest>>) -> Result<Response<Self::SubmitStream>, Status> {
        let log = self.conversations().log.clone();
        let asked = request.into_inner().take_until(self.draining.clone().cancelled_owned());
        let answers = asked.and_then(move |asked| submitted(log.clone(), asked.submissions));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<Page>, Status> {
        let ReadRequest { conversation, page, person } = request.into_inner();
        let answer = async {
            let id = conversations::parse_id(&conversation, "conversation")?;
            let ask = page.unwrap_or(PageRequest { r#where: Some(Where::Before(0)), ..PageRequest::default() });
            let read = match ask.r#where {
                Some(Where::FirstUnread(_)) => {
                    conversations::read_marks(&self.conversations().store, &[(id, person)]).await?.get(&(id, person)).copied().unwrap_or(0)
                }
                _ => 0,
            };
            self.conversations().log.page(id, &ask, read as u64).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("reading a conversation"))
    }

    async fn mark_read(&self, request: Request<MarkReadRequest>) -> Result<Response<MarkReadResponse>, Status> {
        let marks = request.into_inner().marks;
        bounded(marks.len())?;
        let mseq = self.conversations().mark_read(&marks).await.map_err(failed("noting how far was read"))?;
        Ok(Response::new(MarkReadResponse { mseq }))
    }

    async fn heads(&self, request: Request<HeadsRequest>) -> Result<Response<HeadsResponse>, Status> {
        let HeadsRequest { since_ms, partitions, conversations } = request.into_inner();
        bounded(conversations.len())?;
        let answer = async {
            let ids: Vec<Uuid> = conversations.iter().filter_map(|id| Uuid::try_parse(id).ok()).collect();
            let mut heads = if ids.is_empty() { Vec::new() } else { self.conversations().log.heads(&ids).await? };
            // Asked with 0 for the first time, it only tells where to go on from.
            let from_ms = if since_ms == 0 { i64::MAX / 4 } else { since_ms };
            let (moved, as_of_ms) = self.conversations().log.heads_since(from_ms, &partitions).await?;
            heads.extend(moved);
            Ok(HeadsResponse { heads: heads.into_iter().map(|head| head.to_proto()).collect(), as_of_ms })
        };
        answer.await.map(Response::new).map_err(failed("comparing heads"))
    }

    async fn invited(&self, request: Request<InvitedRequest>) -> Result<Response<InvitedResponse>, Status> {
        let asked = request.into_inner();
        bounded(asked.people.len())?;
        let answer = self.consultations.invited(asked).await.map_err(failed("sorting out who is invited"))?;
        Ok(Response::new(answer))
    }

    type FollowControlStream = Pin<Box<dyn Stream<Item = Result<ControlBatch, Status>> + Send>>;

    async fn follow_control(&self, request: Request<FollowControlRequest>) -> Result<Response<Self::FollowControlStream>, Status> {
        let FollowControlRequest { after, epoch } = request.into_inner();
        let (head, now) = self.control.head().await.map_err(failed("following the control log"))?;
        // Of another incarnation, or beyond it: whoever asks must look at everything again, from the newest on.
        let after = if epoch == now && after <= head { after } else { head };
        let batches = self.control.follow(after, now);
        Ok(Response::new(Box::pin(batches.map(Ok))))
    }
}
