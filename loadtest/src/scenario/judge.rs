//! What the generators found, held against what was acknowledged. Every scenario with posts ends here.

use std::collections::{BTreeMap, HashMap};

use crate::{
    checker::Findings,
    generator::{
        arrivals::{Latencies, SparseLatencies},
        orders::RunFindings,
    },
    report::{Report, Summary, by_second, percentiles},
};

/// Counts by the histories of all sockets. Exactly: every socket is due everything between where it stood at the beginning and
/// the last acknowledged post of its room, each once, in the order of seq; and what a frame shows of this run must be a post
/// that was acknowledged at that seq. Two frames that show the same seq differently are a breach of the one order.
#[must_use]
pub fn check(found: &RunFindings) -> Findings {
    let mut last: HashMap<u32, u64> = HashMap::new();
    let mut receipts: HashMap<u32, (u32, u64)> = HashMap::with_capacity(found.acknowledged.len());
    let mut places: HashMap<(u32, u64), u32> = HashMap::with_capacity(found.acknowledged.len());
    let mut findings = Findings { duplicated: found.duplicated, out_of_order: found.out_of_order, ..Findings::default() };
    for (post, room, seq) in &found.acknowledged {
        let top = last.entry(*room).or_default();
        *top = (*top).max(*seq);
        // One post with two receipts, or two posts at one place.
        let twice = receipts.insert(*post, (*room, *seq)).is_some();
        let taken = places.insert((*room, *seq), *post).is_some();
        findings.duplicated += u64::from(twice || taken);
    }
    let mut shown: HashMap<(u32, u64), u32> = HashMap::new();
    for frame in &found.frames {
        findings.delivered += u64::from(frame.count) * frame.sockets;
        for (seq, post) in &frame.posts {
            match receipts.get(post) {
                Some(receipt) if *receipt == (frame.room, *seq) => {}
                Some(_) => findings.out_of_order += 1,
                None => findings.unacknowledged_seen += 1,
            }
            if *shown.entry((frame.room, *seq)).or_insert(*post) != *post {
                findings.out_of_order += 1;
            }
        }
    }
    for reached in &found.reached {
        let due = last.get(&reached.room).copied().unwrap_or(0);
        findings.expected += due.saturating_sub(reached.from);
        findings.lost += due.saturating_sub(reached.to.max(reached.from));
    }
    findings
}

/// Latencies of these groups of sockets, together.
#[must_use]
pub fn latencies(of: &BTreeMap<u8, SparseLatencies>, groups: impl Fn(u8) -> bool) -> Latencies {
    let mut all = Latencies::default();
    of.iter().filter(|(group, _)| groups(**group)).for_each(|(_, sparse)| sparse.add_to(&mut all));
    all
}

/// Writes the findings into a report. `seconds`: from the first post until every socket had everything.
pub fn write_to_report(report: &mut Report, found: &RunFindings, seconds: f64) {
    let findings = check(found);
    let screens = latencies(&found.latencies, |_| true);
    let mut receipts = Latencies::default();
    found.receipts.add_to(&mut receipts);
    report.posts = Some(found.due);
    report.acknowledged = Some(found.acknowledged.len() as u64);
    report.acknowledged_per_s = Some(found.acknowledged.len() as f64 / seconds.max(1e-9));
    report.deliveries_per_s = Some(findings.delivered as f64 / seconds.max(1e-9));
    report.reconnected = Some(found.reconnected);
    report.latency_ms = Some(Summary::from_histogram(&screens.whole));
    report.receipt_ms = Some(Summary::from_histogram(&receipts.whole));
    let frames = found.frames.len().max(1) as u64;
    report.also("window_ms", found.frames.iter().map(|frame| frame.window_ms).max().unwrap_or(0));
    report.also("frames", found.frames.len());
    report.also("events_per_frame", found.frames.iter().map(|frame| u64::from(frame.count)).sum::<u64>() as f64 / frames as f64);
    report.also("bytes_per_frame", found.frames.iter().map(|frame| u64::from(frame.bytes)).sum::<u64>() as f64 / frames as f64);
    report.also("frames_written", found.frames.iter().map(|frame| frame.sockets).sum::<u64>());
    report.also("replayed", found.replayed);
    if !found.unacknowledged.is_empty() {
        report.also("unacknowledged", &found.unacknowledged);
    }
    report.errors.clone_from(&found.errors);
    if !screens.whole.is_empty() {
        report.plots.push(percentiles("Post to screen, by percentile", &screens.whole));
        report.plots.push(by_second("Post to screen, by the second that posts were due in", &screens));
    }
    report.plots.push(percentiles("Post to receipt, by percentile", &receipts.whole));
    if !findings.clean() {
        report.invalid(format!("the histories are not clean: {findings:?}"));
    }
    report.findings = Some(findings);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::orders::{FrameSummary, Reached};

    /// Two posts at 11 and 12 of room 0, seen by two sockets that stood at 10.
    fn clean() -> RunFindings {
        let frame = |seq, post| FrameSummary { posts: vec![(seq, post)], count: 1, sockets: 2, ..FrameSummary::default() };
        RunFindings {
            acknowledged: vec![(0, 0, 11), (1, 0, 12)],
            frames: vec![frame(11, 0), frame(12, 1)],
            reached: vec![Reached { room: 0, from: 10, to: 12 }; 2],
            ..RunFindings::default()
        }
    }

    #[test]
    fn a_clean_run_is_clean() {
        assert_eq!(check(&clean()), Findings { expected: 4, delivered: 4, ..Findings::default() });
    }

    #[test]
    fn each_fault_of_a_crowd_is_found() {
        let with = |change: fn(&mut RunFindings)| {
            let mut found = clean();
            change(&mut found);
            check(&found)
        };
        assert_eq!(with(|found| found.reached[1].to = 11).lost, 1, "a socket that missed the last");
        assert_eq!(with(|found| found.duplicated = 1).duplicated, 1, "told by a socket");
        assert_eq!(with(|found| found.acknowledged[1] = (0, 0, 12)).duplicated, 1, "one post with two receipts");
        assert_eq!(with(|found| found.acknowledged[1].2 = 11).duplicated, 1, "two posts at one place");
        assert_eq!(with(|found| found.acknowledged.truncate(1)).unacknowledged_seen, 1, "seen and never acknowledged");
        assert_eq!(with(|found| found.frames[1].posts = vec![(12, 0)]).out_of_order, 1, "not where its receipt says");
        assert!(with(|found| found.frames[1].room = 1).out_of_order > 0, "in another room");
    }
}
