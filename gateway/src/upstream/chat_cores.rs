//! All chat-cores as one: what gateways ask of them.

use std::sync::Arc;

use proto::{
    internal::v1::{
        HeadsRequest, HeadsResponse, Identity, ReadMark, ReadRequest, SignInByLinkRequest, SignInRequest, SignedIn, Submission, WatchAsk,
        WatchVerdict,
    },
    v1::{Page, Receipt, Refusal, RefusalCode},
};

use super::{ControlFeed, Upstream, UpstreamOptions};

/// A verdict, and the control log's position that it was reached at.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// May this person watch, post, moderate; where the conversation stands.
    pub verdict: WatchVerdict,
    /// If the feed is past this when the verdict is used, ask again.
    pub control: u64,
}

/// The chat-cores: picks a node by conversation, gathers calls into batches, tries again elsewhere. Cheap to clone; may be
/// called from any runtime (its own work runs on the one it was made on).
#[derive(Clone, Debug)]
pub struct ChatCores {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    control: ControlFeed,
}

type Answer<T> = Result<T, Refusal>;

impl ChatCores {
    /// Starts following the control log and probing the nodes; must be called inside a runtime. Ends when the last clone
    /// is dropped.
    #[must_use]
    pub fn new(options: UpstreamOptions, _nodes: Vec<Upstream>) -> Self {
        Self { inner: Arc::new(Inner { control: ControlFeed::new(options.control_lag_most) }) }
    }

    /// The control log as this gateway follows it.
    #[must_use]
    pub fn control(&self) -> &ControlFeed {
        &self.inner.control
    }

    /// Whether any node serves, as last seen.
    #[must_use]
    pub fn healthy(&self) -> bool {
        false
    }

    /// Opens a session with a login and a password.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn sign_in(&self, _request: SignInRequest) -> Answer<SignedIn> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// Opens a session with a one-use link.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn sign_in_by_link(&self, _request: SignInByLinkRequest) -> Answer<SignedIn> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// Who this session token belongs to; `None`: nobody, or not any more.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn check_session(&self, _token: &str) -> Answer<Option<Identity>> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn end_session(&self, _session: &str) -> Answer<()> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// A one-use ticket for the socket, bound to this Origin; batched.
    ///
    /// # Errors
    /// `SESSION_ENDED`, `UNAVAILABLE`.
    pub async fn issue_ticket(&self, _session: &str, _origin: &str) -> Answer<String> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// Whose ticket this is; it is used up by this. `origin` is the upgrade's, empty where there was none; batched.
    ///
    /// # Errors
    /// `TICKET_INVALID`, `UNAVAILABLE`.
    pub async fn redeem(&self, _ticket: &str, _origin: &str) -> Answer<Identity> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// May this person watch this conversation, and where does it stand; batched. A `no` is a verdict with `refusal` set,
    /// not an error.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`.
    pub async fn watch(&self, _ask: WatchAsk) -> Answer<Watched> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// Appends a post; batched, and tried again with the same `client_id` on other nodes until the deadline. A caller who
    /// needs two posts in order waits for the first receipt.
    ///
    /// # Errors
    /// What the rules say; `UNAVAILABLE` when no node answered in time: whether it was appended is then unknown.
    pub async fn submit(&self, _submission: Submission) -> Answer<Receipt> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// A stretch of a log. Whoever asks for the same stretch at the same time shares one call and its answer, which may
    /// have been read a moment before this was called.
    ///
    /// # Errors
    /// What chat-core refuses with; `UNAVAILABLE`.
    pub async fn read(&self, _request: ReadRequest) -> Answer<Arc<Page>> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// The heads that moved, or those named.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn heads(&self, _request: HeadsRequest) -> Answer<HeadsResponse> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }

    /// Moves a read mark; gathered, the highest for each person and conversation wins. Where it stands now.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn mark_read(&self, _mark: ReadMark) -> Answer<u64> {
        Err(Refusal::of(RefusalCode::Unavailable))
    }
}
