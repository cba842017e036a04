//! `post`: how many durable posts are acknowledged a second, and how soon at half of that (or of the goal); through the gateway's sockets, or
//! by chat-core's own calls, to show what each layer costs. What was acknowledged is read back.

use std::{collections::HashMap, time::Duration};

use anyhow::Context as _;
use futures::StreamExt as _;
use serde_json::json;

use super::{
    chat_core::{self, ChatCore},
    judge,
    meter::{Measured, Meter},
    room::{Room, finish_posts},
    setup,
};
use crate::{
    args::PostArgs,
    checker::Findings,
    client::{self, Session, now_us},
    generator::{
        arrivals::Latencies,
        orders::{Flow, RunFindings, Seat},
    },
    report::{Report, Summary, percentiles},
};

/// Length of the warm-up before the measurement.
const WARM: Duration = Duration::from_secs(2);
/// The goal, posts a second.
const GOAL_PER_S: f64 = 20_000.0;
/// Acknowledged posts that are read back, at most.
const READ_BACK: usize = 100_000;

/// One run: what was acknowledged, when, and what it cost.
struct Run {
    found: RunFindings,
    seconds: f64,
    measured: Measured,
}

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached, or posts are neither answered nor given up.
pub async fn run(args: PostArgs) -> anyhow::Result<()> {
    let crowd = &args.crowd;
    let sessions = client::sessions(&crowd.target, crowd.posters.max(2 * args.conversations)).await?;
    let mut report = Report::new("post", crowd.posters);
    let through_gateway = args.chat_core.is_none();
    report.also("through_gateway", through_gateway);
    report.also("conversations", args.conversations.max(1));
    report.also("authors", crowd.posters);
    let core = match &args.chat_core {
        Some(address) => Some(ChatCore::connect(address, &args.key, &sessions[..crowd.posters]).await?),
        None => None,
    };
    let rooms = rooms(&args, &sessions, core.as_ref()).await?;
    let run_name = setup::run_name();

    let (fastest, half) = match &core {
        None => post_by_sockets(&args, &sessions, &rooms, &run_name).await?,
        Some(core) => {
            let load = |per_s: f64, first: u32| {
                let load = chat_core::Load {
                    rooms: &rooms,
                    run: &run_name,
                    first,
                    per_s,
                    at_once: crowd.posters * args.at_once as usize,
                    bytes: crowd.bytes,
                    over: Duration::from_secs(crowd.seconds),
                };
                post_metered(&args, core, load)
            };
            load(0.0, 0).await?;
            let fastest = load(0.0, 1 << 28).await?;
            let half = load(half_rate(&fastest), 1 << 29).await?;
            (fastest, half)
        }
    };
    let mut findings = Findings::default();
    for run in [&fastest, &half] {
        let found = judge::check(&run.found);
        findings.duplicated += found.duplicated;
        findings.out_of_order += found.out_of_order;
    }
    let read = read_back(&args, &sessions, core.as_ref(), &rooms, &run_name, &[&fastest.found, &half.found]).await?;
    findings.expected = read.expected;
    findings.delivered = read.expected - read.lost;
    findings.lost = read.lost;
    report.findings = Some(findings);
    if !findings.clean() {
        report.invalid(format!("what was read back is not what was acknowledged: {findings:?}"));
    }
    let receipts = |run: &Run| {
        let mut latencies = Latencies::default();
        run.found.receipts.add_to(&mut latencies);
        latencies
    };
    report.acknowledged = Some(fastest.found.acknowledged.len() as u64);
    report.acknowledged_per_s = Some(per_s(&fastest));
    report.posts_per_s = Some(per_s(&half));
    let (at_most, at_half) = (receipts(&fastest), receipts(&half));
    report.latency_ms = Some(Summary::from_histogram(&at_half.whole));
    report.also("latency_at_most_ms", Summary::from_histogram(&at_most.whole));
    // Of the time that was measured: warming up and ending are not in it.
    fastest.measured.write_to_report(&mut report, 0, (per_s(&fastest) * fastest.measured.seconds) as u64);
    report.also(
        "half_load",
        json!({ "posts_per_s": per_s(&half), "latency_ms": Summary::from_histogram(&at_half.whole), "generator_shares": half.measured.generators }),
    );
    report.errors.clone_from(&fastest.found.errors);
    report.plots.push(percentiles("Post to receipt at half the load, by percentile", &at_half.whole));
    report.plots.push(percentiles("Post to receipt at the most, by percentile", &at_most.whole));
    report.emit(&crowd.report)
}

fn per_s(run: &Run) -> f64 {
    run.found.acknowledged.len() as f64 / run.seconds
}

/// The load that latency is measured at: half of the most, and half of the goal where more than the goal is reached.
fn half_rate(fastest: &Run) -> f64 {
    per_s(fastest).min(GOAL_PER_S) / 2.0
}

