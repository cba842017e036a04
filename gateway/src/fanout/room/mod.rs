//! One room: admits events by seq, fills holes, keeps the ring, gathers in floods, and says what each socket is told.

mod entry;
mod log;
mod voice;

use std::{
    collections::{HashMap, VecDeque},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::{
    limits,
    v1::{Event, Page, RoomState, page_request::Where},
};
use sequence::Inbox;
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use uuid::Uuid;

use super::{
    Command, Fanout, Join, RoomHandle, RoomMessage, ToRoom, batch::Log, lag::Lag, messages::Top, ring::Ring, state::Here, window::Window,
};
use crate::socket::Spoken;

/// A room whose queue is full has room again after about so long.
const FULL: Duration = Duration::from_millis(20);
/// Messages taken before what they came to is told.
const AT_ONCE: usize = 256;

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
    window: Window,
    /// How far each core is with what was sent.
    lags: Vec<Lag>,
    /// Sockets that want in as soon as nothing waits to be sent: what they are told ends where the next events begin.
    waiting: VecDeque<Join>,
    /// Since when an event is missing.
    hole_since: Option<Instant>,
    /// How often it was looked for in vain.
    hole_tries: u32,
    /// Sockets on each core, by dialect.
    sockets: Vec<Spoken<u32>>,
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
                for _ in 0..AT_ONCE {
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
            while let Some(message) = receiver.recv().await {
                if let RoomMessage::Join(join) = message {
                    while !stop.is_cancelled() && !room.fanout.join(id, Join::clone(&join)) {
                        sleep(FULL).await;
                    }
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
            match log::read(&fanout, id, Where::Before(0), limits::PAGE_EVENTS).await {
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
            window: Window::new(options.window()),
            lags: vec![Lag::default(); cores],
            waiting: VecDeque::new(),
            hole_since: None,
            hole_tries: 0,
            sockets: vec![Spoken::default(); cores],
            people: HashMap::new(),
            here: Here::default(),
            told: None,
            state_at: now,
            typing: HashMap::new(),
            typing_told: true,
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
            RoomMessage::Leave { socket, person, dialect } => self.left(socket.core as usize, person, dialect),
            RoomMessage::Counts { instance, counts } => self.here.take(instance, counts.map(|counts| *counts)),
            RoomMessage::Typing { person } => {
                self.typing_told &= self.typing.insert(person, Instant::now()).is_some();
            }
        }
    }

    fn deserted(&self) -> bool {
        let grace = Duration::from_secs(self.fanout.inner.options.room_grace_s);
        self.waiting.is_empty() && self.empty_since.is_some_and(|since| since.elapsed() >= grace)
    }

    /// When there is something to do without being told.
    fn wakes_at(&self) -> Instant {
        let options = &self.fanout.inner.options;
        let idle = if self.people.is_empty() { 1_000 } else { options.state_ms.clamp(10, 1_000) };
        let mut wait_ms = idle;
        if !self.out.is_empty() {
            wait_ms = wait_ms.min(self.sends_in_ms());
        } else if !self.waiting.is_empty() {
            return Instant::now();
        }
        if let Some(since) = self.hole_since {
            wait_ms = wait_ms.min(self.hole_wait().saturating_sub(since.elapsed()).as_millis() as u64 + 1);
        }
        Instant::now() + Duration::from_millis(wait_ms)
    }

    async fn tick(&mut self) {
        if self.handle.behind.swap(false, Ordering::AcqRel) {
            self.catch_up().await;
        }
        if self.hole_since.is_some_and(|since| since.elapsed() >= self.hole_wait()) {
            metrics::counter!("yitang_gateway_room_holes_total").increment(1);
            self.catch_up().await;
        }
        self.flush().await;
        self.let_in_waiting().await;
        self.tell_state().await;
    }

    async fn tell(&self, core: usize, what: ToRoom) {
        let _ = self.fanout.inner.cores[core].send(Command::Room { room: self.id, what }).await;
    }
}
