//! Which conversations are being flooded with posts through this gateway. Bounded: a fixed table, where another conversation
//! of the same slot can at worst make one seem hot that is not, and its posts wait a few milliseconds. Pure.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of the table.
const SLOTS: usize = 1_024;
/// Posts are counted over periods of this length, ms.
const PERIOD_MS: u64 = 50;
/// More posts than this in one period are a flood: the same that makes a room gather.
const FLOOD: u64 = 4;

/// Counts posts by conversation.
#[derive(Debug)]
pub(super) struct Heat {
    /// The period in the upper half; then the posts in the one before it, and those in it, 16 bits each.
    slots: Box<[AtomicU64]>,
}

impl Heat {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Counts a post to the conversation of this key at `now_ms`, measured from any fixed moment. Whether the conversation is hot.
    pub(super) fn count(&self, key: u64, now_ms: u64) -> bool {
        let period = (now_ms / PERIOD_MS) & 0xffff_ffff;
        let slot = &self.slots[key as usize % SLOTS];
        let next = |old: u64| {
            let (then, before, count) = (old >> 32, (old >> 16) & 0xffff, old & 0xffff);
            let (before, count) = match period.wrapping_sub(then) {
                0 => (before, count),
                1 => (count, 0),
                _ => (0, 0),
            };
            (period << 32) | (before << 16) | (count + 1).min(0xffff)
        };
        let old = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| Some(next(old))).unwrap_or_default();
        let now = next(old);
        ((now >> 16) & 0xffff).max(now & 0xffff) > FLOOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether each of the posts at these times found its conversation hot.
    fn posts(heat: &Heat, key: u64, times: impl IntoIterator<Item = u64>) -> Vec<bool> {
        times.into_iter().map(|now_ms| heat.count(key, now_ms)).collect()
    }

    #[test]
    fn a_flood_is_hot_and_talk_is_not() {
        let heat = Heat::new();
        assert!(posts(&heat, 7, (0..20).map(|number| 1_000 + number * 20)).iter().all(|hot| !hot), "fifty a second");
        let flood = posts(&heat, 7, (0..100).map(|number| 2_000 + number * 5));
        assert!(flood[..4].iter().all(|hot| !hot) && flood[20..].iter().all(|hot| *hot), "two hundred a second: {flood:?}");
        assert!(!heat.count(7, 3_000), "it cools at once");
        assert!(!heat.count(8, 2_495), "another conversation");
    }

    #[test]
    fn a_count_never_runs_into_another() {
        let heat = Heat::new();
        assert!(posts(&heat, 1, std::iter::repeat_n(5_000, 70_000)).ends_with(&[true]));
        assert!(heat.count(1, 5_050));
        assert!(!heat.count(1, 5_200));
    }
}
