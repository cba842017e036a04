//! A room as its task has it: what was delivered, who is in it, what waits to be sent.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    limits,
    v1::{Event, Page, RoomState, page_request::Where},
};
use sequence::Inbox;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    fanout::{
        batch::Log,
        counts::Counts,
        lag::Lag,
        messages::{CoreMessage, Join, RoomCommand, Top},
        ring::Ring,
        rooms::{RoomHandle, Rooms},
        window::Window,
    },
    socket::PerDialect,
};

/// One room, as its task has it.
pub(super) struct Room {
    pub(super) rooms: Arc<Rooms>,
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) handle: RoomHandle,
    pub(super) inbox: Inbox<Event>,
    pub(super) ring: Ring,
    pub(super) mseq: u64,
    /// The newest event that is known of, from whomever.
    pub(super) known: u64,
    pub(super) spoke: u32,
    pub(super) comments: u64,
    /// Admitted, and not sent yet.
    pub(super) out: Vec<Event>,
    pub(super) window: Window,
    /// How far each core is with what was sent.
    pub(super) lags: Vec<Lag>,
    /// Sockets that join as soon as nothing waits to be sent: their answer ends where the next events begin.
    pub(super) waiting: VecDeque<Join>,
    /// Since when an event is missing.
    pub(super) hole_since: Option<Instant>,
    /// How often it was looked for in vain.
    pub(super) hole_tries: u32,
    /// Sockets on each core, by dialect.
    pub(super) sockets: Vec<PerDialect<u32>>,
    /// Sockets of each person.
    pub(super) people: HashMap<u32, u32>,
    pub(super) counts: Counts,
    /// The state that was sent last.
    pub(super) sent_state: Option<RoomState>,
    /// When the last states were sent.
    pub(super) state_at: Instant,
    pub(super) typing: HashMap<u32, Instant>,
    /// Whether those who write now are who was sent last.
    pub(super) typing_sent: bool,
    /// When the store was last asked because a client showed a position beyond what is delivered here.
    pub(super) asked_beyond: Option<Instant>,
    pub(super) started: Instant,
    pub(super) empty_since: Option<Instant>,
}

impl Room {
    /// Subscription confirmed, then head and page, then what came meanwhile: so that nothing falls between.
    pub(super) async fn open(rooms: Arc<Rooms>, id: Uuid, handle: RoomHandle) -> Self {
        let mut confirmed = rooms.confirmed.subscribe();
        let partition = handle.partition;
        // Without the backbone, heads are compared: late, but nothing is lost.
        let _ = timeout(Duration::from_millis(500), confirmed.wait_for(|set| set.contains(partition))).await;
        let mut wait = Duration::from_millis(50);
        let page = loop {
            match rooms.read_page(id, Where::Before(0), limits::PAGE_EVENTS).await {
                Ok(page) => break page,
                Err(refusal) => {
                    tracing::debug!(code = refusal.code().as_str_name(), "a room waits for chat-core");
                    sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(1));
                }
            }
        };
        let options = rooms.options.clone();
        let now = Instant::now();
        let cores = rooms.cores.len();
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
            window: Window::new(options.window),
            lags: vec![Lag::default(); cores],
            waiting: VecDeque::new(),
            hole_since: None,
            hole_tries: 0,
            sockets: vec![PerDialect::default(); cores],
            people: HashMap::new(),
            counts: Counts::default(),
            sent_state: None,
            state_at: now,
            typing: HashMap::new(),
            typing_sent: true,
            asked_beyond: None,
            started: now,
            empty_since: Some(now),
            rooms,
        };
        room.begin(&page);
        room
    }

    /// Starts from a page that ends at the head.
    pub(super) fn begin(&mut self, page: &Page) {
        let options = &self.rooms.options;
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

    /// Milliseconds since the room was opened.
    pub(super) fn age_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Where the room stands.
    pub(super) fn top(&self) -> Top {
        Top { epoch: self.ring.log().epoch, seq: self.inbox.delivered(), mseq: self.mseq }
    }

    /// Sends a core something for this room's sockets there.
    pub(super) async fn send_to_core(&self, core: usize, command: RoomCommand) {
        let _ = self.rooms.cores[core].send(CoreMessage::Room { room: self.id, command }).await;
    }
}
