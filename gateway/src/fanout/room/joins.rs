//! How sockets come into a room, and leave it.

use std::time::{Duration, Instant};

use proto::{
    limits,
    v1::{Page, Position, Refusal, ServerFrame, Subscribed, Verdict, page_request::Where, server_frame},
};

use super::state::Room;
use crate::{
    fanout::{
        messages::{Join, RoomCommand},
        page::{self, Keep},
        resume,
    },
    socket::{Dialect, Frame},
};

/// Where clients show positions beyond what is delivered here, the least time between two questions to the store.
const BEYOND_EVERY: Duration = Duration::from_millis(200);
/// Pages read back into the ring for one who comes back, at most.
const PAGES_BACK: usize = 32;
/// Sockets let in before the next events have their turn.
const AT_ONCE: usize = 256;

impl Room {
    /// Lets a socket in at once, or as soon as nothing waits to be sent.
    pub(super) async fn handle_join(&mut self, join: Join) {
        if join.after.as_ref().is_some_and(|shown| shown.epoch == self.ring.log().epoch && shown.seq > self.inbox.delivered()) {
            self.ask_beyond().await;
        }
        if let Some(head) = &join.verdict.head {
            self.update_head(head);
        }
        if self.out.is_empty() && self.waiting.is_empty() {
            self.admit_socket(join).await;
        } else {
            self.waiting.push_back(join);
        }
    }

    /// Lets those in who waited for the events before them, some at a time: the events after them have their turn too.
    pub(super) async fn admit_waiting(&mut self) {
        for _ in 0..AT_ONCE {
            if !self.out.is_empty() {
                return;
            }
            let Some(join) = self.waiting.pop_front() else { return };
            self.admit_socket(join).await;
        }
    }

    /// The newcomer's answer ends exactly where the next events begin: everything admitted was sent.
    async fn admit_socket(&mut self, mut join: Join) {
        let log = self.ring.log().clone();
        let delivered = self.inbox.delivered();
        let (mut verdict, reason) = resume::decide(log.epoch, delivered, join.after.as_ref());
        let mut position = Position { conversation: log.conversation.clone(), epoch: log.epoch, seq: delivered };
        let mut replay = Vec::new();
        if verdict == Verdict::Resumed && join.pages {
            verdict = Verdict::Gap;
        }
        if verdict == Verdict::Resumed {
            let after = join.after.as_ref().map_or(0, |shown| shown.seq);
            self.read_back(after).await;
            match self.ring.replay(after, join.dialect, limits::RESUME_BYTES) {
                Some(frames) => {
                    position.seq = after;
                    replay = frames;
                }
                None => verdict = Verdict::Gap,
            }
        }
        let fresh = matches!(verdict, Verdict::Fresh | Verdict::Reset);
        let tail = (fresh && join.tail > 0).then(|| self.tail(join.tail, join.dialect));
        metrics::counter!("yitang_gateway_subscriptions_total", "verdict" => verdict.as_str_name()).increment(1);
        let watch = &join.verdict;
        let subscribed = Subscribed {
            verdict: verdict.into(),
            position: Some(position),
            head_seq: delivered,
            head_mseq: self.mseq,
            read_mseq: watch.read_mseq,
            tail,
            reason: reason.map(Refusal::of),
            kind: watch.kind,
            may_post: watch.may_post,
            post_refusal: watch.post_refusal.clone(),
            may_moderate: watch.may_moderate,
        };
        let message = ServerFrame { re: join.re, frame: Some(server_frame::Frame::Subscribed(subscribed)) };
        let mut frames = vec![Frame::encode(join.dialect.subprotocol(), &message)];
        frames.extend(self.sent_state.clone().map(|state| self.encode_state(state, join.dialect)));
        // The small ones in one write.
        let mut frames = vec![Frame::concat(&frames)];
        frames.extend(replay);
        let core = join.socket.core as usize;
        // Who is to page after all was counted when it came.
        if !join.again && !join.pages {
            self.sockets[core][join.dialect] += 1;
            let sockets = self.people.entry(join.person).or_default();
            *sockets += 1;
            if *sockets == 1 {
                self.rooms.reporter.add(self.id, join.person, std::mem::take(&mut join.path));
            }
            self.empty_since = None;
        }
        let top = self.top();
        self.send_to_core(core, RoomCommand::Join { join: Box::new(join), frames, top }).await;
    }

    fn tail(&self, count: u32, dialect: Dialect) -> Page {
        let events = self.ring.tail(count.min(limits::TAIL_EVENTS) as usize);
        let mut tail = Page {
            conversation: self.name.clone(),
            epoch: self.ring.log().epoch,
            complete_before: events.first().is_none_or(|event| event.seq == 1),
            complete_after: true,
            head_seq: self.inbox.delivered(),
            head_mseq: self.mseq,
            around: 0,
            events,
        };
        page::shrink_to_frame(&mut tail, Keep::Newest, dialect.subprotocol());
        tail
    }

    /// Reads the ring back to `after` where it does not go so far, once for all who come back from there.
    async fn read_back(&mut self, after: u64) {
        for _ in 0..PAGES_BACK {
            if after >= self.ring.base() || self.ring.bytes() > limits::RESUME_BYTES {
                return;
            }
            match self.rooms.read_page(self.id, Where::Before(self.ring.base() + 1), limits::PAGE_EVENTS).await {
                Ok(page) if page.epoch == self.ring.log().epoch => {
                    let age_ms = self.age_ms();
                    if !self.ring.prepend(page.events, age_ms) {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Asks the store for the head because a client shows more than was delivered here: another gateway was quicker, or the
    /// client is wrong.
    async fn ask_beyond(&mut self) {
        if self.asked_beyond.is_some_and(|asked| asked.elapsed() < BEYOND_EVERY) {
            return;
        }
        if let Some(head) = self.fetch_head().await {
            self.compare_head(&head).await;
        }
        self.asked_beyond = Some(Instant::now());
    }

    /// Counts out a socket that has left.
    pub(super) fn leave(&mut self, core: usize, person: u32, dialect: Dialect) {
        let count = &mut self.sockets[core][dialect];
        *count = count.saturating_sub(1);
        if let Some(sockets) = self.people.get_mut(&person) {
            *sockets -= 1;
            if *sockets == 0 {
                self.people.remove(&person);
                self.rooms.reporter.remove(self.id, person);
            }
        }
        if self.people.is_empty() {
            self.empty_since = Some(Instant::now());
        }
    }
}
