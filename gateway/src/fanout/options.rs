//! What bounds the rooms. The settings' own form of these is `HubOptions`, which says what each is for.

use super::window::Bounds;

/// What bounds and paces rooms.
#[derive(Clone, Debug)]
pub struct RoomOptions {
    /// The bounds of a room's window.
    pub window: Bounds,
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
    /// Messages that wait for one room.
    pub room_queue: usize,
    /// The longest silence of all chat-cores in which anything new is delivered, s.
    pub trust_silence_s: u64,
    /// The least time between two states of one room, ms.
    pub state_ms: u64,
    /// The most people of a conversation in which typing is shown.
    pub typing_people_most: u32,
}
