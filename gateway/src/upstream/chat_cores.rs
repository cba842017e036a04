//! All chat-cores as one: what gateways ask of them.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use prost::Message as _;
use proto::{
    internal::v1::{
        EndSessionRequest, FindAudienceRequest, FindAudienceResponse, HeadsRequest, HeadsResponse, Identity, MarkReadRequest, ReadMark,
        ReadRequest, SignInByDisplayRequest, SignInByLinkRequest, SignInRequest, SignInResponse, SignedIn, Submission, TicketFor,
        TicketShown, WatchAsk, sign_in_response,
    },
    v1::{Page, Receipt, Refusal, RefusalCode},
};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    attempt::{attempt, client},
    calls::Watched,
    control::ControlFeed,
    control_follower,
    failure::Failure,
    heat::Heat,
    marks::{CallMarks, Marks},
    nodes::Nodes,
    options::UpstreamOptions,
    reads::Reads,
    service::Upstream,
};

/// The chat-cores: picks a node by conversation, gathers calls into batches, tries again elsewhere. Cheap to clone; may be
/// called from any runtime (its own work runs on the one it was made on).
#[derive(Clone)]
pub struct ChatCores {
    inner: Arc<Inner>,
}

struct Inner {
    options: UpstreamOptions,
    nodes: Arc<Nodes>,
    control: ControlFeed,
    reads: Arc<Reads>,
    marks: Marks,
    heat: Heat,
    started: Instant,
    home: Handle,
    _stop: DropGuard,
}

impl fmt::Debug for ChatCores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChatCores").field("control", &self.inner.control.position()).finish_non_exhaustive()
    }
}

type Answer<T> = Result<T, Refusal>;

