//! Settings of the sockets and the rooms.

use proto::v1::Retry;
use serde::{Deserialize, Serialize};

use crate::fanout::{RoomOptions, window::Bounds};

/// Sockets, sessions and fan-out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HubOptions {
    /// Threads that own sockets; 0: one for each CPU. A gateway apart that has one CPU is one thread altogether, unless this
    /// says more.
    pub cores: usize,
    /// Sockets of this gateway; more are closed as OVERLOADED.
    pub sockets_most: usize,
    /// Sockets that have not signed in yet; more are closed as OVERLOADED.
    pub unsigned_most: usize,
    /// Sockets of one person on one core of this gateway.
    pub person_sockets_most: usize,
    /// From the connection to the end of signing in, ms.
    pub sign_in_ms: u64,
    /// The longest that nothing is sent to a socket, ms.
    pub heartbeat_ms: u32,
    /// The longest that what was sent may go unacknowledged before the connection counts as dead, ms.
    pub dead_after_ms: u32,
    /// Waits for one socket at most, bytes; past it the socket is closed as SLOW. Half of it may be what a client missed
    /// (1 MiB of each conversation), so at least 2 MiB. What waits is shared by all sockets that wait for the same.
    pub outbox_bytes: usize,
    /// Waits in the kernel for one socket before it counts as full, bytes.
    pub unsent_bytes: u32,
    /// Frames a second of one socket, sustained.
    pub frames_per_s: u32,
    /// Frames of one socket at once above that.
    pub frames_burst: u32,
    /// Posts of one socket that wait for the one before.
    pub posts_waiting: usize,
    /// Requests of one socket under way at once, posts not counted.
    pub calls_at_once: usize,
    /// How long a flooding room gathers events, ms; 0: they always go at once, each as a frame of its own.
    pub window_ms: u32,
    /// The window widens up to this by itself as the cores or the sockets fall behind, ms.
    pub window_most_ms: u32,
    /// What one room may send to all its sockets here together, bytes a second; past that its window widens. 0: no bound.
    pub room_bytes_per_s: u64,
    /// Recent events of one room kept for those who come back, bytes.
    pub ring_bytes: usize,
    /// Recent events of one room kept, s.
    pub ring_s: u32,
    /// How long a missing event is waited for before it is read from the store, ms.
    pub hole_ms: u64,
    /// Events of one room that wait behind a missing one, bytes.
    pub waiting_bytes: usize,
    /// From one comparison of heads to the next while the backbone is away, ms.
    pub poll_ms: u64,
    /// From one comparison of heads to the next while the backbone is there, ms.
    pub repair_ms: u64,
    /// How long a room without sockets is kept, s.
    pub room_grace_s: u64,
    /// Messages that wait for one room; a room that falls behind reads from the store.
    pub room_queue: usize,
    /// Messages that wait for one core; rooms wait for it.
    pub core_queue: usize,
    /// The longest silence of all chat-cores in which anything new is delivered, s: a right that was lost would not be known here.
    pub trust_silence_s: u64,
    /// The least time between two states of one room (counts, who is writing), ms.
    pub state_ms: u64,
    /// How long changes of what is in people's lists are gathered before they are sent, ms. Urgent ones, such as a call, go at once.
    pub lists_ms: u64,
    /// The time over which clients spread that have to read their lists again, ms.
    pub lists_spread_ms: u32,
    /// The most people of a conversation in which typing is shown.
    pub typing_people_most: u32,
    /// Draining: the time over which the closing of the sockets is spread, ms.
    pub drain_ms: u64,
    /// How clients come back after the line breaks.
    pub retry_min_ms: u32,
    /// The random part of that.
    pub retry_jitter_ms: u32,
    /// And at most.
    pub retry_max_ms: u32,
    /// Changes of who is here that may wait for one presence instance; past it the full set is sent anew.
    pub presence_queue: usize,
    /// How many gateways presence should expect; 0: not known.
    pub gateways: u32,
}

impl Default for HubOptions {
    fn default() -> Self {
        Self {
            cores: 0,
            sockets_most: 60_000,
            unsigned_most: 2_048,
            person_sockets_most: 16,
            sign_in_ms: 5_000,
            heartbeat_ms: 15_000,
            dead_after_ms: 30_000,
            outbox_bytes: 4 * 1024 * 1024,
            unsent_bytes: 32 * 1024,
            frames_per_s: 50,
            frames_burst: 400,
            posts_waiting: 64,
            calls_at_once: 320,
            window_ms: 50,
            window_most_ms: 500,
            room_bytes_per_s: 1_000_000_000,
            ring_bytes: 16 * 1024 * 1024,
            ring_s: 60,
            hole_ms: 50,
            waiting_bytes: 4 * 1024 * 1024,
            poll_ms: 250,
            repair_ms: 3_000,
            room_grace_s: 30,
            room_queue: 4_096,
            core_queue: 1_024,
            trust_silence_s: 60,
            state_ms: 1_000,
            lists_ms: 2_000,
            lists_spread_ms: 20_000,
            typing_people_most: 50,
            drain_ms: 3_000,
            retry_min_ms: 200,
            retry_jitter_ms: 1_500,
            retry_max_ms: 30_000,
            presence_queue: 65_536,
            gateways: 0,
        }
    }
}

impl HubOptions {
    /// What of these concerns the rooms.
    #[must_use]
    pub fn to_room_options(&self) -> RoomOptions {
        RoomOptions {
            window: Bounds { least_ms: self.window_ms, most_ms: self.window_most_ms, bytes_per_s: self.room_bytes_per_s },
            ring_bytes: self.ring_bytes,
            ring_s: self.ring_s,
            hole_ms: self.hole_ms,
            waiting_bytes: self.waiting_bytes,
            poll_ms: self.poll_ms,
            repair_ms: self.repair_ms,
            room_grace_s: self.room_grace_s,
            room_queue: self.room_queue,
            trust_silence_s: self.trust_silence_s,
            state_ms: self.state_ms,
            typing_people_most: self.typing_people_most,
        }
    }

    /// How clients come back, in the contract's form.
    #[must_use]
    pub fn to_retry(&self) -> Retry {
        Retry { min_ms: self.retry_min_ms, jitter_ms: self.retry_jitter_ms, max_ms: self.retry_max_ms }
    }
}
