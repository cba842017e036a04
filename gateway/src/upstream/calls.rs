//! The calls to one node that are gathered into batches.

use std::{future::Future, sync::Arc, time::Duration};

use proto::{
    internal::v1::{
        CheckSessionsRequest, Identity, IssueTicketsRequest, RedeemTicketsRequest, Submission, TicketFor, TicketShown, WatchAsk,
        WatchRequest, edge_service_client::EdgeServiceClient, submit_verdict,
    },
    v1::{Receipt, RefusalCode},
};
use tokio::time::timeout;
use tonic::{Response, Status};

use super::{
    Upstream, UpstreamOptions, Watched,
    failure::Failure,
    gather::{Carry, Gatherer},
    lines::Lines,
};

/// Answers of batches may be larger than tonic's 4 MiB: heads of many conversations, pages of long texts.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// A client for one node.
pub(super) fn client(upstream: &Upstream) -> EdgeServiceClient<Upstream> {
    EdgeServiceClient::new(upstream.clone()).max_decoding_message_size(ANSWER_BYTES)
}

/// Signing in is gathered where it comes faster than this: who comes back with a resume token does not ask.
const SIGN_IN_PACE: Duration = Duration::from_micros(400);
/// Questions of who may watch, which everybody asks who comes back, and which are the dearest.
const WATCH_PACE: Duration = Duration::from_millis(1);

/// Gathers, for one node, each kind of call that many sockets make at once.
pub(super) struct Calls {
    pub(super) checks: Gatherer<String, Option<Identity>>,
    pub(super) submits: Gatherer<Submission, Receipt>,
    pub(super) watches: Gatherer<WatchAsk, Watched>,
    pub(super) tickets: Gatherer<TicketFor, String>,
    pub(super) redeems: Gatherer<TicketShown, Option<Identity>>,
}

impl Calls {
    pub(super) fn new(upstream: &Upstream, options: &UpstreamOptions) -> Self {
        let client = client(upstream);
        let attempt = Duration::from_millis(options.attempt_ms);
        Self {
            checks: Gatherer::paced("session", options, SIGN_IN_PACE, checks(client.clone(), attempt)),
            submits: Gatherer::new("submit", options, submits(client.clone(), attempt)),
            watches: Gatherer::paced("watch", options, WATCH_PACE, watches(client.clone(), attempt)),
            tickets: Gatherer::paced("ticket", options, SIGN_IN_PACE, tickets(client.clone(), attempt)),
            redeems: Gatherer::paced("redeem", options, SIGN_IN_PACE, redeems(client, attempt)),
        }
    }
}

/// Bounds one attempt in time.
pub(super) async fn attempt<T>(within: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
    in_time(within, async { Ok(call.await?.into_inner()) }).await
}

/// The same, of whatever a call is made of.
pub(super) async fn in_time<T>(within: Duration, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(within, call).await.unwrap_or_else(|_| Err(Failure::node(format!("no answer within {} ms", within.as_millis()))))
}

fn checks(client: EdgeServiceClient<Upstream>, within: Duration) -> Carry<String, Option<Identity>> {
    Arc::new(move |tokens| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.check_sessions(CheckSessionsRequest { tokens })).await?;
            Ok(answer.sessions.into_iter().map(|checked| Ok(checked.identity)).collect())
        })
    })
}

fn submits(client: EdgeServiceClient<Upstream>, within: Duration) -> Carry<Submission, Receipt> {
    let lines = Arc::new(Lines::new(client, within));
    Arc::new(move |submissions| {
        let lines = Arc::clone(&lines);
        Box::pin(async move {
            let verdicts = lines.submit(submissions).await?;
            Ok(verdicts
                .into_iter()
                .map(|verdict| match verdict.verdict {
                    Some(submit_verdict::Verdict::Receipt(receipt)) => Ok(receipt),
                    Some(submit_verdict::Verdict::Refusal(refusal)) => Err(Failure::of_refusal(refusal)),
                    None => Err(Failure::node("a verdict without a verdict")),
                })
                .collect())
        })
    })
}

fn watches(client: EdgeServiceClient<Upstream>, within: Duration) -> Carry<WatchAsk, Watched> {
    Arc::new(move |asks| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.watch(WatchRequest { asks })).await?;
            let control = answer.control;
            Ok(answer
                .verdicts
                .into_iter()
                .map(|verdict| match &verdict.refusal {
                    Some(refusal) if matches!(refusal.code(), RefusalCode::Unavailable | RefusalCode::Draining) => {
                        Err(Failure::Later(refusal.clone()))
                    }
                    _ => Ok(Watched { verdict, control }),
                })
                .collect())
        })
    })
}

fn tickets(client: EdgeServiceClient<Upstream>, within: Duration) -> Carry<TicketFor, String> {
    Arc::new(move |wanted| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.issue_tickets(IssueTicketsRequest { wanted })).await?;
            Ok(answer.tickets.into_iter().map(Ok).collect())
        })
    })
}

fn redeems(client: EdgeServiceClient<Upstream>, within: Duration) -> Carry<TicketShown, Option<Identity>> {
    Arc::new(move |shown| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.redeem_tickets(RedeemTicketsRequest { shown })).await?;
            Ok(answer.redeemed.into_iter().map(|redeemed| Ok(redeemed.identity)).collect())
        })
    })
}
