//! Everything a run found.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{latency::Summary, plot::Plot};
use crate::checker::Findings;

/// Everything a run found. What a scenario does not have is left out.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The figures are the server's: no generator was the bottleneck, the floor agrees, the histories are clean.
    pub valid: bool,
    /// Reasons why the figures are not valid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid_because: Vec<String>,
    /// Sockets that watched.
    pub connections: usize,
    /// Posts due a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posts_per_s: Option<f64>,
    /// Posts that were due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posts: Option<u64>,
    /// Posts acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<u64>,
    /// Posts acknowledged a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_per_s: Option<f64>,
    /// What the checker counts.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Lines broken and made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnected: Option<u64>,
    /// From a fault until all were back and had everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_until_whole: Option<f64>,
    /// From when a post was due until a screen showed it, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<Summary>,
    /// From when a post was due until its receipt, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt_ms: Option<Summary>,
    /// CPU of the gateways over deliveries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_delivery: Option<f64>,
    /// User time of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_user_us_per_delivery: Option<f64>,
    /// Comments times screens a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deliveries_per_s: Option<f64>,
    /// What the bare server's delivery costs in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor_cpu_us_per_delivery: Option<f64>,
    /// CPU of a delivery over the floor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_floor: Option<f64>,
    /// Resident memory of the gateways above empty ones, over connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss_kib_per_connection: Option<f64>,
    /// CPU of the gateways a second, over connections, while nothing is posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_us_per_connection_s: Option<f64>,
    /// CPU of all generators over wall time: 1 is a whole core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator_share: Option<f64>,
    /// The busy share of each core of the machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cores_busy: Vec<f64>,
    /// By role: cores used, CPU a delivery and a post, memory.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Value>,
    /// What only this scenario has.
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, Value>,
    /// What went wrong on single lines, with how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
    /// For the page.
    #[serde(skip)]
    pub plots: Vec<Plot>,
}

impl Report {
    /// Of a scenario, valid until something speaks against it.
    #[must_use]
    pub fn new(scenario: &'static str, connections: usize) -> Self {
        Self { scenario, connections, valid: true, ..Self::default() }
    }

    /// The figures are not what they should show.
    pub fn invalid(&mut self, because: impl Into<String>) {
        self.valid = false;
        self.invalid_because.push(because.into());
    }

    /// A figure that only this scenario has.
    pub fn also(&mut self, name: &'static str, value: impl Serialize) {
        self.more.insert(name, serde_json::to_value(value).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_at_the_top_and_what_is_not_there_is_left_out() {
        let mut report = Report::new("steady", 221);
        report.findings = Some(Findings { expected: 9, delivered: 9, ..Findings::default() });
        report.latency_ms = Some(Summary { p50: 1.0, p99: 2.0, p999: 2.5, max: 3.0 });
        report.also("window_ms", 50);
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!((&json["expected"], &json["lost"], &json["latency_ms"]["p99"]), (&9.into(), &0.into(), &2.0.into()));
        assert_eq!((&json["window_ms"], json.get("posts_per_s")), (&50.into(), None));
        report.invalid("a generator was the bottleneck");
        assert_eq!(serde_json::to_value(&report).expect("JSON")["valid"], false);
    }
}
