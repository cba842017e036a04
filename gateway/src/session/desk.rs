//! What a signed-in client asks for, and the answers on their way.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use prost::Message as _;
use proto::{
    CloseCode,
    internal::v1::{Hint, ReadMark, ReadRequest, Submission, TypingHint, WatchAsk, hint},
    limits,
    v1::{
        ClientFrame, MarkRead, PageRequest, Position, Post, ReadMoved, Receipt, Refusal, RefusalCode, Subscribe, Typing, Unsubscribe,
        client_frame::Frame as Asked, page_request::Where, server_frame,
    },
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Session, conversation,
    rate::{Pace, Rate},
};
use crate::{
    clock,
    fanout::page::{self, Keep},
    hub::Core,
    upstream::Watched,
};

/// Frames that cannot be understood, until the socket is closed.
const MALFORMED: u32 = 8;
/// A chat-core that is behind what this gateway knows is asked again after so long, and so often.
const BEHIND: Duration = Duration::from_millis(25);
const BEHIND_TIMES: u32 = 80;
/// Typing is passed on this often at most.
const TYPING: Duration = Duration::from_secs(2);

/// An answer of chat-core.
pub enum Outcome {
    Watched { re: u32, room: Uuid, after: Option<Position>, tail: u32, result: Result<Watched, Refusal> },
    Again { room: Uuid, result: Result<Watched, Refusal> },
    Reloaded { room: Uuid, after: Position, result: Result<Watched, Refusal> },
    Posted { re: u32, result: Result<Receipt, Refusal> },
    Read { re: u32, result: Result<server_frame::Frame, Refusal> },
}

/// A client's requests. Bounded; its answers come in any order, but for posts.
pub struct Desk {
    pub(super) core: Rc<Core>,
    pub(super) session: Rc<Session>,
    pub(super) calls: FuturesUnordered<LocalBoxFuture<'static, Outcome>>,
    posts: VecDeque<(u32, Post)>,
    pub(super) posting: bool,
    rate: Rate,
    since: Instant,
    malformed: u32,
    typed: Option<Instant>,
}

impl Desk {
    pub fn new(core: Rc<Core>, session: Rc<Session>) -> Self {
        Self {
            core,
            session,
            calls: FuturesUnordered::new(),
            posts: VecDeque::new(),
            posting: false,
            rate: Rate::new(Duration::ZERO),
            since: Instant::now(),
            malformed: 0,
            typed: None,
        }
    }

    /// Whether an answer is on its way.
    pub fn waits(&self) -> bool {
        !self.calls.is_empty()
    }

    /// The next answer. Only where one is on its way.
    pub async fn outcome(&mut self) -> Option<Outcome> {
        self.calls.next().await
    }

    /// Takes one message.
    pub fn take(&mut self, bytes: &[u8]) {
        let options = &self.core.shared.options;
        let pace = self.rate.note(self.since.elapsed(), options.frames_per_s, options.frames_burst);
        if pace == Pace::Flood {
            return self.session.socket.close(CloseCode::Flooding);
        }
        let mut frame = match self.session.subprotocol.decode(bytes) {
            Ok(frame) => frame,
            Err(refusal) => return self.misunderstood(0, refusal),
        };
        if let Pace::Wait(wait_ms) = pace {
            return self.session.refuse(frame.id, Refusal::of(RefusalCode::RateLimited).retry_after_ms(wait_ms));
        }
        if frame.frame.is_none() {
            return self.misunderstood(frame.id, Refusal::of(RefusalCode::Malformed).field("frame"));
        }
        if let Err(refusal) = sequence::check_frame(&mut frame) {
            // A text that is too long is a person's mistake, not a program's.
            return if matches!(refusal.code(), RefusalCode::Malformed | RefusalCode::TooLarge) {
                self.misunderstood(frame.id, refusal)
            } else {
                self.session.refuse(frame.id, refusal)
            };
        }
        let ClientFrame { id, frame: Some(asked) } = frame else { return };
        // chat-core would refuse it too: it knows no such person.
        let shows = matches!(asked, Asked::Subscribe(_) | Asked::Unsubscribe(_) | Asked::Page(_) | Asked::Refresh(_) | Asked::Ping(_));
        if self.session.is_screen() && !shows {
            let refusal = Refusal::of(RefusalCode::Forbidden).words("大屏只用于显示。", "A screen shows, and can do nothing else.");
            return self.session.refuse(id, refusal);
        }
        match asked {
            Asked::SignIn(_) => self.session.refuse(id, Refusal::of(RefusalCode::Unsupported)),
            Asked::Subscribe(asked) => self.subscribe(id, asked),
            Asked::Unsubscribe(asked) => self.unsubscribe(id, &asked),
            Asked::Post(post) => self.post(id, post),
            Asked::MarkRead(mark) => self.mark_read(id, mark),
            Asked::Page(page) => self.page(id, page),
            Asked::Typing(typing) => self.typing(id, &typing),
            Asked::Refresh(_) => self.session.tell(id, server_frame::Frame::Welcome(self.session.welcome(&self.core))),
            Asked::Ping(_) => self.session.tell(id, server_frame::Frame::Pong(proto::v1::Pong { time_ms: clock::now_ms() })),
        }
    }

