//! `ramp`: the rate of durable posts rises step by step until the 99th percentile of post-to-screen is a quarter of a second.
//! What was held before that is the most that one gateway delivers.

use std::{ops::Range, time::Duration};

use serde::Serialize;

use super::{
    judge,
    meter::{BUSY, Measured, Meter},
    room::{Room, finish_posts},
};
use crate::{
    args::RampArgs,
    client::{self, now_us},
    generator::{
        arrivals::{Latencies, histogram},
        orders::Flow,
    },
    measure::GATEWAY,
    report::{Plot, Report, Summary},
};

/// The measurement at one rate.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Posts due a second.
    posts_per_s: f64,
    /// Comments times screens a second, of the posts that were due within the step.
    deliveries_per_s: f64,
    /// Of these.
    latency_ms: Summary,
    /// All of them came, and in time.
    held: bool,
    /// Cores that the gateway used.
    gateway_cores: f64,
    /// Cores that each generator used.
    generator_shares: Vec<f64>,
    /// The busy share of each core of the machine.
    cores_busy: Vec<f64>,
}

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached or sockets do not come in.
pub async fn run(args: RampArgs) -> anyhow::Result<()> {
    let crowd = &args.crowd;
    let sessions = client::sessions(&crowd.target, crowd.viewers.max(crowd.posters)).await?;
    let mut report = Report::new("ramp", crowd.viewers);
    let mut room = Room::fill(crowd, &sessions, 500).await?;
    room.fleet.begin().await?;
    let (mut steps, mut first): (Vec<Step>, u32) = (Vec::new(), 0);
    let mut rates = Rates::new(args.from, args.factor);
    while let Some(rate) = rates.next() {
        let step = step(&args, &mut room, rate, &mut first).await?;
        tracing::info!(?step, "a step");
        rates.judge(step.held);
        steps.push(step);
    }
    let found = room.fleet.finish().await?;
    judge::write_to_report(&mut report, &found, steps.len() as f64 * args.step_s as f64);
    let best = steps.iter().filter(|step| step.held).max_by(|one, other| one.deliveries_per_s.total_cmp(&other.deliveries_per_s));
    report.posts_per_s = best.map(|step| step.posts_per_s);
    report.deliveries_per_s = Some(best.map_or(0.0, |step| step.deliveries_per_s));
    report.latency_ms = best.map(|step| step.latency_ms);
    report.acknowledged_per_s = None;
    if let Some(best) = best {
        report.generator_share = Some(best.generator_shares.iter().sum());
        report.cores_busy.clone_from(&best.cores_busy);
        report.cpu_us_per_delivery = Some(best.gateway_cores * 1_000_000.0 / best.deliveries_per_s);
    } else {
        report.invalid("no step was held");
    }
    if let Some(limit) = steps.iter().find(|step| !step.held) {
        let busiest = limit.generator_shares.iter().copied().fold(0.0, f64::max);
        let other =
            limit.cores_busy.iter().zip(0..).filter(|(_, core)| Some(*core) != args.gateway_cpu).map(|(busy, _)| *busy).fold(0.0, f64::max);
        // A gateway that is not busy was not the limit.
        let limited_by = if limit.gateway_cores >= BUSY {
            "the gateway"
        } else if busiest >= BUSY {
            "a generator"
        } else if other >= 0.95 {
            "the other core"
        } else {
            "waiting"
        };
        report.also("limited_by", limited_by);
        if limited_by == "a generator" {
            report.invalid(format!("a generator was the bottleneck: it used {busiest:.2} of its core"));
        }
    }
    let points = |of: fn(&Step) -> f64| {
        let mut points: Vec<_> =
            steps.iter().map(|step| (step.deliveries_per_s, of(step), format!("{:.0} posts/s", step.posts_per_s))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        points
    };
    let plot = Plot::new("Post to screen by load", "deliveries a second", "ms");
    report.plots.insert(0, plot.line("p50", points(|step| step.latency_ms.p50)).line("p99", points(|step| step.latency_ms.p99)));
    report.plots.insert(1, Plot::new("Gateway by load", "deliveries a second", "cores").line(GATEWAY, points(|step| step.gateway_cores)));
    report.also("steps", &steps);
    report.emit(&crowd.report)
}

async fn step(args: &RampArgs, room: &mut Room, rate: f64, first: &mut u32) -> anyhow::Result<Step> {
    let crowd = &args.crowd;
    let count = (rate * args.step_s as f64) as u32;
    // Begins with a second, so that latencies by second are this step's alone.
    let start_us = (now_us() / 1_000_000 + 1) * 1_000_000;
    let flow = Flow { first: *first, count, start_us, per_s: rate, at_once: 0, bytes: crowd.bytes, mixed: false };
    *first += count;
    room.fleet.post(flow).await?;
    tokio::time::sleep(Duration::from_micros((start_us - now_us()).max(0) as u64)).await;
    let meter = Meter::start(&crowd.server_pids, room.fleet.pids());
    tokio::time::sleep(Duration::from_secs(args.step_s)).await;
    let measured = meter.read();
    tokio::time::sleep(Duration::from_millis(2 * args.limit_ms)).await;
    let groups = room.fleet.seconds().await?;
    // The first second fills the queues.
    let seconds = start_us / 1_000_000 + 1..start_us / 1_000_000 + args.step_s as i64;
    let found = judge_step(&groups, seconds, rate, crowd.viewers, args.limit_ms, &measured);
    finish_posts(&mut room.fleet, Duration::from_secs(crowd.settle_s)).await?;
    Ok(found)
}

fn judge_step(
    groups: &std::collections::BTreeMap<u8, Latencies>,
    seconds: Range<i64>,
    rate: f64,
    viewers: usize,
    limit_ms: u64,
    measured: &Measured,
) -> Step {
    let mut all = histogram(2);
    for (_, histogram) in groups.values().flat_map(|of| of.seconds.range(seconds.clone())) {
        // Both have the same bounds.
        let _ = all.add(histogram);
    }
    let length = (seconds.end - seconds.start) as f64;
    let latency_ms = Summary::from_histogram(&all);
    // What has not come by now took longer than the limit.
    let came = all.len() as f64 / (rate * length * viewers as f64).max(1.0);
    Step {
        posts_per_s: rate,
        deliveries_per_s: all.len() as f64 / length,
        held: came >= 0.99 && latency_ms.p99 < limit_ms as f64,
        latency_ms,
        gateway_cores: measured.gateway().total_us as f64 / 1_000_000.0 / measured.seconds,
        generator_shares: measured.generators.clone(),
        cores_busy: measured.cores_busy.clone(),
    }
}

/// Which rates are tried: rising by a factor until one is not held (or falling until one is), then twice between the two.
#[derive(Debug)]
struct Rates {
    factor: f64,
    next: Option<f64>,
    held: f64,
    failed: Option<f64>,
    between: u32,
    falls: u32,
}

impl Rates {
    fn new(from: f64, factor: f64) -> Self {
        Self { factor: factor.max(1.05), next: Some(from), held: 0.0, failed: None, between: 0, falls: 0 }
    }

    fn next(&self) -> Option<f64> {
        self.next
    }

    fn judge(&mut self, held: bool) {
        let Some(rate) = self.next else { return };
        if held {
            self.held = rate;
        } else {
            self.failed = Some(rate);
        }
        self.next = match self.failed {
            None => Some(rate * self.factor),
            Some(failed) if self.held == 0.0 => {
                self.falls += 1;
                (self.falls < 8).then_some(failed / self.factor.powi(2))
            }
            Some(failed) if self.between < 2 => {
                self.between += 1;
                Some((self.held + failed) / 2.0)
            }
            Some(_) => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_until_one_is_not_held_and_then_close_in() {
        let mut rates = Rates::new(100.0, 2.0);
        let mut tried = Vec::new();
        while let Some(rate) = rates.next() {
            tried.push(rate);
            rates.judge(rate <= 500.0);
        }
        assert_eq!(tried, [100.0, 200.0, 400.0, 800.0, 600.0, 500.0]);
        let (mut falling, mut tried) = (Rates::new(1_000.0, 2.0), Vec::new());
        while let Some(rate) = falling.next() {
            tried.push(rate);
            falling.judge(rate <= 130.0);
        }
        assert_eq!(tried, [1_000.0, 250.0, 62.5, 156.25, 109.375]);
        let mut none = Rates::new(100.0, 2.0);
        (0..8).for_each(|_| none.judge(false));
        assert_eq!(none.next(), None);
    }

    #[test]
    fn a_step_in_which_something_is_missing_is_not_held() {
        let mut latencies = Latencies::default();
        latencies.record(5_000_000, 5_010_000, 100);
        latencies.record(6_000_000, 6_010_000, 100);
        let groups = [(0, latencies)].into();
        let held = |rate| judge_step(&groups, 5..7, rate, 100, 250, &Measured { seconds: 2.0, ..Measured::default() });
        assert!(held(1.0).held);
        assert_eq!(held(1.0).deliveries_per_s, 100.0);
        assert!(!held(1.2).held);
    }
}
