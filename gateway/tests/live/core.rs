//! A chat-core of the tests: the contract of EdgeService over vectors, with knobs for what may go wrong.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use backbone::Backbone;
use clock::Clock;
use futures::TryStreamExt as _;
use parking_lot::Mutex;
use prost::Message as _;
use proto::{
    internal::v1::{
        Announcement, CheckSessionsRequest, CheckSessionsResponse, Concern, ControlBatch, ControlEvent, EndSessionRequest,
        EndSessionResponse, FindAudienceRequest, FindAudienceResponse, FollowControlRequest, Head, HeadsRequest, HeadsResponse, Hint,
        Identity, IssueTicketsRequest, IssueTicketsResponse, MarkReadRequest, MarkReadResponse, ReadRequest, RedeemTicketsRequest,
        RedeemTicketsResponse, Redeemed, SignInByDisplayRequest, SignInByLinkRequest, SignInRequest, SignInResponse, SubmitRequest,
        SubmitResponse, SubmitVerdict, WatchRequest, WatchResponse, WatchVerdict, edge_service_server::EdgeService, hint,
        submit_verdict::Verdict,
    },
    v1::{
        Comment, ConversationKind, Event, Page, Position, Receipt, ReceiptState, Refusal, RefusalCode, event::Kind, page_request::Where,
        post,
    },
};
use tokio::sync::Notify;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

#[derive(Default)]
pub struct Log {
    pub epoch: u32,
    pub events: Vec<Event>,
    pub receipts: HashMap<(u32, String), Receipt>,
    pub denied: HashSet<u32>,
    pub muted: HashSet<u32>,
    pub read: HashMap<u32, u64>,
}

#[derive(Default)]
struct State {
    logs: HashMap<String, Log>,
    tickets: HashMap<String, (Identity, String)>,
    control: Vec<ControlEvent>,
    ended: HashSet<String>,
}

#[derive(Clone)]
pub struct Core {
    inner: Arc<Inner>,
}

pub struct Inner {
    state: Mutex<State>,
    backbone: Arc<dyn Backbone>,
    moved: Notify,
    /// Announce what is committed.
    pub announces: AtomicBool,
    /// The delay of answers to Submit, ms.
    pub submit_ms: AtomicU64,
    /// Events of the control log that its answers seem to be behind.
    pub lags: AtomicU64,
    /// Say nothing more of the control log.
    pub mute: AtomicBool,
    /// No head is found by its time.
    pub late: AtomicBool,
    /// How long verdicts are good, ms; 0: until the control log says otherwise.
    pub valid_ms: AtomicU64,
    /// The time of this chat-core and of all gateways over it.
    pub clock: Clock,
    /// Questions of whom a change concerns.
    pub audiences: AtomicUsize,
    /// Do not answer them.
    pub deaf: AtomicBool,
    pub reads: AtomicUsize,
    pub watches: AtomicUsize,
}

impl std::ops::Deref for Core {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.inner
    }
}

pub fn comment(text: &str) -> Kind {
    Kind::Comment(Comment { text: text.to_owned(), ..Comment::default() })
}

fn head(id: &str, log: &Log) -> Head {
    Head {
        conversation: id.to_owned(),
        epoch: log.epoch,
        seq: log.events.len() as u64,
        mseq: log.events.last().map_or(0, |event| event.mseq),
        people_spoke: 0,
        comments: log.events.iter().filter(|event| matches!(event.kind, Some(Kind::Comment(_)))).count() as u64,
    }
}

impl Core {
    pub fn new(backbone: Arc<dyn Backbone>) -> Self {
        let inner = Inner {
            state: Mutex::default(),
            backbone,
            moved: Notify::new(),
            announces: AtomicBool::new(true),
            submit_ms: AtomicU64::new(0),
            lags: AtomicU64::new(0),
            mute: AtomicBool::new(false),
            late: AtomicBool::new(false),
            valid_ms: AtomicU64::new(0),
            clock: Clock::default(),
            audiences: AtomicUsize::new(0),
            deaf: AtomicBool::new(false),
            reads: AtomicUsize::new(0),
            watches: AtomicUsize::new(0),
        };
        let core = Self { inner: Arc::new(inner) };
        core.control(Concern { rights: true, ..Concern::default() });
        core
    }

