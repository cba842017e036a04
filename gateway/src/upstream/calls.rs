//! The calls to one node that are gathered into batches.

use std::{sync::Arc, time::Duration};

use proto::{
    internal::v1::{
        CheckSessionsRequest, Identity, IssueTicketsRequest, RedeemTicketsRequest, Submission, TicketFor, TicketShown, WatchAsk,
        WatchRequest, WatchVerdict, edge_service_client::EdgeServiceClient,
    },
    v1::{Receipt, RefusalCode},
};

use super::{
    attempt::{attempt, client},
    failure::Failure,
    gather::{Call, Gatherer},
    options::UpstreamOptions,
    service::Upstream,
    submit_streams,
};

/// A verdict, and the control log's position that it was reached at.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// May this person watch, post, moderate; where the conversation stands.
    pub verdict: WatchVerdict,
    /// If the feed is past this when the verdict is used, ask again.
    pub control: u64,
}

/// Sign-ins that follow one another faster than this are gathered: who comes back with a resume token does not ask.
const SIGN_IN_PACE: Duration = Duration::from_micros(400);
/// The same for questions of who may watch, which everybody asks who comes back, and which cost chat-core most.
const WATCH_PACE: Duration = Duration::from_millis(1);

/// Gathers, for one node, each kind of call which sockets make at once by the thousand.
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
            submits: Gatherer::new("submit", options, submit_streams::submit(client.clone(), attempt)),
            watches: Gatherer::paced("watch", options, WATCH_PACE, watches(client.clone(), attempt)),
            tickets: Gatherer::paced("ticket", options, SIGN_IN_PACE, tickets(client.clone(), attempt)),
            redeems: Gatherer::paced("redeem", options, SIGN_IN_PACE, redeems(client, attempt)),
        }
    }
}

fn checks(client: EdgeServiceClient<Upstream>, within: Duration) -> Call<String, Option<Identity>> {
    Arc::new(move |tokens| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.check_sessions(CheckSessionsRequest { tokens })).await?;
            Ok(answer.sessions.into_iter().map(|checked| Ok(checked.identity)).collect())
        })
    })
}

fn watches(client: EdgeServiceClient<Upstream>, within: Duration) -> Call<WatchAsk, Watched> {
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

fn tickets(client: EdgeServiceClient<Upstream>, within: Duration) -> Call<TicketFor, String> {
    Arc::new(move |wanted| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.issue_tickets(IssueTicketsRequest { wanted })).await?;
            Ok(answer.tickets.into_iter().map(Ok).collect())
        })
    })
}

fn redeems(client: EdgeServiceClient<Upstream>, within: Duration) -> Call<TicketShown, Option<Identity>> {
    Arc::new(move |shown| {
        let mut client = client.clone();
        Box::pin(async move {
            let answer = attempt(within, client.redeem_tickets(RedeemTicketsRequest { shown })).await?;
            Ok(answer.redeemed.into_iter().map(|redeemed| Ok(redeemed.identity)).collect())
        })
    })
}
