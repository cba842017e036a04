//! Latencies as they are told: in milliseconds, and as plots.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Plot;
use crate::generator::arrivals::Latencies;

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Half came sooner.
    pub p50: f64,
    /// 99 of 100 came sooner.
    pub p99: f64,
    /// 999 of 1,000 came sooner.
    pub p999: f64,
    /// The worst.
    pub max: f64,
}

impl Summary {
    /// Of a histogram of microseconds.
    #[must_use]
    pub fn from_histogram(histogram: &Histogram<u64>) -> Self {
        if histogram.is_empty() {
            return Self::default();
        }
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1_000.0;
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: histogram.max() as f64 / 1_000.0 }
    }

    /// Of single values, milliseconds.
    #[must_use]
    pub fn from_ms(values: &[u32]) -> Self {
        let mut histogram = crate::generator::arrivals::histogram(3);
        values.iter().for_each(|ms| histogram.saturating_record(u64::from(*ms).max(1) * 1_000));
        Self::from_histogram(&histogram)
    }
}

/// Latency by percentile.
#[must_use]
pub fn percentiles(title: &str, histogram: &Histogram<u64>) -> Plot {
    let quantiles = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 1.0];
    let points = quantiles.iter().enumerate().filter(|_| !histogram.is_empty()).map(|(at, quantile)| {
        let ms = histogram.value_at_quantile(*quantile) as f64 / 1_000.0;
        (at as f64, ms, format!("p{}", quantile * 100.0))
    });
    Plot::new(title, "percentile", "ms").line("latency", points.collect())
}

/// Latency by the second that posts were due in.
#[must_use]
pub fn by_second(title: &str, latencies: &Latencies) -> Plot {
    let first = latencies.seconds.keys().next().copied().unwrap_or(0);
    let line = |of: fn(&Summary) -> f64| {
        let summaries = latencies.seconds.iter().map(|(second, histogram)| (second - first, Summary::from_histogram(histogram)));
        summaries.map(|(second, summary)| (second as f64, of(&summary), format!("{second} s"))).collect()
    };
    Plot::new(title, "seconds", "ms").line("p50", line(|s| s.p50)).line("p99", line(|s| s.p99)).line("max", line(|s| s.max))
}
