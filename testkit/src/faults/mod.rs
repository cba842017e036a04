//! Faults under load. Through each, no acknowledged post may be lost, doubled or out of order.

mod load;
mod single;
mod topology;

use serde::Serialize;

pub use load::{Load, Report};
pub use single::Single;
pub use topology::{Fault, run};

use crate::Storage;

/// The measurements of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The fault's name.
    pub fault: &'static str,
    /// The processes it was injected into.
    pub topology: String,
    /// Posts due each second.
    pub posts_per_s: f64,
    /// Posts acknowledged in the whole run.
    pub acknowledged: u64,
    /// Posts acknowledged from the fault's beginning until all was whole again, and at least for two seconds.
    pub acknowledged_during: u64,
    /// Posts that were refused for good, or never answered.
    pub unacknowledged: u64,
    /// Comments a viewer should have seen and did not.
    pub lost: u64,
    /// Comments seen twice.
    pub duplicated: u64,
    /// Comments in another order, or with a hole before them.
    pub out_of_order: u64,
    /// Comments seen that were never acknowledged.
    pub unacknowledged_seen: u64,
    /// Duration of the fault itself, seconds; 0 where something was killed and others take over at once.
    pub fault_seconds: f64,
    /// From the fault's end until no comment took longer than half a second any more to reach the last viewer.
    pub seconds_until_whole: f64,
    /// From the fault's beginning until then: the slowest hundredth of comments, due to last screen.
    pub screen_p99_ms_during: f64,
    /// The durability settings of the database.
    pub storage: Storage,
}

impl Outcome {
    /// Whether nothing was lost, doubled, out of order or seen unacknowledged, comments went on, and all was whole within 5 s.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lost == 0
            && self.duplicated == 0
            && self.out_of_order == 0
            && self.unacknowledged_seen == 0
            && self.acknowledged_during > 0
            && self.seconds_until_whole <= 5.0
    }

    /// From a load test's report, and when the fault began and ended (milliseconds since 1970).
    #[must_use]
    pub fn from_report(fault: &'static str, topology: &str, storage: Storage, report: &Report, (began_ms, ended_ms): (i64, i64)) -> Self {
        // [due, acknowledged, seen by the last viewer]
        let slow = report.detail.iter().filter(|[due, _, seen]| seen - due > SLOW_MS && *seen >= began_ms);
        let whole_ms = slow.map(|[_, _, seen]| *seen).max().unwrap_or(ended_ms).max(ended_ms);
        let until_ms = whole_ms.max(began_ms + 2_000);
        let during = || report.detail.iter().filter(move |[_, acknowledged, _]| (began_ms..=until_ms).contains(acknowledged));
        let mut screens: Vec<i64> = during().map(|[due, _, seen]| seen - due).collect();
        screens.sort_unstable();
        let p99 = screens.get((screens.len() * 99 / 100).min(screens.len().saturating_sub(1))).copied().unwrap_or_default();
        Self {
            fault,
            topology: topology.to_owned(),
            posts_per_s: report.posts_per_s,
            acknowledged: report.acknowledged,
            acknowledged_during: during().count() as u64,
            unacknowledged: report.unacknowledged,
            lost: report.lost,
            duplicated: report.duplicated,
            out_of_order: report.out_of_order,
            unacknowledged_seen: report.unacknowledged_seen,
            fault_seconds: (ended_ms - began_ms) as f64 / 1_000.0,
            seconds_until_whole: (whole_ms - ended_ms) as f64 / 1_000.0,
            screen_p99_ms_during: p99 as f64,
            storage,
        }
    }
}

/// Time to the last viewer, ms, above which a comment shows that the service was not whole.
const SLOW_MS: i64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn report(detail: Vec<[i64; 3]>) -> Report {
        Report { detail, acknowledged: 3, ..Report::default() }
    }

    #[test]
    fn whole_again_is_when_the_last_slow_comment_arrived() {
        let detail = vec![[0, 5, 10], [1_100, 4_000, 4_500], [1_200, 4_000, 5_500], [6_000, 6_010, 6_020]];
        let outcome = Outcome::from_report("test", "", Storage::default(), &report(detail), (1_000, 3_000));
        assert_eq!((outcome.fault_seconds, outcome.seconds_until_whole, outcome.acknowledged_during), (2.0, 2.5, 2));
        assert!(outcome.holds());
    }

    #[test]
    fn a_fault_in_which_nothing_was_acknowledged_shows_nothing() {
        assert!(!Outcome::from_report("test", "", Storage::default(), &report(vec![[0, 5, 10]]), (1_000, 1_000)).holds());
    }
}
