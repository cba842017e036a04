//! One room: admits events by seq, fills holes, keeps the ring, gathers in floods, and says what each socket is told.

use std::{
    collections::HashMap,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::{
    Subprotocol,
    internal::v1::{Announcement, Head, HeadsRequest, ReadRequest},
    limits,
    v1::{
        Event, Page, PageRequest, Refusal, RefusalCode, RoomState, ServerFrame, State, Subscribed, TypingState, Unsubscribed, Verdict,
        page_request::Where, server_frame,
    },
};
use sequence::{Inbox, Offer, Run};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Command, Fanout, Join, RoomHandle, RoomMessage, ToRoom,
    batch::{self, Log},
    messages::Top,
    ring::Ring,
    state::Here,
    verdict::{Standing, judge},
};
use crate::socket::Frame;

/// A client shows a position beyond what is delivered here: the store is asked at most this often.
const BEYOND_EVERY: Duration = Duration::from_millis(200);
/// Somebody is writing until this long after the last word of it.
const TYPING: Duration = Duration::from_secs(5);
/// Kind of state, within a room.
const ROOM_STATE: u8 = 0;
const TYPING_STATE: u8 = 1;

struct Room {
    fanout: Fanout,
    id: Uuid,
    name: String,
    handle: RoomHandle,
    inbox: Inbox<Event>,
    ring: Ring,
    mseq: u64,
    /// The newest event that anybody told of.
    known: u64,
    spoke: u32,
    comments: u64,
    /// Admitted, and not sent yet.
    out: Vec<Event>,
    sent: Instant,
    /// Since when an event is missing.
    hole_since: Option<Instant>,
    /// Sockets on each core, by subprotocol.
    sockets: Vec<[u32; 2]>,
    /// Sockets of each person.
    people: HashMap<u32, u32>,
    here: Here,
    told: Option<RoomState>,
    state_at: Instant,
    typing: HashMap<u32, Instant>,
    typing_told: bool,
    asked_beyond: Option<Instant>,
    started: Instant,
    empty_since: Option<Instant>,
}

