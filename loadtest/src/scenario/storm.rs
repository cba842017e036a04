//! `storm`: one of two gateways is killed, and all its sockets come to the other.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde_json::json;

use super::{
    judge::{self, latencies},
    meter::Meter,
    room::{Room, finish_posts},
    setup,
};
use crate::{
    args::StormArgs,
    client::{self, now_us},
    fleet::{Fleet, deal},
    generator::{
        arrivals::histogram,
        orders::{Flow, Seat},
    },
    report::{Plot, Report, Summary},
};

/// Sockets of the gateway that dies, and of the one that stays.
const LEAVING: u8 = 0;
const STAYING: u8 = 1;
/// Time of measurement before the fault, and again after all sockets have everything.
const CALM: Duration = Duration::from_secs(8);

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached, sockets do not come in, or not all come back.
pub async fn run(args: StormArgs) -> anyhow::Result<()> {
    let crowd = &args.crowd;
    anyhow::ensure!(crowd.target.target.len() == 2, "a storm needs two gateways");
    anyhow::ensure!(args.on_first < crowd.viewers, "some must stay");
    let sessions = client::sessions(&crowd.target, crowd.viewers).await?;
    let conversation = match &crowd.target.consultation {
        Some(id) => id.clone(),
        None => setup::first_open(&crowd.target.target, &sessions[0]).await?,
    };
    let mut report = Report::new("storm", crowd.viewers);
    report.also("on_first", args.on_first);
    let mut plan = setup::plan(&crowd.target.target, crowd.target.ca.as_deref(), vec![conversation], crowd.connects_per_s, crowd.deflate)?;
    plan.bucket_us = 500;
    let seats = setup::viewers(&sessions, 0, 1).into_iter().enumerate().map(|(number, seat)| {
        let stays = number >= args.on_first;
        Seat { target: u16::from(stays), group: if stays { STAYING } else { LEAVING }, ..seat }
    });
    let mut shares = deal(seats.collect(), crowd.generators);
    let posters = setup::posters(&sessions[crowd.viewers - crowd.posters.clamp(1, crowd.viewers)..], 0, 1);
    shares.push(posters.into_iter().map(|seat| Seat { target: 1, ..seat }).collect());
    let mut room = Room::fill_with(crowd, plan, shares).await?;
    let all = room.fleet.progress().await?.live;

    room.fleet.begin().await?;
    let flow = Flow { first: 0, count: 0, start_us: now_us(), per_s: crowd.posts_per_s, at_once: 0, bytes: crowd.bytes, mixed: false };
    room.fleet.post(flow).await?;
    report.posts_per_s = Some(crowd.posts_per_s);
    let calm_from = statements(&args)?;
    tokio::time::sleep(CALM).await;
    let calm_to = statements(&args)?;
    let meter = Meter::start(&crowd.server_pids, room.fleet.pids());
    let killed = Instant::now();
    let killed_us = now_us();
    let done = Command::new("kill").args(["-9", &args.kill_pid.to_string()]).status().context("running kill")?;
    anyhow::ensure!(done.success(), "process {} could not be killed", args.kill_pid);
    let (coming, whole) = come_back(&mut room.fleet, all, args.patience_s, killed).await?;
    let measured = meter.read();
    // Statistics of the database are written when its processes have a moment, at least every second.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let stormy = statements(&args)?;
    let stormy_s = killed.elapsed().as_secs_f64();
    tokio::time::sleep(CALM).await;
    room.fleet.stop().await?;
    finish_posts(&mut room.fleet, Duration::from_secs(crowd.settle_s)).await?;
    let groups = room.fleet.seconds().await?;
    let found = room.fleet.finish().await?;
    judge::write_to_report(&mut report, &found, (now_us() - flow.start_us) as f64 / 1e6);
    measured.write_to_report(&mut report, 0, 0);
    report.seconds_until_whole = whole;
    if whole.is_none() {
        report.invalid(format!("not all were back and whole after {} s", args.patience_s));
    }
    report.also("verdicts", &found.verdicts);
    report.also("back_ms", Summary::from_ms(&found.back_ms));

    // Of those who stayed: the seconds before the fault, and those until all were whole.
    let (fault, end) = (killed_us / 1_000_000, killed_us / 1_000_000 + whole.unwrap_or(args.patience_s as f64).ceil() as i64);
    let of = |from: i64, to: i64| {
        let mut sum = histogram(2);
        for (_, seconds) in groups.get(&STAYING).iter().flat_map(|stays| stays.seconds.range(from..to)) {
            // Both have the same bounds.
            let _ = sum.add(seconds);
        }
        Summary::from_histogram(&sum)
    };
    let (before, during) = (of(0, fault), of(fault, end + 1));
    report.also("stayed_before_ms", before);
    report.also("stayed_during_ms", during);
    report.also("stayed_ratio", during.p99 / before.p99.max(0.001));
    if let (Some(calm_from), Some(calm_to), Some(stormy)) = (calm_from, calm_to, stormy) {
        let calm_per_s = (calm_to.1 - calm_from.1) / CALM.as_secs_f64();
        let during = stormy.1 - calm_to.1;
        let because = (during - calm_per_s * stormy_s).max(0.0);
        report.also(
            "database",
            json!({
                "counted_by": stormy.0,
                "calm_per_s": calm_per_s,
                "during": during,
                "because_of_reconnects": because,
                "share_of_reconnects": because / (found.reconnected.max(1) as f64),
            }),
        );
    }
    let stayed = latencies(&found.latencies, |group| group == STAYING);
    report.plots.push(crate::report::by_second("Post to screen of those who stayed", &stayed));
    report.plots.push(coming);
    report.emit(&crowd.report)
}

/// Until all are live again and have everything that is acknowledged; how many were live by time, and the seconds it took.
async fn come_back(fleet: &mut Fleet, all: u32, patience_s: u64, killed: Instant) -> anyhow::Result<(Plot, Option<f64>)> {
    let mut came = Vec::new();
    let mut missed = false;
    let mut due: Option<Vec<u64>> = None;
    loop {
        let sum = fleet.progress().await?;
        let at = killed.elapsed().as_secs_f64();
        came.push((at, f64::from(sum.live), format!("{at:.2} s")));
        missed |= sum.live < all;
        // Once all are there: what is acknowledged then must be on every screen.
        match &due {
            Some(_) if sum.live < all => due = None,
            None if missed && sum.live >= all => due = Some(sum.acknowledged_to.clone()),
            _ => {}
        }
        let done = due.as_ref().is_some_and(|due| sum.whole_to.iter().zip(due).all(|(whole, due)| whole >= due));
        if done || at > patience_s as f64 {
            return Ok((Plot::new("Sockets after the fault", "seconds", "sockets").line("live", came), done.then_some(at)));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many statements the database has run: by pg_stat_statements where it is there, else its transactions.
fn statements(args: &StormArgs) -> anyhow::Result<Option<(&'static str, f64)>> {
    let Some(url) = &args.database else { return Ok(None) };
    let ask = |sql: &str| -> anyhow::Result<Option<f64>> {
        let output = Command::new("psql").args(["-XAtc", sql, url]).output().context("running psql")?;
        Ok(if output.status.success() { String::from_utf8_lossy(&output.stdout).trim().parse().ok() } else { None })
    };
    let own = "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'";
    if let Some(calls) = ask(own)? {
        return Ok(Some(("pg_stat_statements", calls)));
    }
    let transactions = ask("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")?;
    Ok(transactions.map(|count| ("transactions of pg_stat_database", count)))
}