    pub fn conversation(&self) -> Uuid {
        let id = Uuid::now_v7();
        self.state.lock().logs.insert(id.to_string(), Log { epoch: 7, ..Log::default() });
        id
    }

    pub fn with<T>(&self, id: Uuid, change: impl FnOnce(&mut Log) -> T) -> T {
        change(self.state.lock().logs.get_mut(&id.to_string()).unwrap())
    }

    pub fn ticket(&self, person: u32, session: &str, origin: &str) -> String {
        let mut state = self.state.lock();
        let control = state.control.len() as u64;
        let identity = Identity { person, session: session.to_owned(), path: vec![1], session_expires_ms: 0, control, display: None };
        let ticket = Uuid::new_v4().to_string();
        state.tickets.insert(ticket.clone(), (identity, origin.to_owned()));
        ticket
    }

    /// An event of the control log, of a kind that nobody knows: gateways go by what it concerns.
    pub fn control(&self, concern: Concern) {
        self.control_at_once([concern]);
    }

    /// Events that followers get in one batch.
    pub fn control_at_once(&self, concerns: impl IntoIterator<Item = Concern>) {
        let mut state = self.state.lock();
        for concern in concerns {
            let position = state.control.len() as u64 + 1;
            if !concern.session_ended.is_empty() {
                state.ended.insert(concern.session_ended.clone());
            }
            state.control.push(ControlEvent { position, concern: Some(concern), ..ControlEvent::default() });
        }
        drop(state);
        self.moved.notify_waiters();
    }

    /// Rights of these people (none: of everybody) in a room (none: in all) have changed.
    pub fn change_rights(&self, people: &[u32], room: Option<Uuid>) {
        let conversation = room.map(|room| room.to_string()).unwrap_or_default();
        self.control(Concern { people: people.to_vec(), conversation, rights: true, ..Concern::default() });
    }

    pub fn end_session(&self, person: u32, session: &str) {
        self.control(Concern { people: vec![person], session_ended: session.to_owned(), ..Concern::default() });
    }

    /// Commits, and does not announce.
    pub fn commit(&self, id: Uuid, author: u32, kind: Kind) -> Announcement {
        self.with(id, |log| {
            let seq = log.events.len() as u64 + 1;
            let unread = matches!(kind, Kind::Comment(_));
            let mseq = log.events.last().map_or(0, |event| event.mseq) + u64::from(unread);
            let event = Event { seq, mseq, time_ms: seq as i64, author, kind: Some(kind), ..Event::default() };
            log.events.push(event.clone());
            Announcement { head: Some(head(&id.to_string(), log)), events: vec![event] }
        })
    }

    pub async fn announce(&self, id: Uuid, announcement: Announcement) {
        let payload = Hint { hint: Some(hint::Hint::Announcement(announcement)) }.encode_to_vec();
        let _ = self.backbone.publish(proto::partition_of_conversation(id), payload.into()).await;
    }

    /// Commits and announces.
    pub async fn append(&self, id: Uuid, author: u32, kind: Kind) {
        let announcement = self.commit(id, author, kind);
        self.announce(id, announcement).await;
    }

