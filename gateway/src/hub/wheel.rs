//! When each socket is looked at again: a wheel of lists, so that thirteen thousand idle sockets cost nothing between one
//! look and the next. Pure.

use crate::fanout::SocketId;

/// Why a socket is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Again and again, as long as it lives.
    Always,
    /// This one time.
    Once,
}

/// Sockets by the tick at which they are due.
#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<(SocketId, Look)>>,
    at: usize,
}

impl Wheel {
    /// That can look so many ticks ahead.
    #[must_use]
    pub fn new(ticks: usize) -> Self {
        Self { slots: vec![Vec::new(); ticks.max(1) + 1], at: 0 }
    }

    /// The farthest tick that can be asked for.
    #[must_use]
    pub fn most(&self) -> usize {
        self.slots.len() - 1
    }

    /// Looks at a socket after so many ticks, at least one and at most as many as it can look ahead.
    pub fn after(&mut self, ticks: usize, socket: SocketId, look: Look) {
        let slot = (self.at + ticks.clamp(1, self.most())) % self.slots.len();
        self.slots[slot].push((socket, look));
    }

    /// One tick: who is due. Some may be gone meanwhile, and some may be named twice.
    pub fn turn(&mut self) -> Vec<(SocketId, Look)> {
        self.at = (self.at + 1) % self.slots.len();
        std::mem::take(&mut self.slots[self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_due_exactly_when_asked_for() {
        let mut wheel = Wheel::new(15);
        for round in 0..3 {
            for ticks in 1..=15 {
                wheel.after(ticks, SocketId { core: 0, place: ticks as u32, serial: round }, Look::Always);
            }
            for ticks in 1..=15 {
                assert_eq!(wheel.turn(), [(SocketId { core: 0, place: ticks, serial: round }, Look::Always)]);
            }
        }
        wheel.after(0, SocketId { core: 0, place: 1, serial: 1 }, Look::Once);
        wheel.after(99, SocketId { core: 0, place: 2, serial: 2 }, Look::Once);
        assert_eq!(wheel.turn().len(), 1, "never at once");
        assert_eq!((1..15).map(|_| wheel.turn().len()).sum::<usize>(), 1, "never farther than it can look");
    }
}
