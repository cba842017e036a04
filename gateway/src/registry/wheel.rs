//! When each socket is checked again: a wheel of lists, so that idle sockets cost nothing between one check and the next.
//! Pure.

use crate::fanout::SocketId;

/// How often a socket is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// Again and again, as long as it lives.
    Always,
    /// This one time.
    Once,
}

/// Sockets by the tick at which they are due.
#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<(SocketId, Checks)>>,
    at: usize,
}

impl Wheel {
    /// A wheel that reaches `ticks` ticks ahead (at least 1).
    #[must_use]
    pub fn new(ticks: usize) -> Self {
        Self { slots: vec![Vec::new(); ticks.max(1) + 1], at: 0 }
    }

    /// How many ticks ahead it reaches.
    #[must_use]
    pub fn reach(&self) -> usize {
        self.slots.len() - 1
    }

    /// Makes a socket due after `ticks` ticks, at least 1 and at most [`Wheel::reach`].
    pub fn schedule(&mut self, ticks: usize, socket: SocketId, checks: Checks) {
        let slot = (self.at + ticks.clamp(1, self.reach())) % self.slots.len();
        self.slots[slot].push((socket, checks));
    }

    /// Goes on by one tick, and gives who is due. Some may be gone meanwhile, and some may be named twice.
    pub fn advance(&mut self) -> Vec<(SocketId, Checks)> {
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
                wheel.schedule(ticks, SocketId { core: 0, slot: ticks as u32, serial: round }, Checks::Always);
            }
            for ticks in 1..=15 {
                assert_eq!(wheel.advance(), [(SocketId { core: 0, slot: ticks, serial: round }, Checks::Always)]);
            }
        }
        wheel.schedule(0, SocketId { core: 0, slot: 1, serial: 1 }, Checks::Once);
        wheel.schedule(99, SocketId { core: 0, slot: 2, serial: 2 }, Checks::Once);
        assert_eq!(wheel.advance().len(), 1, "never at once");
        assert_eq!((1..15).map(|_| wheel.advance().len()).sum::<usize>(), 1, "never farther than it reaches");
    }
}