impl ChatCores {
    /// Starts following the control log and probing the nodes (at most 64); must be called inside a runtime. Ends when
    /// the last clone is dropped.
    #[must_use]
    pub fn new(options: UpstreamOptions, nodes: Vec<Upstream>) -> Self {
        let stop = CancellationToken::new();
        let nodes = Arc::new(Nodes::new(nodes, &options));
        let control = ControlFeed::new(options.control_lag_most, options.control_ended_most);
        tokio::spawn(Arc::clone(&nodes).probe(options.clone(), stop.clone()));
        tokio::spawn(control_follower::run(Arc::clone(&nodes), control.clone(), options.control_back_most, stop.clone()));
        let inner = Inner {
            reads: Reads::new(options.reads_most),
            marks: Marks::new(&options, call_marks(Arc::clone(&nodes), &options)),
            heat: Heat::new(),
            started: Instant::now(),
            home: Handle::current(),
            options,
            nodes,
            control,
            _stop: stop.drop_guard(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The control log as this gateway follows it.
    #[must_use]
    pub fn control(&self) -> &ControlFeed {
        &self.inner.control
    }

    /// Whether any node serves, as last seen.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.inner.nodes.healthy()
    }

    pub(super) fn nodes(&self) -> &Nodes {
        &self.inner.nodes
    }

    pub(super) fn call_deadline(&self) -> Duration {
        Duration::from_millis(self.inner.options.call_deadline_ms)
    }

    /// Runs a call where this was made, to its end even when the caller goes away: a chat-core in this process must not
    /// run on the cores that own sockets, nor be dropped in the middle of a transaction.
    pub(super) async fn run_at_home<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        match self.inner.home.spawn(call).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "a call to chat-core did not end well");
                Err(Failure::Refused(Refusal::of(RefusalCode::Internal)))
            }
        }
    }

    /// Opens a session with a login and a password.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn sign_in(&self, request: SignInRequest) -> Answer<SignedIn> {
        let within = Duration::from_millis(self.inner.options.sign_in_ms);
        self.inner
            .nodes
            .call(rand::random(), within, |node| {
                let (mut client, request) = (client(&node.upstream), request.clone());
                self.run_at_home(async move { to_signed_in(attempt(within, client.sign_in(request)).await?) })
            })
            .await
    }

    /// Opens a session with a one-use link.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn sign_in_by_link(&self, request: SignInByLinkRequest) -> Answer<SignedIn> {
        let within = Duration::from_millis(self.inner.options.sign_in_ms);
        self.inner
            .nodes
            .call(rand::random(), within, |node| {
                let (mut client, request) = (client(&node.upstream), request.clone());
                self.run_at_home(async move { to_signed_in(attempt(within, client.sign_in_by_link(request)).await?) })
            })
            .await
    }

    /// Opens a screen's session with a display link.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn sign_in_by_display(&self, request: SignInByDisplayRequest) -> Answer<SignedIn> {
        let within = Duration::from_millis(self.inner.options.sign_in_ms);
        self.inner
            .nodes
            .call(rand::random(), within, |node| {
                let (mut client, request) = (client(&node.upstream), request.clone());
                self.run_at_home(async move { to_signed_in(attempt(within, client.sign_in_by_display(request)).await?) })
            })
            .await
    }

    /// Who this session token belongs to; `None`: nobody, or not any more; batched.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn check_session(&self, token: &str) -> Answer<Option<Identity>> {
        self.inner
            .nodes
            .call(proto::fnv(token.as_bytes()), self.call_deadline(), |node| {
                let token = token.to_owned();
                async move { node.calls.checks.ask(token, 64).await }
            })
            .await
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn end_session(&self, session: &str) -> Answer<()> {
        let request = EndSessionRequest { session: session.to_owned() };
        self.inner
            .nodes
            .call(proto::fnv(session.as_bytes()), self.call_deadline(), |node| {
                let (mut client, request, within) = (client(&node.upstream), request.clone(), self.attempt());
                self.run_at_home(async move { attempt(within, client.end_session(request)).await.map(|_| ()) })
            })
            .await
    }

    /// A one-use ticket for the socket, bound to this Origin (empty: none was sent, and none may be); batched.
    ///
    /// # Errors
    /// `SESSION_ENDED`, `UNAVAILABLE`.
    pub async fn issue_ticket(&self, session: &str, origin: &str) -> Answer<String> {
        let wanted = TicketFor { session: session.to_owned(), origin: origin.to_owned() };
        let ticket = self
            .inner
            .nodes
            .call(proto::fnv(session.as_bytes()), self.call_deadline(), |node| {
                let wanted = wanted.clone();
                async move { node.calls.tickets.ask(wanted, 128).await }
            })
            .await?;
        if ticket.is_empty() { Err(Refusal::of(RefusalCode::SessionEnded)) } else { Ok(ticket) }
    }

    /// Whose ticket this is; it is used up by this. `origin` is the upgrade's, empty where there was none; batched.
    ///
    /// # Errors
    /// `TICKET_INVALID`, `UNAVAILABLE`.
    pub async fn redeem(&self, ticket: &str, origin: &str) -> Answer<Identity> {
        let shown = TicketShown { ticket: ticket.to_owned(), origin: origin.to_owned() };
        let bytes = ticket.len() + origin.len() + 16;
        self.inner
            .nodes
            .call(proto::fnv(ticket.as_bytes()), self.call_deadline(), |node| {
                let shown = shown.clone();
                async move { node.calls.redeems.ask(shown, bytes).await }
            })
            .await?
            .ok_or_else(|| Refusal::of(RefusalCode::TicketInvalid))
    }

    /// May this person watch this conversation, and where does it stand; batched. A `no` is a verdict with `refusal` set,
    /// not an error.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`.
    pub async fn watch(&self, ask: WatchAsk) -> Answer<Watched> {
        self.inner
            .nodes
            .call(proto::fnv(ask.conversation.as_bytes()), self.call_deadline(), |node| {
                let ask = ask.clone();
                async move { node.calls.watches.ask(ask, 128).await }
            })
            .await
    }

    /// Appends a post; batched, and tried again with the same `client_id` on other nodes until the deadline. A caller who
    /// needs two posts in order waits for the first receipt. Goes on when dropped.
    ///
    /// # Errors
    /// What the rules say; `UNAVAILABLE` when no node answered in time: whether it was appended is then unknown.
    pub async fn submit(&self, submission: Submission) -> Answer<Receipt> {
        let key = submission.post.as_ref().map_or(0, |post| proto::fnv(post.conversation.as_bytes()));
        let bytes = submission.encoded_len();
        // 12 ms of gathering are below what a viewer can notice at such a rate, and each call, each commit and each hint is then
        // for several posts.
        let hot_ms = self.inner.options.hot_gather_ms;
        let hot = hot_ms > 0 && self.inner.heat.count(key, self.inner.started.elapsed().as_millis() as u64);
        let patience = if hot { Duration::from_millis(hot_ms) } else { Duration::ZERO };
        self.inner
            .nodes
            .call(key, Duration::from_millis(self.inner.options.submit_deadline_ms), |node| {
                let submission = submission.clone();
                async move { node.calls.submits.ask_patiently(submission, bytes, patience).await }
            })
            .await
    }

    /// A stretch of a log. Whoever asks for the same stretch at the same time shares one call and its answer, which may
    /// have been read a moment before this was called.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn read(&self, request: ReadRequest) -> Answer<Arc<Page>> {
        let cores = self.clone();
        self.inner
            .reads
            .read(&self.inner.home, request, |request| async move {
                let within = cores.attempt();
                cores
                    .inner
                    .nodes
                    .call(proto::fnv(request.conversation.as_bytes()), cores.call_deadline(), |node| {
                        let (mut client, request) = (client(&node.upstream), request.clone());
                        async move { attempt(within, client.read(request)).await }
                    })
                    .await
            })
            .await
    }

    /// The heads that moved, or those named.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn heads(&self, request: HeadsRequest) -> Answer<HeadsResponse> {
        // Always the same node where nothing is wrong: its answers are cached for many gateways together.
        self.inner
            .nodes
            .call(proto::fnv(b"heads"), self.call_deadline(), |node| {
                let (mut client, request, within) = (client(&node.upstream), request.clone(), self.attempt());
                self.run_at_home(async move { attempt(within, client.heads(request)).await })
            })
            .await
    }

    /// Which of these people may watch a conversation, and which of them could before.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn find_audience(&self, request: FindAudienceRequest) -> Answer<FindAudienceResponse> {
        self.inner
            .nodes
            .call(proto::fnv(request.conversation.as_bytes()), self.call_deadline(), |node| {
                let (mut client, request, within) = (client(&node.upstream), request.clone(), self.attempt());
                self.run_at_home(async move { attempt(within, client.find_audience(request)).await })
            })
            .await
    }

    /// Moves a read mark; gathered, the highest for each person and conversation wins. Where it stands now.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`.
    pub async fn mark_read(&self, mark: ReadMark) -> Answer<u64> {
        self.inner.marks.mark(mark).await
    }

    fn attempt(&self) -> Duration {
        Duration::from_millis(self.inner.options.attempt_ms)
    }
}

fn to_signed_in(response: SignInResponse) -> Result<SignedIn, Failure> {
    match response.outcome {
        Some(sign_in_response::Outcome::SignedIn(signed_in)) => Ok(signed_in),
        Some(sign_in_response::Outcome::Refusal(refusal)) => Err(Failure::from_refusal(refusal)),
        None => Err(Failure::node("a sign-in without an outcome")),
    }
}

fn call_marks(nodes: Arc<Nodes>, options: &UpstreamOptions) -> CallMarks {
    let within = Duration::from_millis(options.call_deadline_ms);
    let each = Duration::from_millis(options.attempt_ms);
    Arc::new(move |marks| {
        let nodes = Arc::clone(&nodes);
        Box::pin(async move {
            nodes
                .call(rand::random(), within, |node| {
                    let (mut client, marks) = (client(&node.upstream), marks.clone());
                    async move { attempt(each, client.mark_read(MarkReadRequest { marks })).await }
                })
                .await
                .map(|answer| answer.mseq)
        })
    })
}
