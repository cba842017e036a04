//! `soak`: hours in minutes. Sockets come and go, comments are posted, edited and recalled, lines resume; memory must not
//! grow, and what was opened must be closed again.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    judge,
    meter::Meter,
    room::{Room, finish_posts},
    setup,
};
use crate::{
    args::SoakArgs,
    client::{self, now_us},
    generator::orders::Flow,
    measure::slope,
    report::{Plot, Report},
};

/// Interval at which memory is read.
const EVERY: Duration = Duration::from_secs(5);
/// Caches, rings, pools of connections and the allocator fill meanwhile: ten minutes is what a connection that nobody uses is kept.
/// In shorter runs, a half.
const WARM_UP_S: f64 = 600.0;
/// After the last socket has gone, rooms are kept for a while (`gateway.hub.room_grace_s`).
const GONE: Duration = Duration::from_secs(45);
/// Where a role's metrics tell how many tasks its runtime holds, that is its name.
const TASKS: &str = "yitang_process_tasks";

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached, sockets do not come in, or posts are neither answered nor given up.
pub async fn run(args: SoakArgs) -> anyhow::Result<()> {
    let crowd = &args.crowd;
    let sessions = client::sessions(&crowd.target, crowd.viewers.max(crowd.posters)).await?;
    let mut report = Report::new("soak", crowd.viewers);
    let (before, tasks_before) = (crowd.server_pids.now(), tasks(&crowd.admin).await);
    let mut room = Room::fill(crowd, &sessions, 1_000).await?;
    room.fleet.begin().await?;
    let meter = Meter::start(&crowd.server_pids, room.fleet.pids());
    let flow = Flow { first: 0, count: 0, start_us: now_us(), per_s: crowd.posts_per_s, at_once: 0, bytes: crowd.bytes, mixed: true };
    room.fleet.post(flow).await?;
    room.fleet.churn(args.churn_per_s, Duration::from_millis(args.away_ms)).await?;
    report.posts_per_s = Some(crowd.posts_per_s);

    let (started, length) = (Instant::now(), Duration::from_secs_f64(args.minutes * 60.0));
    let mut samples: Vec<(f64, Vec<(String, f64)>)> = Vec::new();
    while started.elapsed() < length {
        tokio::time::sleep(EVERY.min(length.saturating_sub(started.elapsed()))).await;
        let now = crowd.server_pids.now();
        samples.push((started.elapsed().as_secs_f64(), now.into_iter().map(|(role, usage)| (role, usage.rss_kib as f64)).collect()));
    }
    let measured = meter.read();
    room.fleet.churn(0.0, Duration::ZERO).await?;
    room.fleet.stop().await?;
    let all = (crowd.viewers + crowd.posters.max(1)) as u32;
    room.fleet.until(Duration::from_secs(60), |sum| sum.live >= all).await?;
    finish_posts(&mut room.fleet, Duration::from_secs(crowd.settle_s)).await?;
    let found = room.fleet.finish().await?;
    judge::write_to_report(&mut report, &found, measured.seconds);
    let delivered = report.findings.map_or(0, |findings| findings.delivered);
    measured.write_to_report(&mut report, delivered, found.acknowledged.len() as u64);
    report.also("verdicts", &found.verdicts);

    let mut plot = Plot::new("Resident memory", "seconds", "KiB");
    let warm_s = WARM_UP_S.min(length.as_secs_f64() / 2.0);
    let mut slopes = serde_json::Map::new();
    for role in before.keys() {
        let points: Vec<(f64, f64)> =
            samples.iter().filter_map(|(at, roles)| Some((*at, roles.iter().find(|(name, _)| name == role)?.1))).collect();
        let warm: Vec<_> = points.iter().copied().filter(|(at, _)| *at >= warm_s).collect();
        let mean = warm.iter().map(|(_, kib)| kib).sum::<f64>() / warm.len().max(1) as f64;
        let per_hour = slope(&warm).map(|kib_per_s| kib_per_s * 3_600.0 / mean.max(1.0) * 100.0);
        slopes.insert(role.clone(), json!(per_hour));
        plot = plot.line(role, points.iter().map(|(at, kib)| (*at, *kib, format!("{at:.0} s"))).collect());
    }
    report.also("memory_slope_percent_per_hour", slopes);
    report.also("minutes", args.minutes);
    report.also("warm_up_s", warm_s);
    report.plots.push(plot);

    tokio::time::sleep(GONE).await;
    let (after, tasks_after) = (crowd.server_pids.now(), tasks(&crowd.admin).await);
    let roles = before.iter().filter_map(|(role, before)| {
        let after = after.get(role)?;
        let counts = json!({
            "descriptors_before": before.descriptors, "descriptors_after": after.descriptors,
            "threads_before": before.threads, "threads_after": after.threads,
        });
        Some((role.clone(), counts))
    });
    report.also("back_to_where_it_was", roles.collect::<serde_json::Map<_, _>>());
    report.also("tasks", json!({ "before": tasks_before, "after": tasks_after }));
    report.emit(&crowd.report)
}

/// The tasks of each role that tells them, in the order of the admin ports; none where it does not.
async fn tasks(admin: &[String]) -> Vec<Option<f64>> {
    let mut counts = Vec::with_capacity(admin.len());
    for address in admin {
        counts.push(setup::metrics(address).await.ok().and_then(|metrics| metrics.get(TASKS).copied()));
    }
    counts
}
