//! One room: `connect`, `idle`, `broadcast`, `steady`, `flood`. What a delivery, a connection and an idle socket cost, and
//! whether every comment came to every screen; the floor of the same machine and run stands beside it.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::{
    floor::FloorRun,
    judge,
    meter::{Measured, Meter, share},
    setup,
};
use crate::{
    args::CrowdArgs,
    client::{self, Session, now_us},
    fleet::{Fleet, deal},
    generator::orders::{Flow, Plan},
    measure::cpu_of,
    report::{Plot, Report, Summary},
};

/// Time from the order to post until the first post is due.
pub const LEAD: Duration = Duration::from_millis(100);

/// A room full of sockets.
pub struct Room {
    /// Their processes.
    pub fleet: Fleet,
    /// What they have in common.
    pub plan: Plan,
    /// From the first connection until all were in.
    pub connect_s: f64,
    /// How many were in, by time.
    pub coming: Plot,
}

impl Room {
    /// Fills a room with viewers, and with other sockets that only post.
    ///
    /// # Errors
    /// When the service cannot be reached or sockets do not come in.
    pub async fn fill(args: &CrowdArgs, sessions: &[Session], bucket_us: i64) -> anyhow::Result<Self> {
        let targets = &args.target.target;
        let conversation = match &args.target.consultation {
            Some(id) => id.clone(),
            None => setup::first_open(targets, &sessions[0]).await?,
        };
        let mut plan = setup::plan(targets, args.target.ca.as_deref(), vec![conversation], args.connects_per_s, args.deflate)?;
        plan.bucket_us = bucket_us;
        let mut shares = deal(setup::viewers(&sessions[..args.viewers], 0, targets.len()), args.generators);
        if args.posts_per_s > 0.0 {
            // Who posts may watch on another socket.
            let from = sessions.len() - args.posters.clamp(1, sessions.len());
            shares.push(setup::posters(&sessions[from..], 0, targets.len()));
        }
        Self::fill_with(args, plan, shares).await
    }