    fn read_page(&self, asked: &ReadRequest) -> Result<Page, Refusal> {
        let state = self.state.lock();
        let log = state.logs.get(&asked.conversation).ok_or_else(|| Refusal::of(RefusalCode::NotFound))?;
        let page = asked.page.as_ref().unwrap();
        let limit = if page.limit == 0 { 50 } else { page.limit as usize };
        let newest = log.events.len();
        let (from, to) = match page.r#where {
            Some(Where::After(after)) if after as usize > newest => return Err(Refusal::of(RefusalCode::PositionBeyondHead)),
            Some(Where::After(after)) => (after as usize, (after as usize + limit).min(newest)),
            Some(Where::Before(before)) => {
                let to = if before == 0 { newest } else { (before as usize - 1).min(newest) };
                (to.saturating_sub(limit), to)
            }
            _ => (newest.saturating_sub(limit), newest),
        };
        let mut events = log.events[from..to].to_vec();
        sequence::fold_page(&mut events, &log.events);
        let head = head(&asked.conversation, log);
        Ok(Page {
            conversation: asked.conversation.clone(),
            epoch: log.epoch,
            complete_before: from == 0,
            complete_after: to == newest,
            head_seq: head.seq,
            head_mseq: head.mseq,
            events,
            around: 0,
        })
    }

    async fn submit_one(&self, submission: proto::internal::v1::Submission) -> Verdict {
        let post = submission.post.unwrap();
        let id = Uuid::try_parse(&post.conversation).unwrap();
        let refused = |code| Verdict::Refusal(Refusal::of(code));
        if self.with(id, |log| log.muted.contains(&submission.person)) {
            return refused(RefusalCode::Muted);
        }
        let key = (submission.person, post.client_id.clone());
        if let Some(receipt) = self.with(id, |log| log.receipts.get(&key).cloned()) {
            return Verdict::Receipt(receipt);
        }
        let kind = match post.content {
            Some(post::Content::Comment(comment)) => Kind::Comment(comment),
            Some(post::Content::Hide(hide)) => Kind::Hide(hide),
            _ => return refused(RefusalCode::Unsupported),
        };
        let announcement = self.commit(id, submission.person, kind);
        let event = announcement.events[0].clone();
        let position = Position { conversation: post.conversation, epoch: 7, seq: event.seq };
        let receipt = Receipt {
            client_id: post.client_id,
            position: Some(position),
            mseq: event.mseq,
            time_ms: event.time_ms,
            state: ReceiptState::Shown.into(),
        };
        self.with(id, |log| log.receipts.insert(key, receipt.clone()));
        if self.announces.load(Ordering::Relaxed) {
            self.announce(id, announcement).await;
        }
        Verdict::Receipt(receipt)
    }
}

type Stream<T> = Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

#[async_trait::async_trait]
impl EdgeService for Core {
    async fn sign_in(&self, _: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        Err(Status::unimplemented("the tests hand out tickets"))
    }
    async fn sign_in_by_link(&self, _: Request<SignInByLinkRequest>) -> Result<Response<SignInResponse>, Status> {
        Err(Status::unimplemented("the tests hand out tickets"))
    }
    async fn sign_in_by_display(&self, _: Request<SignInByDisplayRequest>) -> Result<Response<SignInResponse>, Status> {
        Err(Status::unimplemented("the sockets' core"))
    }
    /// Those who are denied could watch before, where it says that others could.
    async fn find_audience(&self, asked: Request<FindAudienceRequest>) -> Result<Response<FindAudienceResponse>, Status> {
        self.audiences.fetch_add(1, Ordering::Relaxed);
        if self.deaf.load(Ordering::Relaxed) {
            return Err(Refusal::of(RefusalCode::Overloaded).into());
        }
        let asked = asked.into_inner();
        let state = self.state.lock();
        let denied = |person: &u32| state.logs.get(&asked.conversation).is_none_or(|log| log.denied.contains(person));
        let (gone, may_watch): (Vec<u32>, Vec<u32>) = asked.people.iter().partition(|person| denied(person));
        let gone = if asked.before.is_empty() { Vec::new() } else { gone };
        Ok(Response::new(FindAudienceResponse { may_watch, gone, control: state.control.len() as u64 }))
    }
    async fn check_sessions(&self, _: Request<CheckSessionsRequest>) -> Result<Response<CheckSessionsResponse>, Status> {
        Ok(Response::new(CheckSessionsResponse::default()))
    }
    async fn end_session(&self, _: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        Ok(Response::new(EndSessionResponse {}))
    }
    async fn issue_tickets(&self, _: Request<IssueTicketsRequest>) -> Result<Response<IssueTicketsResponse>, Status> {
        Ok(Response::new(IssueTicketsResponse::default()))
    }

    async fn redeem_tickets(&self, asked: Request<RedeemTicketsRequest>) -> Result<Response<RedeemTicketsResponse>, Status> {
        let mut state = self.state.lock();
        let shown = asked.into_inner().shown;
        let redeemed = shown
            .iter()
            .map(|shown| {
                let known = state.tickets.remove(&shown.ticket);
                let good = known.filter(|(identity, origin)| *origin == shown.origin && !state.ended.contains(&identity.session));
                Redeemed { identity: good.map(|(identity, _)| identity) }
            })
            .collect();
        Ok(Response::new(RedeemTicketsResponse { redeemed }))
    }

