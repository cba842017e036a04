//! How fast one socket may send frames. Pure.

use std::time::Duration;

/// A bucket that leaks.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    level: f32,
    at: Duration,
    refused: u32,
}

/// What becomes of one more frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It goes.
    Fine,
    /// Too fast: wait so many milliseconds.
    Wait(u32),
    /// Too fast in spite of many refusals.
    Flood,
}

impl Rate {
    /// From nothing, at this time.
    #[must_use]
    pub fn new(at: Duration) -> Self {
        Self { level: 0.0, at, refused: 0 }
    }

    /// One more frame, `per_s` sustained and `burst` at once above that.
    pub fn note(&mut self, now: Duration, per_s: u32, burst: u32) -> Pace {
        let per_s = per_s.max(1) as f32;
        let leaked = now.saturating_sub(self.at).as_secs_f32() * per_s;
        self.level = (self.level - leaked).max(0.0);
        self.at = now;
        if self.level + 1.0 <= burst.max(1) as f32 {
            self.level += 1.0;
            self.refused = 0;
            return Pace::Fine;
        }
        self.refused += 1;
        if self.refused > burst.max(1) { Pace::Flood } else { Pace::Wait((1_000.0 / per_s).ceil() as u32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_then_the_rate_holds_then_the_flood_is_cut() {
        let at = Duration::from_secs;
        let mut rate = Rate::new(at(0));
        assert!((0..10).all(|_| rate.note(at(0), 5, 10) == Pace::Fine));
        assert_eq!(rate.note(at(0), 5, 10), Pace::Wait(200));
        assert!((0..5).all(|_| rate.note(at(1), 5, 10) == Pace::Fine));
        assert!((0..10).all(|_| rate.note(at(1), 5, 10) == Pace::Wait(200)));
        assert_eq!(rate.note(at(1), 5, 10), Pace::Flood);
    }
}
