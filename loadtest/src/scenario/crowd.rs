//! Thousands of viewers in one room: what a delivery, a connection and an idle socket cost, and whether every comment came
//! to every screen. Run by generator processes; the floor of the same machine and run stands beside it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use parking_lot::Mutex;
use proto::v1::{Comment, Post, client_frame, post::Content, server_frame, sign_in::Credential};
use serde::Serialize;

use super::{
    broadcast::{Floor, cpu_of_all, deliveries, floor, latency, share},
    consultation::first_open,
};
use crate::{
    CrowdArgs,
    client::{
        self, Session,
        http::ticket,
        mark::text_of,
        now_us,
        socket::{Incoming, Socket},
    },
    fleet::Fleet,
    generator::orders::{Found, Plan},
    measure::{Cpu, rss_kib_of},
    report::Summary,
};

/// What was measured. Fields that a scenario does not have are left out.
#[derive(Debug, Serialize)]
pub struct CrowdReport {
    scenario: &'static str,
    connections: usize,
    connect_s: f64,
    connects_per_s: f64,
    connect_ms: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_kib_per_connection: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us_per_connection_s: Option<f64>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    deliveries: Option<Deliveries>,
    errors: BTreeMap<String, u64>,
}

/// What came to the screens.
#[derive(Debug, Serialize)]
struct Deliveries {
    posts: u64,
    posts_per_s: f64,
    acknowledged: u64,
    acknowledged_per_s: f64,
    expected: u64,
    delivered: u64,
    lost: u64,
    duplicated: u64,
    out_of_order: u64,
    unacknowledged_seen: u64,
    reconnected: u64,
    latency_ms: Summary,
    deliveries_per_s: f64,
    window_ms: u32,
    cpu_us_per_delivery: f64,
    cpu_user_us_per_delivery: f64,
    generator_share: f64,
    /// The generators were busy all the time: what was measured is theirs and not the server's.
    generators_were_the_bottleneck: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    floor_cpu_us_per_delivery: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_floor: Option<f64>,
}

/// Runs it and reports.
///
/// # Errors
/// When the service cannot be reached, sockets do not come in, or posts are neither answered nor given up.
pub async fn run(scenario: &'static str, args: CrowdArgs) -> anyhow::Result<()> {
    anyhow::ensure!(args.viewers > 0, "a crowd needs viewers");
    let sessions = client::sessions(&args.target, args.viewers.max(args.posters)).await?;
    let conversation = match &args.consultation {
        Some(id) => id.clone(),
        None => first_open(&args.target.target, &sessions[0]).await?,
    };
    let run = format!("{:08x}", rand::random::<u32>());
    let targets: Vec<String> = args.target.target.iter().map(|target| target.trim_start_matches("http://").to_owned()).collect();
    let plan = Plan {
        targets,
        sources: (2..18).map(|last| format!("127.0.0.{last}")).collect(),
        tokens: sessions.iter().take(args.viewers).map(|session| session.token.clone()).collect(),
        rooms: vec![conversation.clone()],
        follows: vec![0; args.viewers],
        run: run.clone(),
        per_s: args.connects_per_s,
        deflate: args.deflate,
        reconnect: true,
        bare: false,
    };
    let rss_empty: u64 = args.server_pids.iter().filter_map(|pid| rss_kib_of(*pid)).sum();
    let started = Instant::now();
    let mut fleet = Fleet::start(&plan, args.generators.max(1), args.generator_cpus.as_deref()).await?;
    let within = Duration::from_secs(60) + Duration::from_secs_f64(args.viewers as f64 / 500.0);
    fleet.until(within, |sum| sum.live == args.viewers as u64).await.context("all viewers in the room")?;
    let connect_s = started.elapsed().as_secs_f64();

    let mut report = CrowdReport {
        scenario,
        connections: args.viewers,
        connect_s,
        connects_per_s: args.viewers as f64 / connect_s,
        connect_ms: Summary::default(),
        rss_kib_per_connection: None,
        cpu_us_per_connection_s: None,
        deliveries: None,
        errors: BTreeMap::new(),
    };
    if args.idle_s > 0 && !args.server_pids.is_empty() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (before, began) = (cpu_of_all(&args.server_pids), Instant::now());
        tokio::time::sleep(Duration::from_secs(args.idle_s)).await;
        let used = cpu_of_all(&args.server_pids).since(before);
        let rss: u64 = args.server_pids.iter().filter_map(|pid| rss_kib_of(*pid)).sum();
        report.rss_kib_per_connection = Some(rss.saturating_sub(rss_empty) as f64 / args.viewers as f64);
        report.cpu_us_per_connection_s = Some(used.total_us as f64 / args.viewers as f64 / began.elapsed().as_secs_f64());
    }
    let posted = if args.posts_per_s > 0.0 { Some(post(&args, &mut fleet, &sessions, &conversation, &run).await?) } else { None };
    let found = fleet.finish().await?;
    report.connect_ms = quantiles(found.connect_ms.iter().map(|ms| f64::from(*ms)).collect());
    report.errors.clone_from(&found.errors);
    if let Some(posted) = posted {
        let floor = match args.floor {
            true => {
                Some(floor(args.viewers, args.floor_bytes, 20, 4.0, args.server_cpus.as_deref(), args.generator_cpus.as_deref()).await?)
            }
            false => None,
        };
        report.deliveries = Some(judge(&args, &found, &posted, floor.as_ref()));
    }
    let text = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.json {
        std::fs::write(path, &text).with_context(|| path.display().to_string())?;
    }
    println!("{text}");
    if args.strict {
        let clean = report
            .deliveries
            .as_ref()
            .is_none_or(|found| found.lost == 0 && found.duplicated == 0 && found.out_of_order == 0 && found.unacknowledged_seen == 0);
        anyhow::ensure!(clean, "the histories are not clean");
    }
    Ok(())
}