/// Runs a room until nobody has been in it for a while.
pub async fn run(fanout: Fanout, id: Uuid, handle: RoomHandle, mut receiver: mpsc::Receiver<RoomMessage>) {
    let stop = fanout.inner.stop.clone();
    let Some(mut room) = stop.run_until_cancelled(Room::open(fanout, id, handle)).await else { return };
    loop {
        let wake = room.wakes_at();
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            message = receiver.recv() => {
                let Some(message) = message else { return };
                room.take(message).await;
                // What came meanwhile goes into the same frames.
                for _ in 0..256 {
                    match receiver.try_recv() {
                        Ok(message) => room.take(message).await,
                        Err(_) => break,
                    }
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {}
        }
        room.tick().await;
        if room.deserted() {
            // No more joins from here on; those that slipped in go to the room's successor.
            receiver.close();
            room.fanout.forget(id, &room.handle);
            while let Ok(message) = receiver.try_recv() {
                if let RoomMessage::Join(join) = message {
                    room.fanout.join(id, *join);
                }
            }
            return;
        }
    }
}

impl Room {
    /// Subscription confirmed, then head and page, then what came meanwhile: so that nothing falls between.
    async fn open(fanout: Fanout, id: Uuid, handle: RoomHandle) -> Self {
        let mut confirmed = fanout.inner.confirmed.subscribe();
        let partition = handle.partition;
        // Without the backbone, heads are compared: late, but nothing is lost.
        let _ = timeout(Duration::from_millis(500), confirmed.wait_for(|set| set.contains(partition))).await;
        let mut wait = Duration::from_millis(50);
        let page = loop {
            match read(&fanout, id, Where::Before(0), limits::PAGE_EVENTS).await {
                Ok(page) => break page,
                Err(refusal) => {
                    tracing::debug!(code = refusal.code().as_str_name(), "a room waits for chat-core");
                    sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
            }
        };
        let options = &fanout.inner.options;
        let now = Instant::now();
        let cores = fanout.inner.cores.len();
        let mut room = Self {
            inbox: Inbox::new(0, options.waiting_bytes),
            ring: Ring::new(Log { conversation: id.to_string(), epoch: page.epoch }, 0, options.ring_bytes, 0),
            id,
            name: id.to_string(),
            handle,
            mseq: 0,
            known: 0,
            spoke: 0,
            comments: 0,
            out: Vec::new(),
            sent: now.checked_sub(Duration::from_secs(60)).unwrap_or(now),
            hole_since: None,
            sockets: vec![[0; 2]; cores],
            people: HashMap::new(),
            here: Here::default(),
            told: None,
            state_at: now,
            typing: HashMap::new(),
            typing_told: false,
            asked_beyond: None,
            started: now,
            empty_since: Some(now),
            fanout,
        };
        room.begin(&page);
        room
    }

    /// Starts from a page that ends at the head.
    fn begin(&mut self, page: &Page) {
        let options = &self.fanout.inner.options;
        let base = page.events.first().map_or(page.head_seq, |event| event.seq - 1);
        let delivered = page.events.last().map_or(page.head_seq, |event| event.seq);
        let log = Log { conversation: self.name.clone(), epoch: page.epoch };
        self.ring = Ring::new(log, base, options.ring_bytes, u64::from(options.ring_s) * 1_000);
        self.ring.push(&page.events, self.age_ms());
        self.inbox = Inbox::new(delivered, options.waiting_bytes);
        self.mseq = page.head_mseq;
        self.known = delivered;
        self.out.clear();
        self.hole_since = None;
    }

    fn age_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn top(&self) -> Top {
        Top { epoch: self.ring.log().epoch, seq: self.inbox.delivered(), mseq: self.mseq }
    }

    async fn take(&mut self, message: RoomMessage) {
        match message {
            RoomMessage::Announce(announcement) => self.announced(*announcement).await,
            RoomMessage::Head(head) => self.compare(&head).await,
            RoomMessage::Look => self.catch_up().await,
            RoomMessage::Join(join) => self.join(*join).await,
            RoomMessage::Leave { socket, person, subprotocol } => self.left(socket.core as usize, person, subprotocol),
            RoomMessage::Counts { instance, counts } => self.here.take(instance, counts.map(|counts| *counts)),
            RoomMessage::Typing { person } => {
                self.typing.insert(person, Instant::now());
                self.typing_told = false;
            }
        }
    }

    async fn announced(&mut self, announcement: Announcement) {
        let Some(head) = announcement.head else { return };
        if head.epoch != self.ring.log().epoch {
            return self.made_anew().await;
        }
        self.know(&head);
        let Some(first) = announcement.events.first().map(|event| event.seq) else {
            // Only the head was told: its events are in the store.
            if head.seq > self.inbox.delivered() {
                self.catch_up().await;
            }
            return;
        };
        let bytes = announcement.events.iter().map(prost::Message::encoded_len).sum();
        self.offer(Run { first, items: announcement.events, bytes }).await;
    }

    async fn offer(&mut self, run: Run<Event>) {
        match self.inbox.offer(run) {
            Offer::Ready { items, .. } => {
                self.admit(items);
                if self.inbox.hole().is_none() {
                    self.hole_since = None;
                }
            }
            Offer::Seen => {}
            Offer::Hole { .. } => {
                self.hole_since.get_or_insert_with(Instant::now);
            }
            Offer::Overflow { .. } => self.catch_up().await,
        }
    }

    fn admit(&mut self, events: Vec<Event>) {
        if let Some(last) = events.last() {
            self.mseq = self.mseq.max(last.mseq);
        }
        self.ring.push(&events, self.age_ms());
        self.out.extend(events);
    }

    fn know(&mut self, head: &Head) {
        self.known = self.known.max(head.seq);
        if head.seq >= self.inbox.delivered() {
            (self.spoke, self.comments) = (head.people_spoke, head.comments);
        }
    }

    /// A head as another way tells it: the store is read where it is ahead.
    async fn compare(&mut self, head: &Head) {
        if head.epoch != self.ring.log().epoch {
            return self.made_anew().await;
        }
        self.know(head);
        if head.seq > self.inbox.delivered() {
            metrics::counter!("yitang_gateway_room_repairs_total").increment(1);
            self.catch_up().await;
        }
    }

    /// Reads everything after what was delivered.
    async fn catch_up(&mut self) {
        self.read_on().await;
        // A read that others had begun may have been a moment too early.
        let behind = self.inbox.delivered() < self.known || self.inbox.hole().is_some();
        self.hole_since = behind.then(Instant::now);
    }

    async fn read_on(&mut self) {
        loop {
            let after = self.inbox.delivered();
            match read(&self.fanout, self.id, Where::After(after), limits::PAGE_EVENTS).await {
                Ok(page) if page.epoch != self.ring.log().epoch => return self.made_anew().await,
                Ok(page) => {
                    let whole = page.complete_after || page.events.is_empty();
                    let bytes = page.events.iter().map(prost::Message::encoded_len).sum();
                    if let Some(first) = page.events.first().map(|event| event.seq)
                        && let Offer::Ready { items, .. } = self.inbox.offer(Run { first, items: page.events, bytes })
                    {
                        self.admit(items);
                    }
                    if whole {
                        return;
                    }
                    self.flush(true).await;
                }
                Err(refusal) if refusal.code() == RefusalCode::PositionBeyondHead => {
                    // A client may have asked for the same a moment before it was there: only the head itself decides.
                    if self.head().await.is_some_and(|head| head.epoch != self.ring.log().epoch || head.seq < after) {
                        tracing::error!(conversation = %self.id, delivered = after, "the log's head is below what was delivered");
                        metrics::counter!("yitang_gateway_heads_gone_back_total").increment(1);
                        self.made_anew().await;
                    }
                    return;
                }
                Err(refusal) => {
                    tracing::debug!(code = refusal.code().as_str_name(), "a room catches up later");
                    self.known = self.known.max(after + 1);
                    return;
                }
            }
        }
    }

    /// The log is another one now: all subscriptions end, and clients load again.
    async fn made_anew(&mut self) {
        let Ok(page) = read(&self.fanout, self.id, Where::Before(0), limits::PAGE_EVENTS).await else {
            self.handle.behind.store(true, Ordering::Release);
            return;
        };
        tracing::warn!(conversation = %self.id, epoch = page.epoch, "the log was made anew");
        self.begin(&page);
        let reason = Some(Refusal::of(RefusalCode::EpochChanged));
        let ended = server_frame::Frame::Unsubscribed(Unsubscribed { conversation: self.name.clone(), reason });
        let message = ServerFrame { re: 0, frame: Some(ended) };
        let (proto, json) = (Frame::of(Subprotocol::Proto, &message), Frame::of(Subprotocol::Json, &message));
        for core in 0..self.sockets.len() {
            self.tell(core, ToRoom::End { proto: proto.clone(), json: json.clone() }).await;
        }
    }

    async fn join(&mut self, join: Join) {
        if join.after.as_ref().is_some_and(|shown| shown.epoch == self.ring.log().epoch && shown.seq > self.inbox.delivered()) {
            self.look_beyond().await;
        }
        if let Some(head) = &join.verdict.head {
            self.know(head);
        }
        // What the newcomer is told ends exactly where the events after this begin.
        self.flush(true).await;
        let log = self.ring.log().clone();
        let delivered = self.inbox.delivered();
        let (mut verdict, reason) = judge(Standing { epoch: log.epoch, delivered }, join.after.as_ref());
        let mut position = proto::v1::Position { conversation: log.conversation.clone(), epoch: log.epoch, seq: delivered };
        let mut replay = Vec::new();
        let mut tail = None;
        if verdict == Verdict::Resumed {
            let after = join.after.as_ref().map_or(0, |shown| shown.seq);
            match self.ring.replay(after, join.subprotocol, limits::RESUME_BYTES) {
                Some(frames) => {
                    position.seq = after;
                    replay = frames;
                }
                None => verdict = Verdict::Gap,
            }
        }
        if matches!(verdict, Verdict::Fresh | Verdict::Reset) && join.tail > 0 {
            let events = self.ring.tail(join.tail.min(limits::TAIL_EVENTS) as usize);
            tail = Some(Page {
                conversation: log.conversation.clone(),
                epoch: log.epoch,
                complete_before: events.first().is_none_or(|event| event.seq == 1),
                complete_after: true,
                head_seq: delivered,
                head_mseq: self.mseq,
                events,
            });
        }
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
        let mut frames =
            vec![Frame::of(join.subprotocol, &ServerFrame { re: join.re, frame: Some(server_frame::Frame::Subscribed(subscribed)) })];
        frames.extend(replay);
        let told = self.told.clone().map(|state| self.state_frame(state, join.subprotocol));
        frames.extend(told);
        let core = join.socket.core as usize;
        if !join.again {
            self.sockets[core][slot(join.subprotocol)] += 1;
            let sockets = self.people.entry(join.person).or_default();
            *sockets += 1;
            if *sockets == 1 {
                self.fanout.inner.reporter.joined(self.id, join.person, join.path);
            }
            self.empty_since = None;
        }
        let what =
            ToRoom::Join { socket: join.socket, person: join.person, frames, again: join.again, verdict: join.verdict, top: self.top() };
        self.tell(core, what).await;
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

    /// The head as the store has it now.
    async fn head(&self) -> Option<Head> {
        let ask = HeadsRequest { since_ms: 0, partitions: Vec::new(), conversations: vec![self.name.clone()] };
        let answer = self.fanout.inner.chat_cores.heads(ask).await.ok()?;
        answer.heads.into_iter().find(|head| head.conversation == self.name)
    }

    fn left(&mut self, core: usize, person: u32, subprotocol: Subprotocol) {
        let count = &mut self.sockets[core][slot(subprotocol)];
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

    fn deserted(&self) -> bool {
        let grace = Duration::from_secs(self.fanout.inner.options.room_grace_s);
        self.empty_since.is_some_and(|since| since.elapsed() >= grace)
    }

    /// When there is something to do without being told.
    fn wakes_at(&self) -> Instant {
        let options = &self.fanout.inner.options;
        let window = Duration::from_millis(options.window_ms.into());
        let idle = if self.people.is_empty() { Duration::from_secs(1) } else { Duration::from_millis(options.state_ms.clamp(10, 1_000)) };
        let mut wake = Instant::now() + idle;
        if !self.out.is_empty() {
            wake = wake.min(self.sent + window);
        }
        if let Some(since) = self.hole_since {
            wake = wake.min(since + Duration::from_millis(options.hole_ms));
        }
        wake
    }

    async fn tick(&mut self) {
        if self.handle.behind.swap(false, Ordering::AcqRel) {
            self.catch_up().await;
        }
        let hole = Duration::from_millis(self.fanout.inner.options.hole_ms);
        if self.hole_since.is_some_and(|since| since.elapsed() >= hole) {
            metrics::counter!("yitang_gateway_room_holes_total").increment(1);
            self.catch_up().await;
        }
        self.flush(false).await;
        self.tell_state().await;
    }

    /// Sends what was admitted: at once in a quiet room, once a window in a flood.
    async fn flush(&mut self, now: bool) {
        let options = &self.fanout.inner.options;
        let window = Duration::from_millis(options.window_ms.into());
        let since = self.sent.elapsed();
        if self.out.is_empty() || !now && since < window {
            return;
        }
        // A right that was lost would not be known here: what cannot be judged is not shown.
        if !self.fanout.inner.chat_cores.control().alive(Duration::from_secs(options.trust_silence_s)) {
            return;
        }
        let window_ms = if since < window * 2 { options.window_ms } else { 0 };
        let events = std::mem::take(&mut self.out);
        metrics::counter!("yitang_gateway_events_total").increment(events.len() as u64);
        let log = self.ring.log().clone();
        let made = |subprotocol| -> Vec<Frame> {
            let wanted = self.sockets.iter().any(|sockets| sockets[slot(subprotocol)] > 0);
            if wanted { batch::frames(&log, &events, window_ms, subprotocol) } else { Vec::new() }
        };
        let (proto, json) = (made(Subprotocol::Proto), made(Subprotocol::Json));
        let top = self.top();
        for core in 0..self.sockets.len() {
            if self.sockets[core] != [0, 0] {
                self.tell(core, ToRoom::Events { proto: proto.clone(), json: json.clone(), top }).await;
            }
        }
        self.sent = Instant::now();
    }

    async fn tell_state(&mut self) {
        let every = Duration::from_millis(self.fanout.inner.options.state_ms);
        if self.people.is_empty() || self.state_at.elapsed() < every {
            return;
        }
        self.state_at = Instant::now();
        let state = self.here.state(self.people.len(), self.spoke, self.comments);
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            self.tell_all_state(ROOM_STATE, proto::v1::state::State::Room(state)).await;
        }
        let before = self.typing.len();
        self.typing.retain(|_, at| at.elapsed() < TYPING);
        if !self.typing_told || before != self.typing.len() {
            self.typing_told = true;
            if before > 0 {
                let mut people: Vec<u32> = self.typing.keys().copied().collect();
                people.sort_unstable();
                self.tell_all_state(TYPING_STATE, proto::v1::state::State::Typing(TypingState { people })).await;
            }
        }
    }

    fn state_frame(&self, state: RoomState, subprotocol: Subprotocol) -> Frame {
        let state = State { conversation: self.name.clone(), state: Some(proto::v1::state::State::Room(state)) };
        Frame::of(subprotocol, &ServerFrame { re: 0, frame: Some(server_frame::Frame::State(state)) })
    }

    async fn tell_all_state(&self, kind: u8, state: proto::v1::state::State) {
        let state = State { conversation: self.name.clone(), state: Some(state) };
        let message = ServerFrame { re: 0, frame: Some(server_frame::Frame::State(state)) };
        let made = |subprotocol| {
            let wanted = self.sockets.iter().any(|sockets| sockets[slot(subprotocol)] > 0);
            wanted.then(|| Frame::of(subprotocol, &message))
        };
        let (proto, json) = (made(Subprotocol::Proto), made(Subprotocol::Json));
        for core in 0..self.sockets.len() {
            if self.sockets[core] != [0, 0] {
                let key = (self.id.as_u128(), kind);
                self.tell(core, ToRoom::State { key, proto: proto.clone(), json: json.clone() }).await;
            }
        }
    }

    async fn tell(&self, core: usize, what: ToRoom) {
        let _ = self.fanout.inner.cores[core].send(Command::Room { room: self.id, what }).await;
    }
}

fn slot(subprotocol: Subprotocol) -> usize {
    match subprotocol {
        Subprotocol::Proto => 0,
        Subprotocol::Json => 1,
    }
}

async fn read(fanout: &Fanout, id: Uuid, place: Where, limit: u32) -> Result<Page, Refusal> {
    let conversation = id.to_string();
    let page = PageRequest { conversation: conversation.clone(), epoch: 0, r#where: Some(place), limit };
    let read = fanout.inner.chat_cores.read(ReadRequest { conversation, page: Some(page), person: 0 }).await?;
    Ok(Page::clone(&read))
}
