//! One viewer of one conversation, who may also post: reconnects after every break, and records what it saw.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use proto::v1::{
    Batch, Comment, Event, Page, PageRequest, Position, Post, Subscribe, Subscribed, Verdict, batch, client_frame, page_request, post,
    server_frame, sign_in::Credential,
};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    Session, http,
    mark::{Mark, post_of, text_of},
    record::{Arrival, Order, PostRecord, Record, Shared},
    socket::{Incoming, Socket},
    wall_ms,
};
use crate::checker::{Outcome, Seen};

struct Pending {
    order: Order,
    /// Written into its text, so that the text is equal each time it is sent.
    mark: Mark,
    client_id: Uuid,
    /// Id of the frame that carries it, while that is unanswered.
    sent_as: Option<u32>,
    not_before: Instant,
}

/// A viewer's state between and during connections.
pub struct Viewer {
    shared: Arc<Shared>,
    number: usize,
    session: Session,
    resume_token: Option<String>,
    epoch: u32,
    /// Everything up to this seq was seen, in order.
    at: u64,
    fresh: bool,
    waiting: BTreeMap<u64, Event>,
    /// Id of the frame that asked for a page.
    page: Option<u32>,
    /// The last seq of the gap that the server announced.
    gap_to: u64,
    /// The head's seq in the last Tops.
    top: u64,
    outbox: VecDeque<Pending>,
    record: Record,
    pause: Duration,
}

/// A connection on which no frame comes for this time is closed and made anew.
const DEAD_AFTER: Duration = Duration::from_secs(32);

impl Viewer {
    /// A viewer that is not connected yet.
    #[must_use]
    pub fn new(shared: Arc<Shared>, number: usize, session: Session) -> Self {
        Self {
            shared,
            number,
            session,
            resume_token: None,
            epoch: 0,
            at: 0,
            fresh: true,
            waiting: BTreeMap::new(),
            page: None,
            gap_to: 0,
            top: 0,
            outbox: VecDeque::new(),
            record: Record::default(),
            pause: Duration::from_millis(200),
        }
    }

