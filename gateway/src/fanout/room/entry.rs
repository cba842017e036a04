//! How sockets come into a room, and leave it.

use std::time::{Duration, Instant};

use proto::{
    limits,
    v1::{Page, Position, Refusal, ServerFrame, Subscribed, Verdict, page_request::Where, server_frame},
};

use super::{AT_ONCE, Join, Room, ToRoom, log};
use crate::{
    fanout::{
        page::{self, Keep},
        verdict::{Standing, judge},
    },
    socket::{Dialect, Frame},
};

/// A client shows a position beyond what is delivered here: the store is asked at most this often.
const BEYOND_EVERY: Duration = Duration::from_millis(200);
/// Pages read back into the ring for one who comes back, until it is not worth it.
const PAGES_BACK: usize = 32;

impl Room {
    pub(super) async fn join(&mut self, join: Join) {
        if join.after.as_ref().is_some_and(|shown| shown.epoch == self.ring.log().epoch && shown.seq > self.inbox.delivered()) {
            self.look_beyond().await;
        }
        if let Some(head) = &join.verdict.head {
            self.know(head);
        }
        if self.out.is_empty() && self.waiting.is_empty() {
            self.let_in(join).await;
        } else {
            self.waiting.push_back(join);
        }
    }

    /// Lets those in who waited for the events before them, some at a time: the events after them have their turn too.
    pub(super) async fn let_in_waiting(&mut self) {
        for _ in 0..AT_ONCE {
            if !self.out.is_empty() {
                return;
            }
            let Some(join) = self.waiting.pop_front() else { return };
            self.let_in(join).await;
        }
    }

    /// What the newcomer is told ends exactly where the events after it begin: everything admitted was sent.
    async fn let_in(&mut self, mut join: Join) {
        let log = self.ring.log().clone();
        let delivered = self.inbox.delivered();
        let (mut verdict, reason) = judge(Standing { epoch: log.epoch, delivered }, join.after.as_ref());
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
        let said = &join.verdict;
        let subscribed = Subscribed {
            verdict: verdict.into(),
            position: Some(position),
            head_seq: delivered,
            head_mseq: self.mseq,
            read_mseq: said.read_mseq,
            tail,
            reason: reason.map(Refusal::of),
            kind: said.kind,
            may_post: said.may_post,
            post_refusal: said.post_refusal.clone(),
            may_moderate: said.may_moderate,
        };
        let message = ServerFrame { re: join.re, frame: Some(server_frame::Frame::Subscribed(subscribed)) };
        let mut frames = vec![Frame::of(join.dialect.subprotocol(), &message)];
        frames.extend(self.told.clone().map(|state| self.state_frame(state, join.dialect)));
        // The small ones in one write.
        let mut frames = vec![Frame::joined(&frames)];
        frames.extend(replay);
        let core = join.socket.core as usize;
        // Who is to page after all was counted when it came.
        if !join.again && !join.pages {
            self.sockets[core][join.dialect] += 1;
            let sockets = self.people.entry(join.person).or_default();
            *sockets += 1;
            if *sockets == 1 {
                self.fanout.inner.reporter.joined(self.id, join.person, std::mem::take(&mut join.path));
            }
            self.empty_since = None;
        }
        let top = self.top();
        self.tell(core, ToRoom::Join { join: Box::new(join), frames, top }).await;
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
        page::fit(&mut tail, Keep::Newest, dialect.subprotocol());
        tail
    }

    /// Somebody comes back from further than the ring goes: it is read back once for all who come from there.
    async fn read_back(&mut self, after: u64) {
        for _ in 0..PAGES_BACK {
            if after >= self.ring.base() || self.ring.bytes() > limits::RESUME_BYTES {
                return;
            }
            match log::read(&self.fanout, self.id, Where::Before(self.ring.base() + 1), limits::PAGE_EVENTS).await {
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

    /// A client shows more than was delivered here: another gateway was quicker, or the client is wrong.
    async fn look_beyond(&mut self) {
        if self.asked_beyond.is_some_and(|asked| asked.elapsed() < BEYOND_EVERY) {
            return;
        }
        if let Some(head) = self.head().await {
            self.compare(&head).await;
        }
        self.asked_beyond = Some(Instant::now());
    }

    pub(super) fn left(&mut self, core: usize, person: u32, dialect: Dialect) {
        let count = &mut self.sockets[core][dialect];
        *count = count.saturating_sub(1);
        if let Some(sockets) = self.people.get_mut(&person) {
            *sockets -= 1;
            if *sockets == 0 {
                self.people.remove(&person);
                self.fanout.inner.reporter.left(self.id, person);
            }
        }
        if self.people.is_empty() {
            self.empty_since = Some(Instant::now());
        }
    }
}