    /// So many pings and pongs came: they count as messages do, only that nothing is said of one too many.
    pub fn controls(&mut self, count: u32) {
        let options = &self.core.shared.options;
        for _ in 0..count {
            if self.rate.note(self.since.elapsed(), options.frames_per_s, options.frames_burst) == Pace::Flood {
                return self.session.socket.close(CloseCode::Flooding);
            }
        }
    }

    fn misunderstood(&mut self, re: u32, refusal: Refusal) {
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
        let room = match conversation(&asked.conversation) {
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
        if self.full(re) {
            return self.give_up(room);
        }
        let watch = self.watch(room);
        let Subscribe { after, tail, .. } = asked;
        self.calls.push(async move { Outcome::Watched { re, room, after, tail, result: watch.await } }.boxed_local());
    }

    /// Forgets a subscription that never came to be.
    pub(super) fn give_up(&self, room: Uuid) {
        let mut subscriptions = self.session.subscriptions.borrow_mut();
        if subscriptions.get(&room).is_some_and(|subscription| !subscription.placed) {
            subscriptions.remove(&room);
        }
    }

    /// Asks chat-core; again, where it is behind what this gateway already knows of rights.
    pub(super) fn watch(&self, room: Uuid) -> impl Future<Output = Result<Watched, Refusal>> + use<> {
        let chat_cores = self.core.shared.chat_cores.clone();
        let session = self.session.session_id().unwrap_or_default();
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
        match conversation(&asked.conversation) {
            Ok(room) => self.session.end_subscription(&self.core, room, re, None),
            Err(refusal) => self.session.refuse(re, refusal),
        }
    }

    fn post(&mut self, re: u32, post: Post) {
        if self.session.draining.get() {
            return self.session.refuse(re, Refusal::of(RefusalCode::Draining));
        }
        if self.posts.len() >= self.core.shared.options.posts_waiting {
            return self.session.refuse(re, Refusal::of(RefusalCode::RateLimited));
        }
        self.posts.push_back((re, post));
        self.post_next();
    }

    /// One at a time: an author's posts stand in the order they were sent.
    pub(super) fn post_next(&mut self) {
        if self.posting {
            return;
        }
        let Some((re, post)) = self.posts.pop_front() else { return };
        self.posting = true;
        let chat_cores = self.core.shared.chat_cores.clone();
        let session = self.session.session_id().unwrap_or_default();
        let submission = Submission { person: self.session.person(), session, post: Some(post) };
        self.calls.push(async move { Outcome::Posted { re, result: chat_cores.submit(submission).await } }.boxed_local());
    }

    fn mark_read(&mut self, re: u32, asked: MarkRead) {
        let followed = conversation(&asked.conversation).is_ok_and(|room| self.follows(room));
        if !followed {
            return self.session.refuse(re, Refusal::of(RefusalCode::NotFound).field("conversation"));
        }
        if self.full(re) {
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

    fn page(&mut self, re: u32, asked: PageRequest) {
        let room = match conversation(&asked.conversation) {
            Ok(room) => room,
            Err(refusal) => return self.session.refuse(re, refusal),
        };
        if self.full(re) {
            return;
        }
        // Only who may watch reads; who follows it is known to.
        let watch = (!self.follows(room)).then(|| self.watch(room));
        let chat_cores = self.core.shared.chat_cores.clone();
        let (keep, subprotocol) = (Keep::of(asked.r#where), self.session.subprotocol);
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
                    page::fit(&mut page, keep, subprotocol);
                    Ok(server_frame::Frame::Page(page))
                };
                Outcome::Read { re, result: read.await }
            }
            .boxed_local(),
        );
    }

    fn typing(&mut self, re: u32, asked: &Typing) {
        let Ok(room) = conversation(&asked.conversation) else {
            return self.session.refuse(re, Refusal::of(RefusalCode::Malformed).field("conversation"));
        };
        let most = self.core.shared.options.typing_people_most;
        let small = self.session.subscriptions.borrow().get(&room).is_some_and(|one| one.placed && one.may_post && one.people <= most);
        if !small || self.typed.is_some_and(|at| at.elapsed() < TYPING) {
            return;
        }
        self.typed = Some(Instant::now());
        let hint = Hint { hint: Some(hint::Hint::Typing(TypingHint { conversation: room.to_string(), person: self.session.person() })) };
        self.core.shared.fanout.publish(proto::partition_of_conversation(room), hint.encode_to_vec());
    }

    fn follows(&self, room: Uuid) -> bool {
        self.session.subscriptions.borrow().get(&room).is_some_and(|subscription| subscription.placed)
    }

    fn full(&self, re: u32) -> bool {
        let full = self.calls.len() >= self.core.shared.options.calls_at_once;
        if full {
            self.session.refuse(re, Refusal::of(RefusalCode::RateLimited));
        }
        full
    }
}
