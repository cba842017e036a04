//! The reference meeting: all watch, some post as in a real meeting, and every history is checked.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{meter::Meter, setup::first_open};
use crate::{
    args::ConsultationArgs,
    checker::{self, Outcome},
    client::{
        self,
        record::{Counters, Order, PostRecord, Record, Shared},
        viewer::Viewer,
        wall_ms,
    },
    generator::arrivals::Latencies,
    report::{self, Report, Summary, by_second, percentiles},
    schedule,
};

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached, or with `--strict` when something was lost, doubled, out of order or seen
/// without being acknowledged.
pub async fn run(args: ConsultationArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.viewers > 0, "a meeting needs viewers");
    let sessions = client::sessions(&args.target, args.viewers).await?;
    let conversation = match &args.target.consultation {
        Some(id) => id.clone(),
        None => first_open(&args.target.target, &sessions[0]).await?,
    };
    let shared = Arc::new(Shared {
        targets: args.target.target.clone(),
        conversation,
        run: format!("{:08x}", rand::random::<u32>()),
        post_deadline: Duration::from_secs(args.post_deadline_s),
        progress: Notify::new(),
        counters: Counters::default(),
    });
    let finish = CancellationToken::new();
    let mut orders = Vec::with_capacity(args.viewers);
    let mut viewers = tokio::task::JoinSet::new();
    for (number, session) in sessions.into_iter().enumerate() {
        let (send, receive) = mpsc::channel(4096);
        orders.push(send);
        viewers.spawn(Viewer::new(shared.clone(), number, session).run(receive, finish.clone()));
    }
    wait(&shared, Duration::from_secs(60), |counters| counters.connected.load(Relaxed) == args.viewers)
        .await
        .with_context(|| format!("only {} of {} viewers came in", shared.counters.connected.load(Relaxed), args.viewers))?;

    let over = Duration::from_secs(args.seconds);
    let times = match args.posts_per_s {
        Some(per_s) => schedule::steady(per_s, over),
        None => schedule::meeting(args.comments, over),
    };
    let bar = report::progress(times.len() as u64, args.report.quiet);
    let meter = Meter::start(&args.server_pids, vec![std::process::id()]);
    let started = Instant::now();
    let started_us = client::now_us();
    for (index, time) in times.iter().enumerate() {
        let due = started + *time;
        tokio::time::sleep_until(due.into()).await;
        // Spread over the viewers so that no person posts twice in a row.
        let author = index * 7919 % orders.len();
        orders[author].send(Order { index: index as u32, due }).await.context("a viewer ended early")?;
        bar.set_position(shared.counters.acknowledged.load(Relaxed));
        bar.set_message(format!(
            "{} connected, {} delivered",
            shared.counters.connected.load(Relaxed),
            shared.counters.delivered.load(Relaxed)
        ));
    }
    drop(orders);

    let posts = times.len() as u64;
    let patience = Duration::from_secs(args.post_deadline_s + 5);
    let all_ended = wait(&shared, patience, |counters| counters.ended.load(Relaxed) >= posts).await;
    // Every viewer should see every acknowledged comment; whoever does not within this time has lost it.
    let due = shared.counters.acknowledged.load(Relaxed) * args.viewers as u64;
    let _ = wait(&shared, Duration::from_secs(args.settle_s), |counters| counters.delivered.load(Relaxed) >= due).await;
    let measured = meter.read();
    // A moment more, in which what must not come could come.
    tokio::time::sleep(Duration::from_millis(500)).await;
    bar.finish_and_clear();
    finish.cancel();
    let records = viewers.join_all().await;
    all_ended.context("some posts were neither answered nor given up")?;

    let mut report = evaluate(&args, &records, times.len(), started, started_us);
    report.reconnected = Some(shared.counters.reconnects.load(Relaxed));
    let (delivered, acknowledged) = (report.findings.map_or(0, |findings| findings.delivered), report.acknowledged.unwrap_or(0));
    report.deliveries_per_s = Some(delivered as f64 / measured.seconds);
    report.acknowledged_per_s = Some(acknowledged as f64 / measured.seconds);
    measured.write_to_report(&mut report, delivered, acknowledged);
    report.emit(&args.report)
}