/// The conversations: direct ones of the posters, or the one consultation.
async fn rooms(args: &PostArgs, sessions: &[Session], core: Option<&ChatCore>) -> anyhow::Result<Vec<String>> {
    let target = &args.crowd.target;
    if args.conversations == 0 {
        return Ok(vec![match (&target.consultation, core) {
            (Some(id), _) => id.clone(),
            (None, None) => setup::first_open(&target.target, &sessions[0]).await?,
            (None, Some(_)) => anyhow::bail!("--chat-core needs --consultation"),
        }]);
    }
    match core {
        Some(core) => core.pairs(args.conversations).await,
        None => {
            let whom = &sessions[..2 * args.conversations];
            let people = setup::people(&target.target, whom).await?;
            setup::pairs(&target.target[0], whom, &people).await
        }
    }
}

/// Posts by sockets: as much as goes for a while, then half of that, in a steady flow. Each on new sockets.
async fn post_by_sockets(args: &PostArgs, sessions: &[Session], rooms: &[String], run: &str) -> anyhow::Result<(Run, Run)> {
    let fastest = post_through_sockets(args, sessions, rooms, run, 0.0, 0).await?;
    let half = post_through_sockets(args, sessions, rooms, run, half_rate(&fastest), 1 << 29).await?;
    Ok((fastest, half))
}

async fn post_through_sockets(
    args: &PostArgs,
    sessions: &[Session],
    rooms: &[String],
    run: &str,
    per_s: f64,
    first: u32,
) -> anyhow::Result<Run> {
    let crowd = &args.crowd;
    let mut plan = setup::plan(&crowd.target.target, crowd.target.ca.as_deref(), rooms.to_vec(), crowd.connects_per_s, false)?;
    run.clone_into(&mut plan.run);
    let seat = |(number, session): (usize, &Session)| Seat {
        token: session.token.clone(),
        target: (number % crowd.target.target.len()) as u16,
        // The first and second person are the first conversation's, and so on.
        posts: Some((number as u32, if args.conversations == 0 { 0 } else { (number / 2 % rooms.len()) as u32 })),
        ..Seat::default()
    };
    let seats: Vec<_> = sessions[..crowd.posters].iter().enumerate().map(seat).collect();
    let mut room = Room::fill_with(crowd, plan, crate::fleet::deal(seats, crowd.generators)).await?;
    let at_once = if per_s == 0.0 { args.at_once } else { 0 };
    room.fleet.post(Flow { first, count: 0, start_us: now_us(), per_s, at_once, bytes: crowd.bytes, mixed: false }).await?;
    tokio::time::sleep(WARM).await;
    let meter = Meter::start(&crowd.server_pids, room.fleet.pids());
    let before = room.fleet.progress().await?.acknowledged;
    tokio::time::sleep(Duration::from_secs(crowd.seconds)).await;
    let (measured, after) = (meter.read(), room.fleet.progress().await?.acknowledged);
    room.fleet.stop().await?;
    finish_posts(&mut room.fleet, Duration::from_secs(crowd.settle_s)).await?;
    let found = room.fleet.finish().await?;
    // All are checked; the rate is that of the time between.
    let seconds = measured.seconds * found.acknowledged.len() as f64 / (after - before).max(1) as f64;
    Ok(Run { found, seconds, measured })
}

async fn post_metered(args: &PostArgs, core: &ChatCore, load: chat_core::Load<'_>) -> anyhow::Result<Run> {
    let meter = Meter::start(&args.crowd.server_pids, vec![std::process::id()]);
    let found = core.post(&load).await?;
    let measured = meter.read();
    Ok(Run { seconds: measured.seconds, found, measured })
}

struct Read {
    expected: u64,
    lost: u64,
}

/// Reads conversations back from the start, and looks for what was acknowledged at the place that its receipt names.
async fn read_back(
    args: &PostArgs,
    sessions: &[Session],
    core: Option<&ChatCore>,
    rooms: &[String],
    run: &str,
    findings: &[&RunFindings],
) -> anyhow::Result<Read> {
    let mut by_room: HashMap<u32, HashMap<u64, u32>> = HashMap::new();
    for (post, room, seq) in findings.iter().flat_map(|found| &found.acknowledged) {
        by_room.entry(*room).or_default().insert(*seq, *post);
    }
    let mut read = Read { expected: 0, lost: 0 };
    for (room, due) in by_room {
        if read.expected as usize >= READ_BACK {
            break;
        }
        let person = if args.conversations == 0 { 0 } else { 2 * room as usize };
        let conversation = &rooms[room as usize];
        let from = due.keys().copied().min().unwrap_or(1) - 1;
        let to = due.keys().copied().max().unwrap_or(0).min(from + READ_BACK as u64);
        let mut events = match core {
            Some(core) => core.follow(person, conversation, from).await?,
            None => setup::follow(&args.crowd.target.target[0], &sessions[person], conversation, from).await?,
        };
        let (mut at, mut seen) = (from, HashMap::new());
        while at < to {
            let batch = tokio::time::timeout(Duration::from_secs(20), events.next()).await.context("the log is not read to its end")?;
            for event in setup::events_of(batch.context("the log ended early")??)? {
                at = event.seq;
                if let Some(mark) = client::mark::post_of(&event, run) {
                    seen.insert(event.seq, mark.index);
                }
            }
        }
        let due = due.iter().filter(|(seq, _)| **seq <= to);
        for (seq, post) in due {
            read.expected += 1;
            read.lost += u64::from(seen.get(seq) != Some(post));
        }
    }
    Ok(read)
}
