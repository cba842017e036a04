//! Latencies: a histogram that keeps the tail, and a coarse time line for the plots.

use std::{collections::BTreeMap, fmt, time::Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies of one kind.
pub struct Latency {
    /// Microseconds.
    histogram: Histogram<u64>,
    /// Second of the run → its worst latency, microseconds.
    worst: BTreeMap<u64, u64>,
}

/// What is plotted: percentile → ms, and second of the run → worst ms in it.
#[derive(Debug, Default)]
pub struct Plot {
    /// Ascending percentiles.
    pub percentiles: Vec<(f64, f64)>,
    /// Ascending seconds.
    pub worst_by_second: Vec<(u64, f64)>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Summary {
    /// Half came sooner.
    pub p50: f64,
    /// 99 of 100 came sooner.
    pub p99: f64,
    /// The worst.
    pub max: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} / {:.1} / {:.1}", self.p50, self.p99, self.max)
    }
}

impl Default for Latency {
    fn default() -> Self {
        // Up to ten minutes, to three digits: these bounds are within what the histogram takes.
        let histogram = Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds within the histogram's");
        Self { histogram, worst: BTreeMap::new() }
    }
}

impl Latency {
    /// Takes one down; counted from when it was due, so that a stalled generator does not hide a stalled server.
    pub fn record(&mut self, due: Instant, at: Instant, started: Instant) {
        let micros = at.saturating_duration_since(due).as_micros() as u64;
        self.histogram.saturating_record(micros.max(1));
        let worst = self.worst.entry(due.saturating_duration_since(started).as_secs()).or_default();
        *worst = (*worst).max(micros);
    }

    /// In milliseconds.
    #[must_use]
    pub fn summary(&self) -> Summary {
        if self.histogram.is_empty() {
            return Summary::default();
        }
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Summary {
            p50: ms(self.histogram.value_at_quantile(0.5)),
            p99: ms(self.histogram.value_at_quantile(0.99)),
            max: ms(self.histogram.max()),
        }
    }

    /// For the page.
    #[must_use]
    pub fn into_plot(self) -> Plot {
        let quantiles = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];
        let ms = |micros: u64| micros as f64 / 1_000.0;
        Plot {
            percentiles: quantiles.iter().map(|quantile| (quantile * 100.0, ms(self.histogram.value_at_quantile(*quantile)))).collect(),
            worst_by_second: self.worst.into_iter().map(|(second, micros)| (second, ms(micros))).collect(),
        }
    }
}
