//! What a room says to all its sockets: events, and what changed besides.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use proto::v1::{Event, RoomState, ServerFrame, State, TypingState, server_frame, state};
use tokio::time::sleep;

use super::{Room, ToRoom};
use crate::{
    fanout::{batch, messages::Top, window::Load},
    socket::{Dialect, Frame, Spoken},
};

/// Somebody is writing until this long after the last word of it.
const TYPING: Duration = Duration::from_secs(5);
/// Kind of state, within a room.
const ROOM_STATE: u8 = 0;
const TYPING_STATE: u8 = 1;
/// A core that is behind is looked at again after so long.
const BEHIND_MS: u64 = 5;
/// More events than this at once are more than the cores keep up with, or a stretch that was missed: they go together even where
/// nothing is gathered.
const ONE_BY_ONE: usize = 8;
/// While no chat-core is heard, so often.
const SILENT_MS: u64 = 200;

impl Room {
    /// A right that was lost would not be known here: what cannot be judged is not shown.
    fn trusted(&self) -> bool {
        let options = &self.fanout.inner.options;
        self.fanout.inner.chat_cores.control().alive(Duration::from_secs(options.trust_silence_s))
    }

    fn core_is_behind(&self) -> bool {
        self.lags.iter().any(|lag| lag.ahead() > self.window.ahead())
    }

    /// How the cores got on with what they were last sent: the worst of them.
    fn load(&self) -> Load {
        self.lags
            .iter()
            .map(super::Lag::load)
            .fold(Load::default(), |worst, load| Load { pass_ms: worst.pass_ms.max(load.pass_ms), full: worst.full || load.full })
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
        let window_ms = self.window.send(now_ms, events.len(), self.load());
        metrics::counter!("yitang_gateway_events_total").increment(events.len() as u64);
        metrics::histogram!("yitang_gateway_window_ms").record(f64::from(window_ms));
        let states = self.states_due();
        let log = self.ring.log().clone();
        let frames = Spoken::of(|dialect| -> Vec<Frame> {
            if self.speaking(dialect) == 0 {
                return Vec::new();
            }
            let mut frames = batch::frames(&log, events, window_ms, dialect);
            // A state that is due goes in the same write.
            if !states.is_empty()
                && let Some(first) = frames.first_mut()
            {
                let mut together: Vec<Frame> = states.iter().map(|(_, state)| Frame::of(dialect.subprotocol(), state)).collect();
                together.push(first.clone());
                *first = Frame::joined(&together);
            }
            frames
        });
        let spent = Dialect::ALL.iter().map(|dialect| {
            let bytes: usize = frames[*dialect].iter().map(Frame::len).sum();
            bytes as u64 * u64::from(self.speaking(*dialect))
        });
        let spent = spent.sum();
        metrics::counter!("yitang_gateway_room_bytes_total").increment(spent);
        self.window.spent(spent);
        // What is told of the head never runs ahead of what was sent.
        let top = Top { seq: last.seq, mseq: last.mseq, ..self.top() };
        let frames = Arc::new(frames);
        for core in 0..self.sockets.len() {
            if self.anybody_on(core) {
                let ticket = self.lags[core].ticket();
                self.tell(core, ToRoom::Events { frames: frames.clone(), top, ticket }).await;
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

    /// Sockets that are spoken to like this.
    fn speaking(&self, dialect: Dialect) -> u32 {
        self.sockets.iter().map(|sockets| sockets[dialect]).sum()
    }

    fn anybody_on(&self, core: usize) -> bool {
        self.sockets[core] != Spoken::default()
    }

    /// Says what changed besides, where it did not go with events already. In a flood, and in a large room where somebody spoke
    /// a moment ago, it waits for the next events, for twice its time at most: in a write of its own to every socket it would
    /// cost as much as they do.
    pub(super) async fn tell_state(&mut self) {
        let options = &self.fanout.inner.options;
        let large = self.people.len() > options.typing_people_most as usize;
        let talk_ms = if large { options.state_ms } else { 0 };
        let waits = self.state_at.elapsed() < 2 * Duration::from_millis(options.state_ms);
        if !self.out.is_empty() || (waits && self.window.expects(self.age_ms(), talk_ms)) {
            return;
        }
        for (kind, message) in self.states_due() {
            let made = |dialect: Dialect| (self.speaking(dialect) > 0).then(|| Frame::of(dialect.subprotocol(), &message));
            let frames = Spoken::of(made);
            for core in 0..self.sockets.len() {
                if self.anybody_on(core) {
                    let key = (self.id.as_u128(), kind);
                    self.tell(core, ToRoom::State { key, frames: frames.clone() }).await;
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

    pub(super) fn state_frame(&self, state: RoomState, dialect: Dialect) -> Frame {
        Frame::of(dialect.subprotocol(), &self.message(state::State::Room(state)))
    }
}
