//! What a signed-in client asks for, and the calls to chat-core that it waits for.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use prost::Message as _;
use proto::{
    CloseCode,
    internal::v1::{Hint, ReadMark, ReadRequest, Submission, TypingHint, WatchAsk, hint},
    limits,
    v1::{
        ClientFrame, MarkRead, PageRequest, Position, Post, ReadMoved, Receipt, Refusal, RefusalCode, Subscribe, Typing, Unsubscribe,
        Unsubscribed, client_frame::Frame as Asked, page_request::Where, server_frame,
    },
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::welcome::welcome;
use crate::{
    fanout::page::{self, Keep},
    rate::{Limit, Pace, Rate},
    registry::{Core, Session},
    upstream::Watched,
};

/// Frames that cannot be understood, until the socket is closed.
const MALFORMED: u32 = 8;
/// How soon a chat-core that is behind what this gateway knows is asked again, and how many times.
const BEHIND: Duration = Duration::from_millis(25);
const BEHIND_TIMES: u32 = 80;
/// How often one socket's typing is passed on.
const TYPING: Limit = Limit::every(Duration::from_secs(2), 1);

/// What came of a call to chat-core.
pub(super) enum Outcome {
    Watched { re: u32, room: Uuid, after: Option<Position>, tail: u32, result: Result<Watched, Refusal> },
    Again { room: Uuid, result: Result<Watched, Refusal> },
    Reloaded { room: Uuid, after: Position, result: Result<Watched, Refusal> },
    Posted { re: u32, result: Result<Receipt, Refusal> },
    Read { re: u32, result: Result<server_frame::Frame, Refusal> },
}

/// Handles the frames of one signed-in socket. What waits is bounded; answers come in any order, but for posts.
pub(super) struct RequestHandler {
    pub(super) core: Rc<Core>,
    pub(super) session: Rc<Session>,
    pub(super) calls: FuturesUnordered<LocalBoxFuture<'static, Outcome>>,
    posts: VecDeque<(u32, Post)>,
    pub(super) posting: bool,
    since: Instant,
    frames: Rate,
    typing: Rate,
    malformed: u32,
}

impl RequestHandler {
    pub fn new(core: Rc<Core>, session: Rc<Session>) -> Self {
        Self {
            core,
            session,
            calls: FuturesUnordered::new(),
            posts: VecDeque::new(),
            posting: false,
            since: Instant::now(),
            frames: Rate::default(),
            typing: Rate::default(),
            malformed: 0,
        }
    }

    /// Whether a call is under way.
    pub fn is_waiting(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The next outcome; only where a call is under way. Cancel-safe.
    pub async fn next_outcome(&mut self) -> Option<Outcome> {
        self.calls.next().await
    }

    /// Handles one message.
    pub fn handle_frame(&mut self, bytes: &[u8]) {
        let pace = self.count_frame();
        if pace == Pace::Flood {
            return self.session.socket.close(CloseCode::Flooding);
        }
        let mut frame = match self.session.subprotocol.decode(bytes) {
            Ok(frame) => frame,
            Err(refusal) => return self.refuse_malformed(0, refusal),
        };
        if let Pace::Wait(wait_ms) = pace {
            return self.session.refuse(frame.id, Refusal::of(RefusalCode::RateLimited).retry_after_ms(wait_ms));
        }
        if frame.frame.is_none() {
            return self.refuse_malformed(frame.id, Refusal::of(RefusalCode::Malformed).field("frame"));
        }
        if let Err(refusal) = sequence::check_frame(&mut frame) {
            // A text that is too long is a person's mistake, not a program's.
            return if matches!(refusal.code(), RefusalCode::Malformed | RefusalCode::TooLarge) {
                self.refuse_malformed(frame.id, refusal)
            } else {
                self.session.refuse(frame.id, refusal)
            };
        }
        let ClientFrame { id, frame: Some(asked) } = frame else { return };
        // chat-core would refuse it too: it knows no such person.
        let only_shows = matches!(asked, Asked::Subscribe(_) | Asked::Unsubscribe(_) | Asked::Page(_) | Asked::Refresh(_) | Asked::Ping(_));
        if self.session.is_screen() && !only_shows {
            let refusal = Refusal::of(RefusalCode::Forbidden).words("大屏只用于显示。", "A screen shows, and can do nothing else.");
            return self.session.refuse(id, refusal);
        }
        match asked {
            Asked::SignIn(_) => self.session.refuse(id, Refusal::of(RefusalCode::Unsupported)),
            Asked::Subscribe(asked) => self.subscribe(id, asked),
            Asked::Unsubscribe(asked) => self.unsubscribe(id, &asked),
            Asked::Post(post) => self.enqueue_post(id, post),
            Asked::MarkRead(mark) => self.mark_read(id, mark),
            Asked::Page(page) => self.read_page(id, page),
            Asked::Typing(typing) => self.pass_on_typing(id, &typing),
            Asked::Refresh(_) => self.session.send(id, server_frame::Frame::Welcome(welcome(&self.core, &self.session))),
            Asked::Ping(_) => {
                self.session.send(id, server_frame::Frame::Pong(proto::v1::Pong { time_ms: self.core.shared.clock.now_ms() }))
            }
        }
    }

    /// Counts `count` pings and pongs: as messages, only that one too many is not refused.
    pub fn handle_control_frames(&mut self, count: u32) {
        for _ in 0..count {
            if self.count_frame() == Pace::Flood {
                return self.session.socket.close(CloseCode::Flooding);
            }
        }
    }

    fn count_frame(&mut self) -> Pace {
        let options = &self.core.shared.options;
        self.frames.admit(self.since.elapsed(), Limit::per_second(options.frames_per_s, options.frames_burst))
    }

    /// Refuses a frame that is a program's mistake; closes the socket where there were too many.
    fn refuse_malformed(&mut self, re: u32, refusal: Refusal) {
        self.session.refuse(re, refusal);
        self.malformed += 1;
        if self.malformed >= MALFORMED {
            self.session.socket.close(CloseCode::Malformed);
        }
    }

    /// A position from the first frame: as Subscribe, answered with `re` 0.
    pub fn resume(&mut self, position: Position) {
        let conversation = position.conversation.clone();
        self.subscribe(0, Subscribe { conversation, after: Some(position), tail: 0 });
    }

    fn subscribe(&mut self, re: u32, asked: Subscribe) {
        let room = match parse_conversation(&asked.conversation) {
            Ok(room) => room,
            Err(refusal) => return self.session.refuse(re, refusal),
        };
        {
            let mut subscriptions = self.session.subscriptions.borrow_mut();
            if !subscriptions.contains_key(&room) && subscriptions.len() >= limits::SUBSCRIPTIONS {
                drop(subscriptions);
                return self.session.refuse(re, Refusal::of(RefusalCode::TooLarge).field("conversation"));
            }
            subscriptions.entry(room).or_default();
        }
        if self.refuse_if_full(re) {
            return self.drop_unjoined(room);
        }
        let watch = self.watch(room);
        let Subscribe { after, tail, .. } = asked;
        self.calls.push(async move { Outcome::Watched { re, room, after, tail, result: watch.await } }.boxed_local());
    }

    /// Drops a subscription that never came to be.
    pub(super) fn drop_unjoined(&self, room: Uuid) {
        let mut subscriptions = self.session.subscriptions.borrow_mut();
        if subscriptions.get(&room).is_some_and(|subscription| !subscription.joined) {
            subscriptions.remove(&room);
        }
    }

    /// Asks chat-core who may watch; again, where it is behind what this gateway already knows of rights.
    pub(super) fn watch(&self, room: Uuid) -> impl Future<Output = Result<Watched, Refusal>> + use<> {
        let chat_cores = self.core.shared.chat_cores.clone();
        let session = self.session.session_id();
        let ask = WatchAsk { person: self.session.person(), session, conversation: room.to_string(), display: self.session.display_link() };
        // What the control log says from here on finds the subscription, and has it asked for again.
        let known = self.core.rights_at.get();
        async move {
            for _ in 0..BEHIND_TIMES {
                let watched = chat_cores.watch(ask.clone()).await?;
                if watched.control >= known {
                    return Ok(watched);
                }
                sleep(BEHIND).await;
            }
            Err(Refusal::of(RefusalCode::Unavailable))
        }
    }

    fn unsubscribe(&mut self, re: u32, asked: &Unsubscribe) {
        match parse_conversation(&asked.conversation) {
            Ok(room) => self.end_subscription(room, re, None),
            Err(refusal) => self.session.refuse(re, refusal),
        }
    }

    fn enqueue_post(&mut self, re: u32, post: Post) {
        if self.session.is_draining() {
            return self.session.refuse(re, Refusal::of(RefusalCode::Draining));
        }
        if self.posts.len() >= self.core.shared.options.posts_waiting {
            return self.session.refuse(re, Refusal::of(RefusalCode::RateLimited));
        }
        self.posts.push_back((re, post));
        self.send_next_post();
    }

    /// One at a time: an author's posts stand in the order they were sent.
    pub(super) fn send_next_post(&mut self) {
        if self.posting {
            return;
        }
        let Some((re, post)) = self.posts.pop_front() else { return };
        self.posting = true;
        let chat_cores = self.core.shared.chat_cores.clone();
        let session = self.session.session_id();
        let submission = Submission { person: self.session.person(), session, post: Some(post) };
        self.calls.push(async move { Outcome::Posted { re, result: chat_cores.submit(submission).await } }.boxed_local());
    }

    fn mark_read(&mut self, re: u32, asked: MarkRead) {
        let followed = parse_conversation(&asked.conversation).is_ok_and(|room| self.is_following(room));
        if !followed {
            return self.session.refuse(re, Refusal::of(RefusalCode::NotFound).field("conversation"));
        }
        if self.refuse_if_full(re) {
            return;
        }
        let chat_cores = self.core.shared.chat_cores.clone();
        let mark = ReadMark { person: self.session.person(), conversation: asked.conversation.clone(), mseq: asked.mseq };
        self.calls.push(
            async move {
                let moved = chat_cores.mark_read(mark).await;
                let result = moved.map(|mseq| server_frame::Frame::ReadMoved(ReadMoved { conversation: asked.conversation, mseq }));
                Outcome::Read { re, result }
            }
            .boxed_local(),
        );
    }

    fn read_page(&mut self, re: u32, asked: PageRequest) {
        let room = match parse_conversation(&asked.conversation) {
            Ok(room) => room,
            Err(refusal) => return self.session.refuse(re, refusal),
        };
        if self.refuse_if_full(re) {
            return;
        }
        // Only who may watch reads; who follows it is known to.
        let watch = (!self.is_following(room)).then(|| self.watch(room));
        let chat_cores = self.core.shared.chat_cores.clone();
        let (keep, subprotocol) = (Keep::for_request(asked.r#where), self.session.subprotocol);
        let person = match asked.r#where {
            Some(Where::FirstUnread(_)) => self.session.person(),
            // The same stretch for whomever it is read: then it is read once.
            _ => 0,
        };
        self.calls.push(
            async move {
                let read = async {
                    if let Some(watch) = watch
                        && let Some(refusal) = watch.await?.verdict.refusal
                    {
                        return Err(refusal);
                    }
                    let request = ReadRequest { conversation: asked.conversation.clone(), page: Some(asked), person };
                    let mut page = proto::v1::Page::clone(&*chat_cores.read(request).await?);
                    page::shrink_to_frame(&mut page, keep, subprotocol);
                    Ok(server_frame::Frame::Page(page))
                };
                Outcome::Read { re, result: read.await }
            }
            .boxed_local(),
        );
    }

    fn pass_on_typing(&mut self, re: u32, asked: &Typing) {
        let Ok(room) = parse_conversation(&asked.conversation) else {
            return self.session.refuse(re, Refusal::of(RefusalCode::Malformed).field("conversation"));
        };
        let most = self.core.shared.options.typing_people_most;
        let small = self
            .session
            .subscriptions
            .borrow()
            .get(&room)
            .is_some_and(|subscription| subscription.joined && subscription.may_post && subscription.people <= most);
        if !small || self.typing.admit(self.since.elapsed(), TYPING) != Pace::Admitted {
            return;
        }
        let hint = Hint { hint: Some(hint::Hint::Typing(TypingHint { conversation: room.to_string(), person: self.session.person() })) };
        self.core.shared.fanout.publish(proto::partition_of_conversation(room), hint.encode_to_vec());
    }

    /// Ends a subscription, in answer to the frame `re` or unasked (0), and sends why.
    pub(super) fn end_subscription(&self, room: Uuid, re: u32, reason: Option<Refusal>) {
        let subscription = self.session.subscriptions.borrow_mut().remove(&room);
        if let Some(subscription) = subscription {
            self.core.leave_room(room, &self.session, &subscription);
        }
        self.session.send(re, server_frame::Frame::Unsubscribed(Unsubscribed { conversation: room.to_string(), reason }));
    }

    fn is_following(&self, room: Uuid) -> bool {
        self.session.subscriptions.borrow().get(&room).is_some_and(|subscription| subscription.joined)
    }

    /// Whether too many calls are under way; the frame `re` is refused then.
    fn refuse_if_full(&self, re: u32) -> bool {
        let full = self.calls.len() >= self.core.shared.options.calls_at_once;
        if full {
            self.session.refuse(re, Refusal::of(RefusalCode::RateLimited));
        }
        full
    }
}

/// Nothing of a socket grows with what its client names: an id of a conversation, or why not.
fn parse_conversation(id: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(id).map_err(|_| Refusal::of(RefusalCode::Malformed).field("conversation"))
}