/// Waits until `done` holds of the counters.
async fn wait(shared: &Shared, within: Duration, done: impl Fn(&Counters) -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let progress = shared.progress.notified();
        if done(&shared.counters) {
            return Ok(());
        }
        if Instant::now() > deadline {
            anyhow::bail!("not within {within:?}");
        }
        let _ = tokio::time::timeout(Duration::from_millis(100), progress).await;
    }
}

fn evaluate(args: &ConsultationArgs, records: &[Record], posts: usize, started: Instant, started_us: i64) -> Report {
    let mut outcomes = vec![Outcome::Unacknowledged; posts];
    let mut ended: HashMap<u32, PostRecord> = HashMap::new();
    for end in records.iter().flat_map(|record| &record.ended) {
        outcomes[end.index as usize] = end.outcome;
        ended.insert(end.index, *end);
    }
    let mut refusals: BTreeMap<i32, u64> = BTreeMap::new();
    for code in ended.values().filter_map(|end| end.refusal) {
        *refusals.entry(code).or_default() += 1;
    }
    let histories: Vec<_> = records.iter().map(|record| record.history.clone()).collect();
    let mut findings = checker::check(&outcomes, &histories);
    let sum = |of: fn(&Record) -> u64| records.iter().map(of).sum::<u64>();
    // Holes that the server did not tell of.
    findings.out_of_order += sum(|record| record.holes);

    let wall_us = |at: Instant| started_us + at.saturating_duration_since(started).as_micros() as i64;
    let (mut to_screen, mut to_receipt) = (Latencies::default(), Latencies::default());
    let mut last_seen: HashMap<u32, Instant> = HashMap::new();
    for arrival in records.iter().flat_map(|record| &record.arrivals) {
        let Some(end) = ended.get(&arrival.index) else { continue };
        to_screen.record(wall_us(end.due), wall_us(arrival.at), 1);
        last_seen.entry(arrival.index).and_modify(|at| *at = (*at).max(arrival.at)).or_insert(arrival.at);
    }
    let acknowledged: Vec<_> = ended.values().filter(|end| matches!(end.outcome, Outcome::Acknowledged { .. })).collect();
    for end in &acknowledged {
        to_receipt.record(wall_us(end.due), wall_us(end.at), 1);
    }
    let mut report = Report::new("consultation", args.viewers);
    if args.detail {
        let row = |end: &&PostRecord| [wall_ms(end.due), wall_ms(end.at), last_seen.get(&end.index).map_or(0, |at| wall_ms(*at))];
        let mut detail: Vec<[i64; 3]> = acknowledged.iter().map(row).collect();
        detail.sort_unstable();
        report.also("detail", detail);
    }
    let closes = records.iter().flat_map(|record| &record.closes).fold(BTreeMap::<u16, u64>::new(), |mut sum, (code, count)| {
        *sum.entry(*code).or_default() += count;
        sum
    });
    report.posts = Some(posts as u64);
    report.posts_per_s = Some(args.posts_per_s.unwrap_or(posts as f64 / args.seconds.max(1) as f64));
    report.acknowledged = Some(acknowledged.len() as u64);
    report.latency_ms = Some(Summary::from_histogram(&to_screen.whole));
    report.receipt_ms = Some(Summary::from_histogram(&to_receipt.whole));
    report.also("started_ms", started_us / 1_000);
    report.also("unacknowledged", posts - acknowledged.len());
    report.also("refusals", refusals);
    report.also("holes", sum(|record| record.holes));
    report.also("healed", sum(|record| record.healed));
    report.also("resets", sum(|record| record.resets));
    report.also("closes", closes);
    report.plots = vec![
        percentiles("Post to screen, by percentile", &to_screen.whole),
        by_second("Post to screen, by the second that posts were due in", &to_screen),
        percentiles("Post to receipt, by percentile", &to_receipt.whole),
    ];
    if !findings.clean() {
        report.invalid(format!("the histories are not clean: {findings:?}"));
    }
    report.findings = Some(findings);
    report
}
