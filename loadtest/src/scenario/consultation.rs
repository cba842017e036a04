//! The reference meeting: all watch, some post as in a real meeting, and every history is checked.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use proto::v1::{ConsultationState, ListConsultationsRequest, consultation_service_client::ConsultationServiceClient};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    ConsultationArgs,
    checker::{self, Outcome},
    client::{
        self, Session,
        record::{Counters, Ended, Order, Record, Shared},
        viewer::Viewer,
        wall_ms,
    },
    report::{self, Latency, Report},
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
    let conversation = match &args.consultation {
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
    let started = Instant::now();
    let started_ms = client::now_ms();
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
    // A moment more, in which what must not come could come.
    tokio::time::sleep(Duration::from_millis(500)).await;
    bar.finish_and_clear();
    finish.cancel();
    let records = viewers.join_all().await;
    all_ended.context("some posts were neither answered nor given up")?;

    let report = evaluate(&args, &shared, &records, times.len(), started, started_ms);
    report::emit(&report, &args.report)?;
    if args.strict && !report.findings.clean() {
        anyhow::bail!("the histories are not clean: {:?}", report.findings);
    }
    Ok(())
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

/// The first open consultation in which the first viewer may post.
///
/// # Errors
/// When there is none, or the gateway cannot be reached.
pub async fn first_open(targets: &[String], session: &Session) -> anyhow::Result<String> {
    let channel = tonic::transport::Channel::from_shared(targets[0].clone())?.connect().await.context("reaching the gateway by gRPC")?;
    let bearer: tonic::metadata::MetadataValue<_> = format!("Bearer {}", session.token).parse()?;
    let mut client = ConsultationServiceClient::with_interceptor(channel, move |mut request: tonic::Request<()>| {
        request.metadata_mut().insert("authorization", bearer.clone());
        Ok(request)
    });
    let request =
        ListConsultationsRequest { states: vec![ConsultationState::Open.into()], limit: 50, ..ListConsultationsRequest::default() };
    let found = client.list_consultations(request).await?.into_inner().consultations;
    found
        .into_iter()
        .find(|consultation| consultation.may_post)
        .map(|consultation| consultation.id)
        .context("no open consultation to post in")
}

fn evaluate(args: &ConsultationArgs, shared: &Shared, records: &[Record], posts: usize, started: Instant, started_ms: i64) -> Report {
    let mut outcomes = vec![Outcome::Unacknowledged; posts];
    let mut ended: HashMap<u32, Ended> = HashMap::new();
    for end in records.iter().flat_map(|record| &record.ended) {
        outcomes[end.index as usize] = end.outcome;
        ended.insert(end.index, *end);
    }
    let mut refusals: std::collections::BTreeMap<i32, u64> = std::collections::BTreeMap::new();
    for code in ended.values().filter_map(|end| end.refusal) {
        *refusals.entry(code).or_default() += 1;
    }
    let histories: Vec<_> = records.iter().map(|record| record.history.clone()).collect();
    let mut findings = checker::check(&outcomes, &histories);
    findings.out_of_order += records.iter().map(|record| record.holes).sum::<u64>();

    let mut to_screen = Latency::default();
    let mut to_receipt = Latency::default();
    let mut last_seen: HashMap<u32, Instant> = HashMap::new();
    for arrival in records.iter().flat_map(|record| &record.arrivals) {
        let Some(end) = ended.get(&arrival.index) else { continue };
        to_screen.record(end.due, arrival.at, started);
        last_seen.entry(arrival.index).and_modify(|at| *at = (*at).max(arrival.at)).or_insert(arrival.at);
    }
    for end in ended.values().filter(|end| matches!(end.outcome, Outcome::Acknowledged { .. })) {
        to_receipt.record(end.due, end.at, started);
    }
    let mut detail: Vec<[i64; 3]> = Vec::new();
    if args.report.detail {
        detail = ended
            .values()
            .filter(|end| matches!(end.outcome, Outcome::Acknowledged { .. }))
            .map(|end| [wall_ms(end.due), wall_ms(end.at), last_seen.get(&end.index).map_or(0, |at| wall_ms(*at))])
            .collect();
        detail.sort_unstable();
    }
    let acknowledged = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Acknowledged { .. })).count() as u64;
    let seconds = started.elapsed().as_secs_f64();
    Report {
        scenario: "consultation",
        started_ms,
        connections: args.viewers,
        posts: posts as u64,
        posts_per_s: args.posts_per_s.unwrap_or(posts as f64 / args.seconds.max(1) as f64),
        acknowledged,
        unacknowledged: posts as u64 - acknowledged,
        refusals,
        findings,
        holes: records.iter().map(|record| record.holes).sum(),
        healed: records.iter().map(|record| record.healed).sum(),
        resets: records.iter().map(|record| record.resets).sum(),
        reconnected: shared.counters.reconnects.load(Relaxed),
        closes: records.iter().flat_map(|record| &record.closes).fold(Default::default(), |mut sum, (code, count)| {
            *sum.entry(*code).or_default() += count;
            sum
        }),
        latency_ms: to_screen.summary(),
        receipt_ms: to_receipt.summary(),
        seconds,
        detail,
        plot: to_screen.into_plot(),
    }
}
