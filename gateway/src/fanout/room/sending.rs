//! What a room sends to all its sockets: events, and states.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::v1::{Event, RoomState, ServerFrame, State, TypingState, server_frame, state};
use tokio::time::sleep;

use super::state::Room;
use crate::{
    fanout::{
        batch,
        lag::Lag,
        messages::{RoomCommand, Top},
        window::Load,
    },
    socket::{Dialect, Frame, PerDialect},
};

/// How long a typing hint counts.
const TYPING: Duration = Duration::from_secs(5);
/// Kind of state, within a room.
const ROOM_STATE: u8 = 0;
const TYPING_STATE: u8 = 1;
/// How soon a core that is behind is looked at again, ms.
const BEHIND_MS: u64 = 5;
/// More events than this at once are more than the cores keep up with, or a stretch that was missed: they go together even where
/// nothing is gathered.
const ONE_BY_ONE: usize = 8;
/// How soon it is tried again while no chat-core is heard, ms.
const SILENT_MS: u64 = 200;

impl Room {
    /// Whether a chat-core was heard lately. Without one a right that was lost would not be known here: nothing is shown then.
    fn is_trusted(&self) -> bool {
        let options = &self.rooms.options;
        self.rooms.chat_cores.control().is_alive(Duration::from_secs(options.trust_silence_s))
    }

    fn core_is_behind(&self) -> bool {
        self.lags.iter().any(|lag| lag.ahead() > self.window.ahead())
    }

    /// How the cores got on with what they were last sent: the worst of them.
    fn load(&self) -> Load {
        self.lags
            .iter()
            .map(Lag::load)
            .fold(Load::default(), |worst, load| Load { pass_ms: worst.pass_ms.max(load.pass_ms), full: worst.full || load.full })
    }

    /// How long what waits has to wait still, as far as is known, ms.
    pub(super) fn sends_in_ms(&self) -> u64 {
        let now_ms = self.age_ms();
        match self.window.due_ms(now_ms) - now_ms {
            0 if self.core_is_behind() => BEHIND_MS,
            0 if !self.is_trusted() => SILENT_MS,
            wait_ms => wait_ms,
        }
    }

    /// Sends what was admitted: at once in a quiet room, once a window in a flood, and never more than the cores take.
    pub(super) async fn flush(&mut self) {
        let now_ms = self.age_ms();
        if self.out.is_empty() || self.window.due_ms(now_ms) > now_ms || self.core_is_behind() || !self.is_trusted() {
            return;
        }
        let events = std::mem::take(&mut self.out);
        // Where nothing is gathered, what was committed together still comes to the screens one by one.
        let at_once = if self.window.gathers() || events.len() > ONE_BY_ONE { events.len() } else { 1 };
        let mut rest = events.as_slice();
        while !rest.is_empty() && !self.core_is_behind() {
            let (now, later) = rest.split_at(at_once);
            self.send(now_ms, now).await;
            rest = later;
        }
        self.out = rest.to_vec();
    }

    /// Events as one frame, or as few as they fit in, to every socket.
    async fn send(&mut self, now_ms: u64, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let window_ms = self.window.record_send(now_ms, events.len(), self.load());
        metrics::counter!("yitang_gateway_events_total").increment(events.len() as u64);
        metrics::histogram!("yitang_gateway_window_ms").record(f64::from(window_ms));
        let states = self.take_due_states();
        let log = self.ring.log().clone();
        let frames = PerDialect::from_fn(|dialect| -> Vec<Frame> {
            if self.count_sockets(dialect) == 0 {
                return Vec::new();
            }
            let mut frames = batch::encode_frames(&log, events, window_ms, dialect);
            // A state that is due goes in the same write.
            if !states.is_empty()
                && let Some(first) = frames.first_mut()
            {
                let mut together: Vec<Frame> = states.iter().map(|(_, state)| Frame::encode(dialect.subprotocol(), state)).collect();
                together.push(first.clone());
                *first = Frame::concat(&together);
            }
            frames
        });
        let spent = Dialect::ALL.iter().map(|dialect| {
            let bytes: usize = frames[*dialect].iter().map(Frame::len).sum();
            bytes as u64 * u64::from(self.count_sockets(*dialect))
        });
        let spent = spent.sum();
        metrics::counter!("yitang_gateway_room_bytes_total").increment(spent);
        self.window.record_bytes(spent);
        // The top that sockets are sent never runs ahead of their events.
        let top = Top { seq: last.seq, mseq: last.mseq, ..self.top() };
        let frames = Arc::new(frames);
        for core in 0..self.sockets.len() {
            if self.has_sockets_on(core) {
                let in_flight = self.lags[core].add_in_flight();
                self.send_to_core(core, RoomCommand::Events { frames: frames.clone(), top, in_flight }).await;
            }
        }
    }