    /// Watches and posts until `finish` is cancelled; returns the record.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>, finish: tokio_util::sync::CancellationToken) -> Record {
        use std::sync::atomic::Ordering::Relaxed;
        let mut turn = self.number;
        while !finish.is_cancelled() {
            let target = self.shared.targets[turn % self.shared.targets.len()].clone();
            turn += 1;
            let opened = tokio::select! {
                opened = self.connect(&target) => opened,
                () = finish.cancelled() => break,
            };
            match opened {
                Ok(socket) => {
                    self.pause = Duration::from_millis(200);
                    self.run_connection(socket, &mut orders, &finish).await;
                    self.shared.counters.connected.fetch_sub(1, Relaxed);
                    for pending in &mut self.outbox {
                        pending.sent_as = None;
                    }
                    if finish.is_cancelled() {
                        break;
                    }
                    self.shared.counters.reconnects.fetch_add(1, Relaxed);
                }
                Err(error) => {
                    tracing::debug!(viewer = self.number, %error, "could not connect");
                    self.resume_token = None;
                    // Orders that come meanwhile wait in the outbox; the wait counts into their latency.
                    self.queue_orders(&mut orders);
                    self.expire();
                    self.pause = (self.pause * 2).min(Duration::from_secs(2));
                }
            }
            let jitter = rand::random_range(0.5..1.0);
            tokio::select! {
                () = tokio::time::sleep(self.pause.mul_f64(jitter)) => {}
                () = finish.cancelled() => break,
            }
        }
        self.record
    }

    async fn connect(&mut self, target: &str) -> anyhow::Result<Socket> {
        let credential = match self.resume_token.take() {
            Some(token) => Credential::ResumeToken(token),
            None => Credential::Ticket(http::ticket(target, &self.session.token).await?),
        };
        let resume = if self.fresh { vec![] } else { vec![self.position()] };
        let (mut socket, welcome) = Socket::open(target, credential, resume).await?;
        self.resume_token = Some(welcome.resume_token);
        self.page = None;
        self.gap_to = 0;
        self.top = 0;
        self.waiting.clear();
        if self.fresh {
            let subscribe = Subscribe { conversation: self.shared.conversation.clone(), after: None, tail: 0 };
            socket.send(client_frame::Frame::Subscribe(subscribe)).await?;
        }
        self.shared.counters.connected.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(socket)
    }

    fn position(&self) -> Position {
        Position { conversation: self.shared.conversation.clone(), epoch: self.epoch, seq: self.at }
    }

    async fn run_connection(
        &mut self,
        mut socket: Socket,
        orders: &mut mpsc::Receiver<Order>,
        finish: &tokio_util::sync::CancellationToken,
    ) {
        let mut last_frame = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut open = true;
        loop {
            tokio::select! {
                biased;
                () = finish.cancelled() => return,
                incoming = socket.next() => match incoming {
                    Incoming::Frame(frame) => {
                        last_frame = Instant::now();
                        if let Some(content) = frame.frame && !self.handle_frame(frame.re, content) {
                            return;
                        }
                    }
                    Incoming::Closed(code) => {
                        if let Some(code) = code {
                            *self.record.closes.entry(code).or_default() += 1;
                        }
                        return;
                    }
                },
                order = orders.recv(), if open => match order {
                    Some(order) => self.queue(order),
                    None => open = false,
                },
                _ = tick.tick() => {
                    if last_frame.elapsed() > DEAD_AFTER {
                        return;
                    }
                    self.expire();
                }
            }
            if self.flush(&mut socket).await.is_err() {
                return;
            }
        }
    }

    fn queue_orders(&mut self, orders: &mut mpsc::Receiver<Order>) {
        while let Ok(order) = orders.try_recv() {
            self.queue(order);
        }
    }

    fn queue(&mut self, order: Order) {
        let not_before = order.due;
        self.outbox.push_back(Pending {
            mark: Mark { index: order.index, due_us: wall_ms(order.due) * 1_000 },
            order,
            client_id: Uuid::now_v7(),
            sent_as: None,
            not_before,
        });
    }

    /// Gives up posts that are not acknowledged within the deadline.
    fn expire(&mut self) {
        let deadline = self.shared.post_deadline;
        while let Some(pending) = self.outbox.front()
            && pending.order.due.elapsed() > deadline
        {
            let Some(pending) = self.outbox.pop_front() else { return };
            self.end(&pending, Outcome::Unacknowledged, None);
        }
    }

    /// Sends the next post that is due, one at a time so that the author's order stands, and asks for a page where one is missing.
    async fn flush(&mut self, socket: &mut Socket) -> anyhow::Result<()> {
        if let Some(pending) = self.outbox.front_mut()
            && pending.sent_as.is_none()
            && pending.not_before <= Instant::now()
        {
            let mark = pending.mark;
            // Comments are 90 to 389 bytes long.
            let text = text_of(&self.shared.run, mark, 90 + mark.index as usize * 37 % 300);
            let post = Post {
                conversation: self.shared.conversation.clone(),
                client_id: pending.client_id.to_string(),
                content: Some(post::Content::Comment(Comment { text, ..Comment::default() })),
            };
            pending.sent_as = Some(socket.send(client_frame::Frame::Post(post)).await?);
        }
        let hole = self.gap_to > self.at || self.waiting.first_key_value().is_some_and(|(first, _)| *first > self.at + 1);
        if self.page.is_none() && hole {
            let request = PageRequest {
                conversation: self.shared.conversation.clone(),
                epoch: self.epoch,
                r#where: Some(page_request::Where::After(self.at)),
                limit: 200,
            };
            self.page = Some(socket.send(client_frame::Frame::Page(request)).await?);
        }
        Ok(())
    }

    /// Handles a frame. `false`: the connection must be made anew.
    fn handle_frame(&mut self, re: u32, frame: server_frame::Frame) -> bool {
        use server_frame::Frame as F;
        match frame {
            F::Subscribed(subscribed) => self.handle_subscribed(&subscribed),
            F::Batch(batch) => self.handle_batch(batch),
            F::Page(page) => self.handle_page(re, page),
            F::Receipt(receipt) => {
                if let Some(pending) = self.remove_pending(re) {
                    let seq = receipt.position.map_or(0, |position| position.seq);
                    self.end(&pending, Outcome::Acknowledged { seq }, None);
                }
            }
            F::Refusal(refusal) => {
                if self.page == Some(re) {
                    self.page = None;
                    return true;
                }
                if let Some(mut pending) = self.remove_pending(re) {
                    if refusal.retry_after_ms > 0 {
                        pending.sent_as = None;
                        pending.not_before = Instant::now() + Duration::from_millis(refusal.retry_after_ms.into());
                        self.outbox.push_front(pending);
                    } else {
                        self.end(&pending, Outcome::Unacknowledged, Some(refusal.code));
                    }
                } else if refusal.retry_after_ms == 0 {
                    tracing::warn!(viewer = self.number, refusal.message_en, "refused");
                } else {
                    return false;
                }
            }
            F::Unsubscribed(ended) => {
                tracing::debug!(viewer = self.number, reason = ?ended.reason, "the subscription was ended");
                return false;
            }
            F::Tops(tops) => {
                let top = tops.tops.iter().filter_map(|top| top.position.as_ref()).find(|p| p.conversation == self.shared.conversation);
                if let Some(top) = top
                    && top.epoch == self.epoch
                {
                    // Tops may overtake events, so only what the Tops before named and is still not here is missing.
                    if self.top > self.at {
                        self.record.healed += 1;
                        self.gap_to = self.gap_to.max(self.top);
                    }
                    self.top = top.seq;
                }
            }
            F::Welcome(welcome) => self.resume_token = Some(welcome.resume_token),
            _ => {}
        }
        true
    }

    fn handle_subscribed(&mut self, subscribed: &Subscribed) {
        let Some(position) = &subscribed.position else { return };
        match subscribed.verdict() {
            Verdict::Fresh => {
                self.fresh = false;
                self.epoch = position.epoch;
                self.at = position.seq;
                self.record.history.from = position.seq;
                self.shared.progress.notify_waiters();
            }
            Verdict::Resumed => {}
            Verdict::Gap => self.gap_to = position.seq,
            Verdict::Reset => {
                self.record.resets += 1;
                self.epoch = position.epoch;
                self.gap_to = position.seq;
            }
            Verdict::Unspecified => tracing::error!("a verdict that says nothing"),
        }
    }

    fn handle_batch(&mut self, batch: Batch) {
        let Some(batch::Body::Events(events)) = batch.body else { return };
        for event in events.events {
            // A hole is expected after GAP, and while a page is under way.
            let expected = self.waiting.last_key_value().map_or(self.at, |(last, _)| *last).max(self.gap_to) + 1;
            if event.seq > expected {
                tracing::error!(viewer = self.number, event.seq, expected, "a hole that was not announced");
                self.record.holes += 1;
            }
            self.handle_event(event, false);
        }
        self.apply_waiting(false);
    }

    fn handle_page(&mut self, re: u32, page: Page) {
        if self.page != Some(re) {
            return;
        }
        self.page = None;
        // What lies beyond the hole comes live, too: it is not taken from here, or it would come twice.
        let to = self.waiting.first_key_value().map_or(0, |(first, _)| first - 1).max(self.gap_to);
        for event in page.events {
            if event.seq <= to && event.seq > self.at && !self.waiting.contains_key(&event.seq) {
                self.record_arrival(&event);
                self.waiting.insert(event.seq, event);
            }
        }
        self.apply_waiting(true);
        if self.at >= self.gap_to {
            self.gap_to = 0;
        }
    }

    fn handle_event(&mut self, event: Event, asked_for: bool) {
        if event.seq <= self.at || self.waiting.contains_key(&event.seq) {
            self.record.history.seen.push(Seen {
                seq: event.seq,
                post: post_of(&event, &self.shared.run).map(|mark| mark.index),
                asked_for,
            });
            return;
        }
        self.record_arrival(&event);
        self.waiting.insert(event.seq, event);
    }

    fn record_arrival(&mut self, event: &Event) {
        if let Some(Mark { index, .. }) = post_of(event, &self.shared.run) {
            self.record.arrivals.push(Arrival { index, at: Instant::now() });
            self.shared.counters.delivered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn apply_waiting(&mut self, asked_for: bool) {
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() == self.at + 1
        {
            let event = entry.remove();
            self.at = event.seq;
            self.record.history.seen.push(Seen {
                seq: event.seq,
                post: post_of(&event, &self.shared.run).map(|mark| mark.index),
                asked_for,
            });
        }
        self.shared.progress.notify_waiters();
    }

    fn remove_pending(&mut self, re: u32) -> Option<Pending> {
        let at = self.outbox.iter().position(|pending| pending.sent_as == Some(re))?;
        self.outbox.remove(at)
    }

    fn end(&mut self, pending: &Pending, outcome: Outcome, refusal: Option<i32>) {
        use std::sync::atomic::Ordering::Relaxed;
        let ended = PostRecord { index: pending.order.index, outcome, due: pending.order.due, at: Instant::now(), refusal };
        self.record.ended.push(ended);
        if matches!(outcome, Outcome::Acknowledged { .. }) {
            self.shared.counters.acknowledged.fetch_add(1, Relaxed);
        }
        self.shared.counters.ended.fetch_add(1, Relaxed);
        self.shared.progress.notify_waiters();
    }
}