/// What was posted, and what it cost until all of it was on every screen.
struct Posted {
    /// When each post was due, microseconds since 1970.
    due: Vec<i64>,
    /// seq of each that was acknowledged.
    acknowledged: BTreeMap<u32, u64>,
    seconds: f64,
    used: Cpu,
    generator_share: f64,
}

async fn post(args: &CrowdArgs, fleet: &mut Fleet, sessions: &[Session], conversation: &str, run: &str) -> anyhow::Result<Posted> {
    let total = (args.posts_per_s * args.seconds as f64).round().max(1.0) as u32;
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let ended = Arc::new(AtomicU64::new(0));
    let mut orders = Vec::new();
    let mut posters = tokio::task::JoinSet::new();
    for (number, session) in sessions.iter().take(args.posters.max(1)).enumerate() {
        let (send, receive) = tokio::sync::mpsc::channel::<u32>(4_096);
        orders.push(send);
        let target = args.target.target[number % args.target.target.len()].clone();
        let poster = Poster {
            target,
            session: session.clone(),
            conversation: conversation.to_owned(),
            run: run.to_owned(),
            bytes: args.bytes,
            acknowledged: acknowledged.clone(),
            ended: ended.clone(),
        };
        posters.spawn(poster.run(receive));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    fleet.begin().await?;
    let (server_before, generators_before) = (cpu_of_all(&args.server_pids), cpu_of_all(&fleet.pids()));
    let started = Instant::now();
    let mut due = Vec::with_capacity(total as usize);
    for index in 0..total {
        // Open loop: a post is due at its time, whether those before it were answered or not.
        let at = started + Duration::from_secs_f64(f64::from(index) / args.posts_per_s);
        tokio::time::sleep_until(at.into()).await;
        due.push(now_us() - at.elapsed().as_micros() as i64);
        orders[index as usize % orders.len()].send(index).await.context("a poster ended early")?;
    }
    drop(orders);
    let deadline = Instant::now() + Duration::from_secs(60);
    while ended.load(Relaxed) < u64::from(total) {
        anyhow::ensure!(Instant::now() < deadline, "some posts were never answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let last = acknowledged.lock().values().copied().max().unwrap_or(0);
    // Whoever has not seen it within this time has lost it; the checker says how much.
    let whole = fleet.until(Duration::from_secs(args.settle_s), |sum| sum.whole_to[0] >= last).await;
    if let Err(error) = whole {
        tracing::warn!(%error, "not everything came to every screen");
    }
    let seconds = started.elapsed().as_secs_f64();
    let used = cpu_of_all(&args.server_pids).since(server_before);
    let generator_share = share(&fleet.pids(), generators_before, started.elapsed());
    posters.shutdown().await;
    let acknowledged = std::mem::take(&mut *acknowledged.lock());
    Ok(Posted { due, acknowledged, seconds, used, generator_share })
}

/// Posts what it is told to, each with one client_id until it is answered.
struct Poster {
    target: String,
    session: Session,
    conversation: String,
    run: String,
    bytes: usize,
    acknowledged: Arc<Mutex<BTreeMap<u32, u64>>>,
    ended: Arc<AtomicU64>,
}

impl Poster {
    async fn run(self, mut orders: tokio::sync::mpsc::Receiver<u32>) -> anyhow::Result<()> {
        let mut socket = self.connect().await?;
        let mut waiting: BTreeMap<u32, u32> = BTreeMap::new();
        loop {
            tokio::select! {
                order = orders.recv(), if waiting.len() < 32 => {
                    let Some(index) = order else {
                        if waiting.is_empty() { return Ok(()) }
                        // Nothing more to post: the answers that are still to come.
                        orders.close();
                        match socket.next().await {
                            Incoming::Frame(frame) => self.take(&mut waiting, frame.re, frame.frame),
                            Incoming::Closed(_) => anyhow::bail!("a poster's line broke"),
                        }
                        continue;
                    };
                    let id = socket.send(client_frame::Frame::Post(self.post(index))).await?;
                    waiting.insert(id, index);
                }
                incoming = socket.next() => match incoming {
                    Incoming::Frame(frame) => self.take(&mut waiting, frame.re, frame.frame),
                    Incoming::Closed(code) => anyhow::bail!("a poster's line broke ({code:?})"),
                },
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<Socket> {
        let ticket = ticket(&self.target, &self.session.token).await?;
        let (socket, _) = Socket::open(&self.target, Credential::Ticket(ticket), Vec::new()).await?;
        Ok(socket)
    }

    fn post(&self, index: u32) -> Post {
        let mut text = text_of(&self.run, index);
        // Filled up to the size of the run: a header, ids and times come to about 60 bytes on top.
        while text.len() + 60 < self.bytes {
            text.push_str("。商量");
        }
        Post {
            conversation: self.conversation.clone(),
            client_id: uuid::Uuid::now_v7().to_string(),
            content: Some(Content::Comment(Comment { text, ..Comment::default() })),
        }
    }

    fn take(&self, waiting: &mut BTreeMap<u32, u32>, re: u32, frame: Option<server_frame::Frame>) {
        let Some(index) = waiting.remove(&re) else { return };
        match frame {
            Some(server_frame::Frame::Receipt(receipt)) => {
                let seq = receipt.position.map_or(0, |position| position.seq);
                self.acknowledged.lock().insert(index, seq);
            }
            other => tracing::warn!(?other, "a post was not acknowledged"),
        }
        self.ended.fetch_add(1, Relaxed);
    }
}

fn judge(args: &CrowdArgs, found: &Found, posted: &Posted, floor: Option<&Floor>) -> Deliveries {
    let acknowledged = posted.acknowledged.len() as u64;
    let last = posted.acknowledged.values().copied().max().unwrap_or(0);
    // Every socket is due everything between where it stood at the beginning and the last acknowledged post.
    let due: u64 = found.reached.iter().map(|(_, from, _)| last.saturating_sub(*from)).sum();
    let lost: u64 = found.reached.iter().map(|(_, _, to)| last.saturating_sub(*to)).sum();
    let seen: BTreeMap<u32, u64> =
        found.stretches.iter().flat_map(|stretch| stretch.posts.iter().map(|(seq, post)| (*post, *seq))).collect();
    let unacknowledged_seen = seen.iter().filter(|(post, seq)| posted.acknowledged.get(post) != Some(seq)).count() as u64;
    let delivered = deliveries(found);
    let per = |us: u64| us as f64 / delivered.max(1) as f64;
    let cpu = per(posted.used.total_us);
    Deliveries {
        posts: posted.due.len() as u64,
        posts_per_s: args.posts_per_s,
        acknowledged,
        acknowledged_per_s: acknowledged as f64 / posted.seconds,
        expected: due,
        delivered,
        lost,
        duplicated: found.duplicated,
        out_of_order: found.out_of_order,
        unacknowledged_seen,
        reconnected: found.reconnected,
        latency_ms: latency(found, |post| posted.due.get(post as usize).copied()),
        deliveries_per_s: delivered as f64 / posted.seconds,
        window_ms: found.stretches.iter().map(|stretch| stretch.window_ms).max().unwrap_or(0),
        cpu_us_per_delivery: cpu,
        cpu_user_us_per_delivery: per(posted.used.user_us),
        generator_share: posted.generator_share,
        generators_were_the_bottleneck: posted.generator_share > 0.95,
        floor_cpu_us_per_delivery: floor.map(|floor| floor.cpu_us_per_delivery),
        ratio_to_floor: floor.map(|floor| cpu / floor.cpu_us_per_delivery),
    }
}

fn quantiles(mut values: Vec<f64>) -> Summary {
    values.sort_by(f64::total_cmp);
    let at = |quantile: f64| values.get(((values.len() as f64 * quantile).ceil() as usize).saturating_sub(1)).copied().unwrap_or(0.0);
    Summary { p50: at(0.5), p99: at(0.99), max: at(1.0) }
}
