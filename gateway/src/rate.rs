//! How often something may be done: the one limiter of the gateway, for a socket's frames, a session's requests and a
//! socket's typing hints. Pure: the caller says what time it is.
//!
//! It is our own (the generic cell rate algorithm in one time stamp) and not `governor`: each of ours lives inside something
//! that is bounded already, a socket or an entry of the session cache, and is 16 bytes there. `governor` keeps a clock and a
//! quota with each limiter, or a map of keys that grows until somebody sweeps it.

use std::time::Duration;

/// What is allowed: one every `interval`, and up to `burst` at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    interval: Duration,
    burst: u32,
}

impl Limit {
    /// One every `interval`, and `burst` (at least 1) at once after a pause.
    #[must_use]
    pub const fn every(interval: Duration, burst: u32) -> Self {
        Self { interval, burst: if burst == 0 { 1 } else { burst } }
    }

    /// `per_s` (at least 1) a second, and `burst` (at least 1) at once after a pause.
    #[must_use]
    pub fn per_second(per_s: u32, burst: u32) -> Self {
        Self::every(Duration::from_secs(1) / per_s.max(1), burst)
    }
}

/// What becomes of one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It is within the limit.
    Admitted,
    /// Too fast: it would be admitted after these milliseconds.
    Wait(u32),
    /// Too fast in spite of more refusals in a row than a burst is long.
    Flood,
}

/// Counts against a [`Limit`]. New, it admits a whole burst.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// When everything admitted so far will have been paid for, at one `interval` each; ns.
    paid_at_ns: u64,
    /// Refusals since the last that was admitted.
    refused: u32,
}

impl Rate {
    /// Counts one more at `now`, which is measured from any fixed moment and never goes back.
    pub fn admit(&mut self, now: Duration, limit: Limit) -> Pace {
        let (now_ns, interval_ns) = (to_ns(now), to_ns(limit.interval));
        let ahead_ns = self.paid_at_ns.saturating_sub(now_ns);
        let most_ahead_ns = interval_ns.saturating_mul(u64::from(limit.burst - 1));
        if ahead_ns <= most_ahead_ns {
            self.paid_at_ns = now_ns.saturating_add(ahead_ns).saturating_add(interval_ns);
            self.refused = 0;
            return Pace::Admitted;
        }
        self.refused = self.refused.saturating_add(1);
        if self.refused > limit.burst {
            return Pace::Flood;
        }
        let wait_ms = (ahead_ns - most_ahead_ns).div_ceil(1_000_000);
        Pace::Wait(u32::try_from(wait_ms).unwrap_or(u32::MAX))
    }
}

/// Nanoseconds; enough for 584 years.
fn to_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_then_the_rate_holds_then_the_flood_is_cut() {
        let (at, limit) = (Duration::from_secs, Limit::per_second(5, 10));
        let mut rate = Rate::default();
        assert!((0..10).all(|_| rate.admit(at(0), limit) == Pace::Admitted));
        assert_eq!(rate.admit(at(0), limit), Pace::Wait(200));
        assert!((0..5).all(|_| rate.admit(at(1), limit) == Pace::Admitted));
        assert!((0..10).all(|_| rate.admit(at(1), limit) == Pace::Wait(200)));
        assert_eq!(rate.admit(at(1), limit), Pace::Flood);
    }

    #[test]
    fn after_a_pause_there_is_one_burst_and_no_more() {
        let (at, limit) = (Duration::from_millis, Limit::per_second(10, 3));
        let mut rate = Rate::default();
        let admitted = |rate: &mut Rate, now, count: u32| (0..count).filter(|_| rate.admit(now, limit) == Pace::Admitted).count();
        assert_eq!(admitted(&mut rate, at(0), 5), 3);
        assert_eq!(admitted(&mut rate, at(99), 1), 0);
        assert_eq!(admitted(&mut rate, at(100), 1), 1);
        assert_eq!(admitted(&mut rate, at(60_000), 50), 3);
    }

    #[test]
    fn a_limit_of_one_in_two_seconds() {
        let limit = Limit::every(Duration::from_secs(2), 1);
        let mut rate = Rate::default();
        assert_eq!(rate.admit(Duration::ZERO, limit), Pace::Admitted);
        assert_eq!(rate.admit(Duration::from_millis(1_999), limit), Pace::Wait(1));
        assert_eq!(rate.admit(Duration::from_secs(2), limit), Pace::Admitted);
    }
}