    /// The same with seats of one's own.
    ///
    /// # Errors
    /// When the service cannot be reached or sockets do not come in.
    pub async fn fill_with(args: &CrowdArgs, plan: Plan, shares: Vec<Vec<crate::generator::orders::Seat>>) -> anyhow::Result<Self> {
        let all: usize = shares.iter().map(Vec::len).sum();
        let started = Instant::now();
        let plan = Plan { connecting_most: args.connecting_most, ..plan };
        let mut fleet = Fleet::start(&plan, shares, args.cores.generator_cpus.as_deref()).await?;
        let deadline = started + Duration::from_secs(60) + Duration::from_secs_f64(all as f64 / 500.0);
        let mut came = Vec::new();
        loop {
            let sum = fleet.progress().await?;
            let at = started.elapsed().as_secs_f64();
            came.push((at, f64::from(sum.live), format!("{at:.2} s")));
            if sum.live as usize >= all {
                break;
            }
            anyhow::ensure!(Instant::now() < deadline, "only {} of {all} sockets came in, {} gave up", sum.live, sum.failed);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        let coming = Plot::new("Sockets in the room", "seconds", "sockets").line("sockets", came);
        Ok(Self { fleet, plan, connect_s: started.elapsed().as_secs_f64(), coming })
    }
}

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached, sockets do not come in, or posts are neither answered nor given up.
pub async fn run(scenario: &'static str, args: CrowdArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.viewers > 0, "a room needs viewers");
    let sessions = client::sessions(&args.target, args.viewers.max(args.posters)).await?;
    let empty = args.server_pids.gateway();
    let mut report = Report::new(scenario, args.viewers);
    report.also("generators", args.generators + usize::from(args.posts_per_s > 0.0));
    report.also("gateways", args.target.target.len());
    report.also("deflate", args.deflate);
    let mut floors = FloorRun::start(&args, args.viewers, args.turns).await?;
    let connecting = Meter::start(&args.server_pids, Vec::new());
    let mut room = Room::fill(&args, &sessions, if args.viewers > 5_000 { 500 } else { 100 }).await?;
    report.also("connect_s", room.connect_s);
    report.also("connects_per_s", args.viewers as f64 / room.connect_s);
    if scenario == "connect" {
        // The generators began with the first connection.
        let pids = room.fleet.pids();
        let used = pids.iter().filter_map(|pid| cpu_of(*pid)).map(|cpu| share(cpu, Duration::from_secs_f64(room.connect_s)));
        let measured = Measured { generators: used.collect(), ..connecting.read() };
        measured.write_to_report(&mut report, 0, 0);
        report.also("cpu_us_per_connect", measured.gateway().total_us as f64 / args.viewers as f64);
    }
    if args.idle_s > 0 {
        // What connecting needed is given back first.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let meter = Meter::start(&args.server_pids, room.fleet.pids());
        tokio::time::sleep(Duration::from_secs(args.idle_s)).await;
        let measured = meter.read();
        measured.write_to_report(&mut report, 0, 0);
        let full = args.server_pids.gateway();
        report.rss_kib_per_connection = Some((full.rss_kib as f64 - empty.rss_kib as f64) / args.viewers as f64);
        report.cpu_us_per_connection_s = Some(measured.gateway().total_us as f64 / args.viewers as f64 / measured.seconds);
        report.also("rss_kib_empty", empty.rss_kib);
        report.also("rss_kib_full", full.rss_kib);
        report.also("tls", room.plan.ca.is_some());
    }
    if args.posts_per_s > 0.0 {
        let total = (args.posts_per_s * args.seconds as f64).round().max(1.0) as u32;
        report.posts_per_s = Some(args.posts_per_s);
        room.fleet.begin().await?;
        let (turns, mut measured, mut first) = (args.turns.clamp(1, total), Measured::default(), 0);
        for turn in 1..=turns {
            if let Some(floors) = &mut floors
                && turn > 1
            {
                floors.measure_part().await?;
            }
            let count = (u64::from(total) * u64::from(turn) / u64::from(turns)) as u32 - first;
            measured.add(post_part(&args, &mut room.fleet, first, count).await?);
            first += count;
        }
        let found = room.fleet.finish().await?;
        if found.due != u64::from(total) {
            report.invalid(format!("{} posts of {total} were due in time: the generator was late", found.due));
        }
        judge::write_to_report(&mut report, &found, measured.seconds - f64::from(turns) * LEAD.as_secs_f64());
        let delivered = report.findings.map_or(0, |findings| findings.delivered);
        measured.write_to_report(&mut report, delivered, found.acknowledged.len() as u64);
        report.also("connect_ms", Summary::from_ms(&found.connect_ms));
        if let Some(latency) = report.latency_ms {
            report.also("last_receiver_ms", latency.max);
        }
    } else {
        let found = room.fleet.finish().await?;
        report.also("connect_ms", Summary::from_ms(&found.connect_ms));
        report.errors.clone_from(&found.errors);
    }
    report.plots.push(room.coming);
    if let Some(floors) = floors {
        floors.finish(&mut report).await?;
    }
    report.emit(&args.report)
}

/// Some posts of an open loop, until they are on every screen; what that cost.
///
/// # Errors
/// When posts are neither answered nor given up.
pub async fn post_part(args: &CrowdArgs, fleet: &mut Fleet, first: u32, count: u32) -> anyhow::Result<Measured> {
    let meter = Meter::start(&args.server_pids, fleet.pids());
    let start_us = now_us() + LEAD.as_micros() as i64;
    let flow = Flow { first, count, start_us, per_s: args.posts_per_s, at_once: 0, bytes: args.bytes, mixed: false };
    fleet.post(flow).await?;
    tokio::time::sleep(LEAD + Duration::from_secs_f64(f64::from(count) / args.posts_per_s)).await;
    finish_posts(fleet, Duration::from_secs(args.settle_s)).await?;
    Ok(meter.read())
}

/// Waits until every post has ended and everything acknowledged is on every screen, or `settle` has passed after the last
/// answer: whoever has not seen it by then has lost it, and the checker says how much.
///
/// # Errors
/// When posts are neither answered nor given up.
pub async fn finish_posts(fleet: &mut Fleet, settle: Duration) -> anyhow::Result<()> {
    fleet.until(Duration::from_secs(60), |sum| sum.posting == 0).await.context("some posts were never answered")?;
    let whole = fleet.until(settle, |sum| sum.whole_to.iter().zip(&sum.acknowledged_to).all(|(whole, due)| whole >= due)).await;
    if let Err(error) = whole {
        tracing::warn!(%error, "not everything came to every screen");
    }
    Ok(())
}
