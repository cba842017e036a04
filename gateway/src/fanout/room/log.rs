//! How events get into a room: announced, or read where something is missing.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::{
    internal::v1::{Announcement, Head, HeadsRequest},
    limits,
    v1::{Event, Position, RefusalCode, page_request::Where},
};
use sequence::{Offer, Run};

use super::state::Room;
use crate::fanout::messages::RoomCommand;

/// Events of a long catching up that wait to be sent before more is read.
const GATHERED: usize = 1_000;
/// The longest that a missing event is waited for before it is looked for again, ms.
const HOLE_MOST_MS: u64 = 1_000;

impl Room {
    /// Handles what the backbone says was committed.
    pub(super) async fn handle_announcement(&mut self, announcement: Announcement) {
        let Some(head) = announcement.head else { return };
        if head.epoch != self.ring.log().epoch {
            return self.handle_new_log().await;
        }
        self.update_head(&head);
        let Some(first) = announcement.events.first().map(|event| event.seq) else {
            // Only the head was announced: its events are in the store.
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

    /// Keeps what a head says of the log.
    pub(super) fn update_head(&mut self, head: &Head) {
        if head.epoch != self.ring.log().epoch {
            return;
        }
        self.known = self.known.max(head.seq);
        if head.seq >= self.inbox.delivered() {
            (self.spoke, self.comments) = (head.people_spoke, head.comments);
        }
    }

    /// Reads from the store where `head`, which did not come by an announcement, is ahead of what was delivered.
    pub(super) async fn compare_head(&mut self, head: &Head) {
        if head.epoch != self.ring.log().epoch {
            return self.handle_new_log().await;
        }
        self.update_head(head);
        if head.seq > self.inbox.delivered() {
            metrics::counter!("yitang_gateway_room_repairs_total").increment(1);
            self.catch_up().await;
        }
    }

    /// Reads everything after what was delivered.
    pub(super) async fn catch_up(&mut self) {
        let before = self.inbox.delivered();
        let answered = self.read_on().await;
        // A read that others had begun may have been a moment too early.
        let behind = !answered || self.inbox.delivered() < self.known || self.inbox.hole().is_some();
        self.hole_since = behind.then(Instant::now);
        // What is not there yet is looked for less and less often.
        self.hole_tries = if behind && self.inbox.delivered() == before { self.hole_tries + 1 } else { 0 };
    }

    /// How long a missing event is waited for now.
    pub(super) fn hole_wait(&self) -> Duration {
        let hole_ms = self.rooms.options.hole_ms;
        Duration::from_millis(hole_ms.saturating_mul(1 << self.hole_tries.min(10)).min(hole_ms.max(HOLE_MOST_MS)))
    }

    /// Reads until there is no more. `false`: the store did not answer.
    async fn read_on(&mut self) -> bool {
        loop {
            let after = self.inbox.delivered();
            match self.rooms.read_page(self.id, Where::After(after), limits::PAGE_EVENTS).await {
                Ok(page) if page.epoch != self.ring.log().epoch => {
                    self.handle_new_log().await;
                    return true;
                }
                Ok(page) => {
                    let whole = page.complete_after || page.events.is_empty();
                    let bytes = page.events.iter().map(prost::Message::encoded_len).sum();
                    if let Some(first) = page.events.first().map(|event| event.seq)
                        && let Offer::Ready { items, .. } = self.inbox.offer(Run { first, items: page.events, bytes })
                    {
                        self.admit(items);
                    }
                    if whole {
                        return true;
                    }
                    if self.out.len() >= GATHERED {
                        self.flush_patiently().await;
                    }
                }
                Err(refusal) if refusal.code() == RefusalCode::PositionBeyondHead => {
                    // A client may have asked for the same a moment before it was there: only the head itself decides.
                    if self.fetch_head().await.is_some_and(|head| head.epoch != self.ring.log().epoch || head.seq < after) {
                        tracing::error!(conversation = %self.id, delivered = after, "the log's head is below what was delivered");
                        metrics::counter!("yitang_gateway_heads_gone_back_total").increment(1);
                        self.handle_new_log().await;
                    }
                    return true;
                }
                Err(refusal) => {
                    tracing::debug!(code = refusal.code().as_str_name(), "a room catches up later");
                    return false;
                }
            }
        }
    }

    /// The log is another one now: every socket joins again, gets RESET, and loads again.
    async fn handle_new_log(&mut self) {
        let Ok(page) = self.rooms.read_page(self.id, Where::Before(0), limits::PAGE_EVENTS).await else {
            self.handle.behind.store(true, Ordering::Release);
            return;
        };
        let position = Position { conversation: self.name.clone(), epoch: self.ring.log().epoch, seq: self.inbox.delivered() };
        if page.epoch == position.epoch && page.head_seq >= position.seq {
            // An old announcement, or a read that came too early: nothing is new.
            return;
        }
        tracing::warn!(conversation = %self.id, epoch = page.epoch, "the log was made anew");
        self.begin(&page);
        for core in 0..self.sockets.len() {
            self.send_to_core(core, RoomCommand::NewLog { position: position.clone() }).await;
        }
    }

    /// The head as the store has it now.
    pub(super) async fn fetch_head(&self) -> Option<Head> {
        let ask = HeadsRequest { since_ms: 0, partitions: Vec::new(), conversations: vec![self.name.clone()] };
        let answer = self.rooms.chat_cores.heads(ask).await.ok()?;
        answer.heads.into_iter().find(|head| head.conversation == self.name)
    }
}