    /// The same, waiting until the cores take it; for a long catching up.
    pub(super) async fn flush_patiently(&mut self) {
        while !self.out.is_empty() && self.is_trusted() {
            self.flush().await;
            if !self.out.is_empty() {
                sleep(Duration::from_millis(self.sends_in_ms().max(1))).await;
            }
        }
    }

    /// How many sockets use this dialect.
    fn count_sockets(&self, dialect: Dialect) -> u32 {
        self.sockets.iter().map(|sockets| sockets[dialect]).sum()
    }

    fn has_sockets_on(&self, core: usize) -> bool {
        self.sockets[core] != PerDialect::default()
    }

    /// Sends states that changed, where they did not go with events already. In a flood, and in a large room where somebody spoke
    /// a moment ago, it waits for the next events, for twice its time at most: in a write of its own to every socket it would
    /// cost as much as they do.
    pub(super) async fn send_states(&mut self) {
        let options = &self.rooms.options;
        let large = self.people.len() > options.typing_people_most as usize;
        let talk_ms = if large { options.state_ms } else { 0 };
        let waits = self.state_at.elapsed() < 2 * Duration::from_millis(options.state_ms);
        if !self.out.is_empty() || (waits && self.window.expects(self.age_ms(), talk_ms)) {
            return;
        }
        for (kind, message) in self.take_due_states() {
            let made = |dialect: Dialect| (self.count_sockets(dialect) > 0).then(|| Frame::encode(dialect.subprotocol(), &message));
            let frames = PerDialect::from_fn(made);
            for core in 0..self.sockets.len() {
                if self.has_sockets_on(core) {
                    let key = (self.id.as_u128(), kind);
                    self.send_to_core(core, RoomCommand::State { key, frames: frames.clone() }).await;
                }
            }
        }
    }

    /// The states that changed, where the last were sent `state_ms` ago or longer. They count as sent.
    fn take_due_states(&mut self) -> Vec<(u8, ServerFrame)> {
        let every = Duration::from_millis(self.rooms.options.state_ms);
        if self.people.is_empty() || self.state_at.elapsed() < every {
            return Vec::new();
        }
        self.state_at = Instant::now();
        let mut due = Vec::new();
        let state = self.counts.to_room_state(self.people.len(), self.spoke, self.comments);
        if self.sent_state.as_ref() != Some(&state) {
            self.sent_state = Some(state.clone());
            due.push((ROOM_STATE, self.wrap_state(state::State::Room(state))));
        }
        let before = self.typing.len();
        self.typing.retain(|_, at| at.elapsed() < TYPING);
        if !self.typing_sent || before != self.typing.len() {
            self.typing_sent = true;
            let mut people: Vec<u32> = self.typing.keys().copied().collect();
            people.sort_unstable();
            due.push((TYPING_STATE, self.wrap_state(state::State::Typing(TypingState { people }))));
        }
        due
    }

    fn wrap_state(&self, state: state::State) -> ServerFrame {
        let state = State { conversation: self.name.clone(), state: Some(state) };
        ServerFrame { re: 0, frame: Some(server_frame::Frame::State(state)) }
    }

    pub(super) fn encode_state(&self, state: RoomState, dialect: Dialect) -> Frame {
        Frame::encode(dialect.subprotocol(), &self.wrap_state(state::State::Room(state)))
    }
}
