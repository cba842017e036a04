//! What a room says to all its sockets: events, and what changed besides.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::{
    Subprotocol,
    v1::{RoomState, ServerFrame, State, TypingState, server_frame, state},
};
use tokio::time::sleep;

use super::{Room, ToRoom, slot};
use crate::{fanout::batch, socket::Frame};

/// Somebody is writing until this long after the last word of it.
const TYPING: Duration = Duration::from_secs(5);
/// Kind of state, within a room.
const ROOM_STATE: u8 = 0;
const TYPING_STATE: u8 = 1;
/// Sends of one room that a core may not have written yet; more gather here instead, and the window widens by itself.
const AHEAD: usize = 2;
/// A core that is behind is looked at again after so long.
const BEHIND_MS: u64 = 5;
/// While no chat-core is heard, so often.
const SILENT_MS: u64 = 200;

impl Room {
    /// A right that was lost would not be known here: what cannot be judged is not shown.
    fn trusted(&self) -> bool {
        let options = &self.fanout.inner.options;
        self.fanout.inner.chat_cores.control().alive(Duration::from_secs(options.trust_silence_s))
    }

    fn core_is_behind(&self) -> bool {
        self.tickets.iter().any(|ticket| Arc::strong_count(ticket) > 1 + AHEAD)
    }

    /// How long what waits has to wait still, as far as is known.
    pub(super) fn sends_in_ms(&self) -> u64 {
        let now_ms = self.age_ms();
        match self.window.due_ms(now_ms) - now_ms {
            0 if self.core_is_behind() => BEHIND_MS,
            0 if !self.trusted() => SILENT_MS,
            wait_ms => wait_ms,
        }
    }

    /// Sends what was admitted: at once in a quiet room, once a window in a flood, and never more than the cores take.
    pub(super) async fn flush(&mut self) {
        let now_ms = self.age_ms();
        if self.out.is_empty() || self.window.due_ms(now_ms) > now_ms || self.core_is_behind() || !self.trusted() {
            return;
        }
        let events = std::mem::take(&mut self.out);
        let window_ms = self.window.send(now_ms, events.len());
        metrics::counter!("yitang_gateway_events_total").increment(events.len() as u64);
        metrics::histogram!("yitang_gateway_window_ms").record(f64::from(window_ms));
        let states = self.states_due();
        let log = self.ring.log().clone();
        let made = |subprotocol| -> Vec<Frame> {
            if !self.speaks(subprotocol) {
                return Vec::new();
            }
            let mut frames = batch::frames(&log, &events, window_ms, subprotocol);
            // A state that is due goes in the same write.
            if !states.is_empty()
                && let Some(first) = frames.first_mut()
            {
                let mut together: Vec<Frame> = states.iter().map(|(_, state)| Frame::of(subprotocol, state)).collect();
                together.push(first.clone());
                *first = Frame::joined(&together);
            }
            frames
        };
        let (proto, json) = (made(Subprotocol::Proto), made(Subprotocol::Json));
        let top = self.top();
        for core in 0..self.sockets.len() {
            if self.sockets[core] != [0, 0] {
                let ticket = self.tickets[core].clone();
                self.tell(core, ToRoom::Events { proto: proto.clone(), json: json.clone(), top, ticket }).await;
            }
        }
    }

    /// The same, waiting until the cores take it; for a long catching up.
    pub(super) async fn flush_patiently(&mut self) {
        while !self.out.is_empty() && self.trusted() {
            self.flush().await;
            if !self.out.is_empty() {
                sleep(Duration::from_millis(self.sends_in_ms().max(1))).await;
            }
        }
    }

    fn speaks(&self, subprotocol: Subprotocol) -> bool {
        self.sockets.iter().any(|sockets| sockets[slot(subprotocol)] > 0)
    }

    /// Says what changed besides, where it did not go with events already.
    pub(super) async fn tell_state(&mut self) {
        for (kind, message) in self.states_due() {
            let made = |subprotocol| self.speaks(subprotocol).then(|| Frame::of(subprotocol, &message));
            let (proto, json) = (made(Subprotocol::Proto), made(Subprotocol::Json));
            for core in 0..self.sockets.len() {
                if self.sockets[core] != [0, 0] {
                    let key = (self.id.as_u128(), kind);
                    self.tell(core, ToRoom::State { key, proto: proto.clone(), json: json.clone() }).await;
                }
            }
        }
    }

    /// States that changed, so often at most as is set. They count as told.
    fn states_due(&mut self) -> Vec<(u8, ServerFrame)> {
        let every = Duration::from_millis(self.fanout.inner.options.state_ms);
        if self.people.is_empty() || self.state_at.elapsed() < every {
            return Vec::new();
        }
        self.state_at = Instant::now();
        let mut due = Vec::new();
        let state = self.here.state(self.people.len(), self.spoke, self.comments);
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            due.push((ROOM_STATE, self.message(state::State::Room(state))));
        }
        let before = self.typing.len();
        self.typing.retain(|_, at| at.elapsed() < TYPING);
        if !self.typing_told || before != self.typing.len() {
            self.typing_told = true;
            let mut people: Vec<u32> = self.typing.keys().copied().collect();
            people.sort_unstable();
            due.push((TYPING_STATE, self.message(state::State::Typing(TypingState { people }))));
        }
        due
    }

    fn message(&self, state: state::State) -> ServerFrame {
        let state = State { conversation: self.name.clone(), state: Some(state) };
        ServerFrame { re: 0, frame: Some(server_frame::Frame::State(state)) }
    }

    pub(super) fn state_frame(&self, state: RoomState, subprotocol: Subprotocol) -> Frame {
        Frame::of(subprotocol, &self.message(state::State::Room(state)))
    }
}
