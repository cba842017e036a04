//! One comment to many screens, again and again: what a delivery costs, against the floor of the same run.

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::{
    fleet::Fleet,
    generator::{
        catalogue::BUCKET_US,
        orders::{Found, Plan},
    },
    measure::{Cpu, cpu_of},
    report::Summary,
};

/// What the floor costs on this machine, in this run.
#[derive(Clone, Debug, Serialize)]
pub struct Floor {
    /// Sockets.
    pub connections: usize,
    /// Deliveries.
    pub delivered: u64,
    /// User and system time of the server over deliveries.
    pub cpu_us_per_delivery: f64,
    /// User time over deliveries.
    pub cpu_user_us_per_delivery: f64,
    /// From the write's beginning to arrival.
    pub latency_ms: Summary,
    /// CPU of the generators over wall time over their number: near 1, and they were the bottleneck.
    pub generator_share: f64,
}

/// A floor server as a process of its own.
struct Server {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
}

impl Server {
    async fn start(cpus: Option<&str>) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let mut command = match cpus {
            Some(cpus) => {
                let mut command = Command::new("taskset");
                command.arg("-c").arg(cpus).arg(&this);
                command
            }
            None => Command::new(&this),
        };
        let mut child =
            command.args(["floor", "--listen", "127.0.0.1:0"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdin = child.stdin.take().context("the floor without stdin")?;
        let mut lines = BufReader::new(child.stdout.take().context("the floor without stdout")?).lines();
        let line = lines.next_line().await?.context("the floor ended early")?;
        let address = line.strip_prefix("listening ").context("the floor says something else")?.parse()?;
        Ok(Self { child, stdin, lines, address })
    }

    /// One frame to all: its seq, and to how many it was written.
    async fn post(&mut self, bytes: usize, text: &str) -> anyhow::Result<(u64, usize)> {
        self.stdin.write_all(format!("post {bytes} {text}\n").as_bytes()).await?;
        self.stdin.flush().await?;
        let line = self.lines.next_line().await?.context("the floor ended early")?;
        let mut words = line.split(' ').skip(1).map(str::parse::<u64>);
        match (words.next(), words.next()) {
            (Some(Ok(seq)), Some(Ok(sockets))) => Ok((seq, sockets as usize)),
            _ => anyhow::bail!("the floor says something else: {line}"),
        }
    }
}

/// Measures the floor: `connections` sockets, a frame of `bytes`, `rounds` times, each after the one before has come
/// to all, and at most `per_s` a second.
///
/// # Errors
/// When sockets fail or frames are lost.
pub async fn floor(
    connections: usize,
    bytes: usize,
    rounds: u32,
    per_s: f64,
    server_cpus: Option<&str>,
    generator_cpus: Option<&str>,
) -> anyhow::Result<Floor> {
    let mut server = Server::start(server_cpus).await?;
    let plan = Plan {
        targets: vec![server.address.to_string()],
        sources: (2..10).map(|last| format!("127.0.0.{last}")).collect(),
        tokens: vec![String::new(); connections],
        rooms: vec!["floor".into()],
        follows: vec![0; connections],
        run: "floor".into(),
        per_s: 20_000,
        deflate: false,
        reconnect: false,
        bare: true,
    };
    let mut fleet = Fleet::start(&plan, 1, generator_cpus).await?;
    fleet.until(Duration::from_secs(60), |sum| sum.live == connections as u64).await.context("connecting to the floor")?;
    // The first frame that goes to all tells every socket where it stands; what is measured begins after it.
    let seq = loop {
        let (seq, sockets) = server.post(bytes, "〔floor:0〕").await?;
        if sockets == connections {
            break seq;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    fleet.until(Duration::from_secs(60), |sum| sum.whole_to[0] >= seq).await?;
    fleet.begin().await?;
    let pid = server.child.id().context("the floor is gone")?;
    let before = cpu_of(pid).context("the floor is gone")?;
    let generators_before = cpu_of_all(&fleet.pids());
    let started = Instant::now();
    let mut due = Vec::new();
    for round in 1..=rounds {
        let next = started + Duration::from_secs_f64(f64::from(round - 1) / per_s);
        tokio::time::sleep_until(next.into()).await;
        due.push(crate::client::now_us());
        let (seq, _) = server.post(bytes, &format!("〔floor:{round}〕")).await?;
        fleet.until(Duration::from_secs(30), |sum| sum.whole_to[0] >= seq).await.context("a frame of the floor was lost")?;
    }
    let used = cpu_of(pid).context("the floor is gone")?.since(before);
    let generator_share = share(&fleet.pids(), generators_before, started.elapsed());
    let found = fleet.finish().await?;
    let delivered = deliveries(&found);
    anyhow::ensure!(delivered == u64::from(rounds) * connections as u64, "the floor delivered {delivered}");
    Ok(Floor {
        connections,
        delivered,
        cpu_us_per_delivery: used.total_us as f64 / delivered as f64,
        cpu_user_us_per_delivery: used.user_us as f64 / delivered as f64,
        latency_ms: latency(&found, |post| due.get(post as usize - 1).copied()),
        generator_share,
    })
}

/// CPU of several processes.
#[must_use]
pub fn cpu_of_all(pids: &[u32]) -> Cpu {
    pids.iter()
        .filter_map(|pid| cpu_of(*pid))
        .fold(Cpu::default(), |sum, cpu| Cpu { total_us: sum.total_us + cpu.total_us, user_us: sum.user_us + cpu.user_us })
}

/// Share of a core that each of these processes used.
#[must_use]
pub fn share(pids: &[u32], before: Cpu, over: Duration) -> f64 {
    cpu_of_all(pids).since(before).total_us as f64 / over.as_micros().max(1) as f64 / pids.len().max(1) as f64
}

/// Events times sockets.
#[must_use]
pub fn deliveries(found: &Found) -> u64 {
    found
        .stretches
        .iter()
        .map(|stretch| u64::from(stretch.count) * stretch.arrivals.values().map(|sockets| u64::from(*sockets)).sum::<u64>())
        .sum()
}

/// Latencies of all deliveries of posts, from when each was due (microseconds since 1970).
#[must_use]
pub fn latency(found: &Found, due: impl Fn(u32) -> Option<i64>) -> Summary {
    let mut latencies: Vec<(i64, u64)> = Vec::new();
    for stretch in &found.stretches {
        for due in stretch.posts.iter().filter_map(|(_, post)| due(*post)) {
            latencies.extend(stretch.arrivals.iter().map(|(bucket, sockets)| ((bucket * BUCKET_US - due).max(0), u64::from(*sockets))));
        }
    }
    latencies.sort_unstable();
    let all: u64 = latencies.iter().map(|(_, sockets)| sockets).sum();
    let at = |quantile: f64| {
        let rank = (all as f64 * quantile).ceil() as u64;
        let mut passed = 0;
        latencies
            .iter()
            .find(|(_, sockets)| {
                passed += sockets;
                passed >= rank
            })
            .map_or(0.0, |(micros, _)| *micros as f64 / 1_000.0)
    };
    Summary { p50: at(0.5), p99: at(0.99), max: at(1.0) }
}
