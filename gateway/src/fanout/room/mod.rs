//! One room: admits events by seq, fills holes, keeps the ring, gathers in floods, and makes what its sockets are sent.

mod joins;
mod log;
mod sending;
mod state;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use uuid::Uuid;

use self::state::Room;
use super::{
    messages::RoomMessage,
    rooms::{RoomHandle, Rooms},
};

/// Messages handled before what they came to is sent.
const AT_ONCE: usize = 256;

/// Runs a room until nobody has been in it for a while. Gives what came while it closed; `None`: the gateway stops.
pub(super) async fn run(
    rooms: Arc<Rooms>,
    id: Uuid,
    handle: RoomHandle,
    mut receiver: mpsc::Receiver<RoomMessage>,
) -> Option<mpsc::Receiver<RoomMessage>> {
    let stop = rooms.stop.clone();
    let mut room = stop.run_until_cancelled(Room::open(rooms, id, handle)).await?;
    loop {
        let wake = room.wakes_at();
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            message = receiver.recv() => {
                room.handle_message(message?).await;
                // What came meanwhile goes into the same frames.
                for _ in 0..AT_ONCE {
                    match receiver.try_recv() {
                        Ok(message) => room.handle_message(message).await,
                        Err(_) => break,
                    }
                }
            }
            () = tokio::time::sleep_until(wake.into()) => {}
        }
        room.tick().await;
        if room.is_deserted() {
            // No more joins from here on; those that slipped in go to the room's successor.
            receiver.close();
            room.rooms.forget(id, &room.handle);
            return Some(receiver);
        }
    }
}

impl Room {
    async fn handle_message(&mut self, message: RoomMessage) {
        match message {
            RoomMessage::Announce(announcement) => self.handle_announcement(*announcement).await,
            RoomMessage::Head(head) => self.compare_head(&head).await,
            RoomMessage::CatchUp => self.catch_up().await,
            RoomMessage::Join(join) => self.handle_join(*join).await,
            RoomMessage::Leave { socket, person, dialect } => self.leave(socket.core as usize, person, dialect),
            RoomMessage::Counts { instance, counts } => self.counts.set(instance, counts.map(|counts| *counts)),
            RoomMessage::Typing { person } => {
                self.typing_sent &= self.typing.insert(person, Instant::now()).is_some();
            }
        }
    }

    /// Whether it has been empty for the time that an empty room is kept.
    fn is_deserted(&self) -> bool {
        let grace = Duration::from_secs(self.rooms.options.room_grace_s);
        self.waiting.is_empty() && self.empty_since.is_some_and(|since| since.elapsed() >= grace)
    }

    /// When there is something to do without a message.
    fn wakes_at(&self) -> Instant {
        let options = &self.rooms.options;
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

    /// Does what is due.
    async fn tick(&mut self) {
        if self.handle.behind.swap(false, Ordering::AcqRel) {
            self.catch_up().await;
        }
        if self.hole_since.is_some_and(|since| since.elapsed() >= self.hole_wait()) {
            metrics::counter!("yitang_gateway_room_holes_total").increment(1);
            self.catch_up().await;
        }
        self.flush().await;
        self.admit_waiting().await;
        self.send_states().await;
    }
}
