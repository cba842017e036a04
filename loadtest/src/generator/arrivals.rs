//! Arrival times of posts at sockets: counted in small buckets of time on arrival, turned into latencies later.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::client::mark::Mark;

/// Longest latency that is recorded, microseconds: ten minutes.
const LONGEST_US: u64 = 600_000_000;

/// A histogram for transport: (microseconds, count), ascending.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sparse(pub Vec<(u64, u64)>);

impl Sparse {
    /// The values recorded in a histogram.
    #[must_use]
    pub fn from_histogram(histogram: &Histogram<u64>) -> Self {
        Self(histogram.iter_recorded().map(|value| (value.value_iterated_to(), value.count_at_value())).collect())
    }

    /// Adds these to a histogram.
    pub fn add_to(&self, histogram: &mut Histogram<u64>) {
        for (value, count) in &self.0 {
            histogram.saturating_record_n(*value, *count);
        }
    }
}

/// An empty histogram of microseconds, to `digits` significant digits.
#[must_use]
pub fn histogram(digits: u8) -> Histogram<u64> {
    // These bounds are within what the histogram takes.
    Histogram::new_with_bounds(1, LONGEST_US, digits).expect("bounds within the histogram's")
}

/// Arrivals of one frame: (bucket of time, group of sockets, number of sockets), in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrivals(Vec<(i64, u8, u32)>);

impl Arrivals {
    /// Counts one more socket of a group.
    pub fn record(&mut self, bucket: i64, group: u8) {
        match self.0.last_mut() {
            Some((last, of, count)) if *last == bucket && *of == group => *count += 1,
            _ => self.0.push((bucket, group, 1)),
        }
    }
}

/// Latencies of a group of sockets.
pub struct Latencies {
    /// Over the whole run, to three digits.
    pub whole: Histogram<u64>,
    /// By the second since 1970 that the post was due in, to two digits.
    pub seconds: BTreeMap<i64, Histogram<u64>>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { whole: histogram(3), seconds: BTreeMap::new() }
    }
}

impl Latencies {
    /// Records that `screens` sockets received at `at_us` a post due at `due_us`, both microseconds since 1970.
    pub fn record(&mut self, due_us: i64, at_us: i64, screens: u64) {
        let latency = u64::try_from(at_us - due_us).unwrap_or(0).max(1);
        self.whole.saturating_record_n(latency, screens);
        let second = self.seconds.entry(due_us.div_euclid(1_000_000)).or_insert_with(|| histogram(2));
        second.saturating_record_n(latency, screens);
    }

    /// Turns the arrivals of a frame with these posts into latencies; the bucket's middle counts as the time of arrival.
    pub fn fold(groups: &mut BTreeMap<u8, Self>, posts: &[(u64, Mark)], arrivals: &mut Arrivals, bucket_us: i64) {
        for (bucket, group, screens) in arrivals.0.drain(..) {
            let at_us = bucket * bucket_us + bucket_us / 2;
            let of_group = groups.entry(group).or_default();
            for (_, mark) in posts {
                of_group.record(mark.due_us, at_us, u64::from(screens));
            }
        }
    }

    /// The latencies for transport.
    #[must_use]
    pub fn sparse(&self) -> SparseLatencies {
        SparseLatencies {
            whole: Sparse::from_histogram(&self.whole),
            seconds: self.seconds.iter().map(|(second, histogram)| (*second, Sparse::from_histogram(histogram))).collect(),
        }
    }
}

/// Latencies for transport.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SparseLatencies {
    /// Over the whole run.
    pub whole: Sparse,
    /// By second since 1970.
    pub seconds: Vec<(i64, Sparse)>,
}

impl SparseLatencies {
    /// Adds these.
    pub fn add_to(&self, latencies: &mut Latencies) {
        self.whole.add_to(&mut latencies.whole);
        for (second, sparse) in &self.seconds {
            sparse.add_to(latencies.seconds.entry(*second).or_insert_with(|| histogram(2)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_when_a_post_was_due_by_group_and_second() {
        let mut arrivals = Arrivals::default();
        // 1,000 µs buckets: three sockets of group 0 at 2.0 s, one of group 1 a bucket later.
        (0..3).for_each(|_| arrivals.record(2_000, 0));
        arrivals.record(2_001, 1);
        let posts = [(1, Mark { index: 0, due_us: 1_990_000 }), (2, Mark { index: 1, due_us: 500_000 })];
        let mut groups = BTreeMap::new();
        Latencies::fold(&mut groups, &posts, &mut arrivals, 1_000);
        assert_eq!(arrivals, Arrivals::default());
        assert_eq!(groups[&0].whole.len(), 6);
        assert_eq!(groups[&1].whole.len(), 2);
        assert!(groups[&0].whole.value_at_quantile(0.5).abs_diff(10_500) < 20);
        assert_eq!(groups[&0].seconds.keys().copied().collect::<Vec<_>>(), [0, 1]);
        let mut merged = Latencies::default();
        groups.values().for_each(|latencies| latencies.sparse().add_to(&mut merged));
        assert_eq!(merged.whole.len(), 8);
        assert_eq!(merged.seconds[&1].len(), 4);
    }
}