    async fn watch(&self, asked: Request<WatchRequest>) -> Result<Response<WatchResponse>, Status> {
        let state = self.state.lock();
        let asks = asked.into_inner().asks;
        let valid_ms = self.valid_ms.load(Ordering::Relaxed) as i64;
        let now_ms = self.clock.now_ms();
        self.watches.fetch_add(asks.len(), Ordering::Relaxed);
        let verdicts = asks
            .iter()
            .map(|ask| match state.logs.get(&ask.conversation) {
                Some(log) if !log.denied.contains(&ask.person) => {
                    let muted = log.muted.contains(&ask.person);
                    WatchVerdict {
                        head: Some(head(&ask.conversation, log)),
                        kind: ConversationKind::Consultation.into(),
                        read_mseq: log.read.get(&ask.person).copied().unwrap_or_default(),
                        may_post: !muted,
                        post_refusal: muted.then(|| Refusal::of(RefusalCode::Muted)),
                        people: 5,
                        valid_until_ms: if valid_ms == 0 { 0 } else { now_ms + valid_ms },
                        ..WatchVerdict::default()
                    }
                }
                Some(_) => WatchVerdict { refusal: Some(Refusal::of(RefusalCode::Forbidden)), ..WatchVerdict::default() },
                None => WatchVerdict { refusal: Some(Refusal::of(RefusalCode::NotFound)), ..WatchVerdict::default() },
            })
            .collect();
        Ok(Response::new(WatchResponse { verdicts, control: state.control.len() as u64 - self.lags.load(Ordering::Relaxed) }))
    }

    type SubmitStream = Stream<SubmitResponse>;

    async fn submit(&self, asked: Request<Streaming<SubmitRequest>>) -> Result<Response<Self::SubmitStream>, Status> {
        let core = self.clone();
        let answers = asked.into_inner().and_then(move |asked| {
            let core = core.clone();
            async move {
                let mut verdicts = Vec::new();
                for submission in asked.submissions {
                    verdicts.push(SubmitVerdict { verdict: Some(core.submit_one(submission).await) });
                }
                tokio::time::sleep(Duration::from_millis(core.submit_ms.load(Ordering::Relaxed))).await;
                Ok(SubmitResponse { verdicts })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn read(&self, asked: Request<ReadRequest>) -> Result<Response<Page>, Status> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.read_page(asked.get_ref()).map(Response::new).map_err(Status::from)
    }

    async fn mark_read(&self, asked: Request<MarkReadRequest>) -> Result<Response<MarkReadResponse>, Status> {
        let mut state = self.state.lock();
        let marks = asked.into_inner().marks;
        let mseq = marks
            .iter()
            .map(|mark| {
                let read = state.logs.get_mut(&mark.conversation).unwrap().read.entry(mark.person).or_default();
                *read = mark.mseq.max(*read);
                *read
            })
            .collect();
        Ok(Response::new(MarkReadResponse { mseq }))
    }

    async fn heads(&self, asked: Request<HeadsRequest>) -> Result<Response<HeadsResponse>, Status> {
        let asked = asked.into_inner();
        let state = self.state.lock();
        let moved = asked.since_ms != 0 && !self.late.load(Ordering::Acquire);
        let wanted = |id: &str| moved || asked.conversations.iter().any(|one| one == id);
        let heads = state.logs.iter().filter(|(id, _)| wanted(id)).map(|(id, log)| head(id, log)).collect();
        Ok(Response::new(HeadsResponse { heads, as_of_ms: asked.since_ms + 1 }))
    }

    type FollowControlStream = Stream<ControlBatch>;

    async fn follow_control(&self, asked: Request<FollowControlRequest>) -> Result<Response<Self::FollowControlStream>, Status> {
        let asked = asked.into_inner();
        let core = self.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let newest = core.state.lock().control.len();
            let mut at = if asked.epoch == 0 { newest } else { (asked.after as usize).min(newest) };
            loop {
                let moved = core.moved.notified();
                let batch = {
                    let state = core.state.lock();
                    let events = state.control[at..].to_vec();
                    at = state.control.len();
                    ControlBatch { events, position: at as u64, epoch: 3 }
                };
                if core.mute.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                if sender.send(Ok(batch)).await.is_err() {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(500), moved).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
