//! A token bucket.

use std::time::Instant;

/// How much may still be taken, in thousandths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    left: u64,
    at: Instant,
}

impl Rate {
    /// A full bucket.
    pub(super) fn full(now: Instant, burst: u32) -> Self {
        Self { left: u64::from(burst) * 1_000, at: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant, per_s: u32, burst: u32) -> bool {
        let passed_ms = u64::try_from(now.saturating_duration_since(self.at).as_millis()).unwrap_or(u64::MAX);
        if passed_ms > 0 {
            self.left = self.left.saturating_add(passed_ms.saturating_mul(u64::from(per_s))).min(u64::from(burst) * 1_000);
            self.at = now;
        }
        let taken = self.left >= 1_000;
        if taken {
            self.left -= 1_000;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut rate = Rate::full(start, 3);
        assert_eq!((0..5).filter(|_| rate.take(start, 10, 3)).count(), 3);
        assert!(!rate.take(start + Duration::from_millis(99), 10, 3));
        assert!(rate.take(start + Duration::from_millis(100), 10, 3));
        assert_eq!((0..50).filter(|_| rate.take(start + Duration::from_secs(60), 10, 3)).count(), 3);
    }
}
