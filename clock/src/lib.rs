//! The calendar's time. Every part of a process is handed one [`Clock`], and all clones of it share one offset: a test that
//! moves it moves the database's time (`Store` adds the offset to what the database answers), the services and the page,
//! which takes its time from the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Reads the calendar's time. Clones share the offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_ms: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that is `offset_ms` milliseconds ahead of the machine's (negative: behind it).
    #[must_use]
    pub fn with_offset_ms(offset_ms: i64) -> Self {
        Self { offset_ms: Arc::new(AtomicI64::new(offset_ms)) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now_ms(&self) -> i64 {
        // Before 1970 and past the year 292,278,994 there is nothing to tell apart.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(self.offset_ms())
    }

    /// How far it is ahead of the machine's clock, milliseconds.
    #[must_use]
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }

    /// Moves this clock and all its clones on by `by`. For tests: time in a running service goes forward only.
    pub fn advance(&self, by: Duration) {
        self.offset_ms.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_offset() {
        let clock = Clock::with_offset_ms(-60_000);
        let clone = clock.clone();
        let before = clone.now_ms();
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(clone.offset_ms(), 3_540_000);
        assert!(clone.now_ms() >= before + 3_600_000);
    }
}
