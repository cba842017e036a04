//! The floor of a run: what a bare server's delivery costs on this machine now, so that figures can be compared.

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use super::judge::latencies;
use crate::{
    args::{CoreArgs, CrowdArgs, FloorArgs},
    client::{
        mark::{Mark, mark_text},
        now_us,
    },
    fleet::{Fleet, this_on},
    generator::{
        arrivals::Latencies,
        orders::{Plan, Seat},
    },
    measure::{Cpu, cpu_of},
    report::{Plot, Report, Summary, percentiles},
};

/// What was measured before on such a machine, µs a delivery: (sockets, lowest, highest). docs/performance.md has the table.
const TABLE: [(usize, f64, f64); 2] = [(19_500, 8.6, 8.6), (221, 5.0, 6.3)];
/// The floor's server has taken all connections by then.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// A floor must agree with the table within this share.
const AGREE: f64 = 0.15;

/// One measuring of it.
struct Measured {
    delivered: u64,
    used: Cpu,
    generator: Cpu,
    elapsed: Duration,
    screens: Histogram<u64>,
}

/// What the floor costs on this machine, in this run.
#[derive(Clone, Debug, Serialize)]
pub struct Floor {
    /// Sockets.
    pub connections: usize,
    /// Bytes of a frame.
    pub bytes: usize,
    /// Deliveries.
    pub delivered: u64,
    /// User and system time of the server over deliveries.
    pub cpu_us_per_delivery: f64,
    /// User time over deliveries.
    pub cpu_user_us_per_delivery: f64,
    /// `cpu_us_per_delivery` each time that it was measured: what the machine itself makes of one and the same.
    pub each_cpu_us_per_delivery: Vec<f64>,
    /// From the write's beginning to arrival.
    pub latency_ms: Summary,
    /// CPU of the generator over wall time.
    pub generator_share: f64,
    /// Latency by percentile.
    #[serde(skip)]
    pub plot: Plot,
}

/// How the floor is measured.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Sockets.
    pub connections: usize,
    /// Bytes of a frame.
    pub bytes: usize,
    /// Frames.
    pub rounds: u32,
    /// Frames a second, at most: each is sent after the one before has reached all sockets.
    pub per_s: f64,
}

impl Pace {
    /// So that the floor is measured in about ten seconds, at the pace of the run that it is for.
    #[must_use]
    pub fn beside(connections: usize, bytes: usize, posts_per_s: f64) -> Self {
        let rounds = (400_000 / connections.max(1)).clamp(20, 2_000) as u32;
        Self { connections, bytes, rounds, per_s: posts_per_s.max(f64::from(rounds) / 10.0) }
    }
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
        let mut command = this_on(cpus)?;
        command.args(["floor", "--listen", "127.0.0.1:0"]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().context("the floor without stdin")?;
        let mut lines = BufReader::new(child.stdout.take().context("the floor without stdout")?).lines();
        let line = lines.next_line().await?.context("the floor ended early")?;
        let address = line.strip_prefix("listening ").context("the floor says something else")?.parse()?;
        Ok(Self { child, stdin, lines, address })
    }

    /// One frame to all: its seq, and to how many it was written.
    async fn post(&mut self, bytes: usize, round: u32) -> anyhow::Result<(u64, usize)> {
        let text = mark_text("floor", Mark { index: round, due_us: now_us() });
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

/// The floor of a run, measured in parts: before it, after it, and between its parts, so that a change in the speed of a shared
/// machine is in both.
pub struct FloorRun {
    pace: Pace,
    cores: CoreArgs,
    measured: Vec<Measured>,
}

impl FloorRun {
    /// Measures the first part, where the run wants a floor: `connections` sockets at the run's pace. `turns`: parts of the run;
    /// the floor is measured before each and after the last.
    ///
    /// # Errors
    /// When sockets fail or frames are lost.
    pub async fn start(args: &CrowdArgs, connections: usize, turns: u32) -> anyhow::Result<Option<Self>> {
        if !args.floor {
            return Ok(None);
        }
        let whole = Pace::beside(connections, args.floor_bytes, args.posts_per_s);
        let pace = Pace { rounds: whole.rounds.div_ceil(1 + turns.max(1)), ..whole };
        let mut this = Self { pace, cores: args.cores.clone(), measured: Vec::new() };
        this.measure_part().await?;
        Ok(Some(this))
    }

    /// Measures one more part.
    ///
    /// # Errors
    /// When sockets fail or frames are lost.
    pub async fn measure_part(&mut self) -> anyhow::Result<()> {
        self.measured.push(measure(self.pace, &self.cores).await?);
        Ok(())
    }

    /// Measures the last part, and writes all as one into a report.
    ///
    /// # Errors
    /// When sockets fail or frames are lost.
    pub async fn finish(mut self, report: &mut Report) -> anyhow::Result<()> {
        self.measure_part().await?;
        write_to_report(report, &Floor::from_measured(self.pace, &self.measured)?);
        Ok(())
    }
}

impl Floor {
    fn from_measured(pace: Pace, measured: &[Measured]) -> anyhow::Result<Self> {
        let delivered: u64 = measured.iter().map(|one| one.delivered).sum();
        let all = |of: fn(&Measured) -> u64| measured.iter().map(of).sum::<u64>() as f64;
        let mut screens = Latencies::default().whole;
        for one in measured {
            screens.add(&one.screens)?;
        }
        let elapsed: Duration = measured.iter().map(|one| one.elapsed).sum();
        Ok(Self {
            connections: pace.connections,
            bytes: pace.bytes,
            delivered,
            cpu_us_per_delivery: all(|one| one.used.total_us) / delivered as f64,
            cpu_user_us_per_delivery: all(|one| one.used.user_us) / delivered as f64,
            each_cpu_us_per_delivery: measured.iter().map(|one| one.used.total_us as f64 / one.delivered as f64).collect(),
            latency_ms: Summary::from_histogram(&screens),
            generator_share: all(|one| one.generator.total_us) / elapsed.as_micros() as f64,
            plot: percentiles("The floor: write to screen, by percentile", &screens),
        })
    }
}

async fn measure(pace: Pace, cores: &CoreArgs) -> anyhow::Result<Measured> {
    let (server_cpus, generator_cpus) = (cores.server_cpus.as_deref(), cores.generator_cpus.as_deref());
    let Pace { connections, bytes, rounds, per_s } = pace;
    let mut server = Server::start(server_cpus).await?;
    let plan = Plan {
        targets: vec![server.address.to_string()],
        rooms: vec!["floor".into()],
        run: "floor".into(),
        per_s: 20_000,
        bare: true,
        bucket_us: 100,
        ..Plan::default()
    };
    let seats = vec![Seat { room: Some(0), ..Seat::default() }; connections];
    let mut fleet = Fleet::start(&plan, vec![seats], generator_cpus).await?;
    fleet.until(Duration::from_secs(60), |sum| sum.live == connections as u32).await.context("connecting to the floor")?;
    // The first frame that goes to all tells every socket where it stands; what is measured begins after it.
    let give_up = Instant::now() + TAKEN_WITHIN;
    let seq = loop {
        let (seq, sockets) = server.post(bytes, 0).await?;
        if sockets == connections {
            break seq;
        }
        anyhow::ensure!(Instant::now() < give_up, "the floor has taken {sockets} of {connections} connections");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    fleet.until(Duration::from_secs(60), |sum| sum.whole_to[0] >= seq).await?;
    fleet.begin().await?;
    let pid = server.child.id().context("the floor is gone")?;
    let generator = fleet.pids()[0];
    let (before, generator_before) = (cpu_of(pid).context("the floor is gone")?, cpu_of(generator).context("the generator is gone")?);
    let started = Instant::now();
    let mut seq = 0;
    for round in 1..=rounds {
        let next = started + Duration::from_secs_f64(f64::from(round - 1) / per_s);
        tokio::time::sleep_until(next.into()).await;
        let (written, sockets) = server.post(bytes, round).await?;
        anyhow::ensure!(sockets == connections, "the floor wrote to {sockets} of {connections}");
        seq = written;
        // Thousands of sockets at once: each frame after the one before has come to all.
        if connections > 2_000 {
            fleet.until(Duration::from_secs(30), |sum| sum.whole_to[0] >= seq).await.context("a frame of the floor was lost")?;
        }
    }
    fleet.until(Duration::from_secs(30), |sum| sum.whole_to[0] >= seq).await.context("a frame of the floor was lost")?;
    let used = cpu_of(pid).context("the floor is gone")?.since(before);
    let (generator, elapsed) = (cpu_of(generator).unwrap_or_default().since(generator_before), started.elapsed());
    let found = fleet.finish().await?;
    let delivered: u64 = found.frames.iter().map(|frame| u64::from(frame.count) * frame.sockets).sum();
    anyhow::ensure!(delivered == u64::from(rounds) * connections as u64, "the floor delivered {delivered}");
    Ok(Measured { delivered, used, generator, elapsed, screens: latencies(&found.latencies, |_| true).whole })
}

/// `floor --measure`: measures it and reports.
///
/// # Errors
/// When it cannot be measured.
pub async fn run(args: FloorArgs) -> anyhow::Result<()> {
    let pace = Pace::beside(args.measure.unwrap_or(1), args.bytes, args.per_s);
    let floor = Floor::from_measured(pace, &[measure(pace, &args.cores).await?])?;
    let mut report = Report::new("floor", floor.connections);
    report.cpu_us_per_delivery = Some(floor.cpu_us_per_delivery);
    report.cpu_user_us_per_delivery = Some(floor.cpu_user_us_per_delivery);
    report.latency_ms = Some(floor.latency_ms);
    report.generator_share = Some(floor.generator_share);
    write_to_report(&mut report, &floor);
    report.emit(&args.report)
}

/// Whether a floor agrees with the table; where it has no such row, there is nothing to hold it against.
#[must_use]
pub fn agrees(floor: &Floor) -> Option<bool> {
    let (_, low, high) = TABLE.iter().find(|(sockets, ..)| *sockets == floor.connections)?;
    Some((low * (1.0 - AGREE)..=high * (1.0 + AGREE)).contains(&floor.cpu_us_per_delivery))
}

/// Writes the floor into a report beside the cost of the server's delivery.
fn write_to_report(report: &mut Report, floor: &Floor) {
    report.floor_cpu_us_per_delivery = Some(floor.cpu_us_per_delivery);
    report.ratio_to_floor = report.cpu_us_per_delivery.map(|cpu| cpu / floor.cpu_us_per_delivery);
    if agrees(floor) == Some(false) {
        report.invalid(format!(
            "the floor of {:.2} µs does not agree with the table within {:.0} %",
            floor.cpu_us_per_delivery,
            AGREE * 100.0
        ));
    }
    report.plots.push(floor.plot.clone());
    report.also("floor", floor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_held_against_the_table() {
        let floor = |connections, cpu_us_per_delivery| Floor {
            connections,
            bytes: 300,
            delivered: 1,
            cpu_us_per_delivery,
            cpu_user_us_per_delivery: 0.1,
            each_cpu_us_per_delivery: vec![cpu_us_per_delivery],
            latency_ms: Summary::default(),
            generator_share: 0.5,
            plot: Plot::default(),
        };
        for (sockets, cpu, expected) in [
            (19_500, 8.6, Some(true)),
            (19_500, 9.9, Some(false)),
            (19_500, 7.2, Some(false)),
            (221, 4.3, Some(true)),
            (221, 7.2, Some(true)),
            (221, 7.3, Some(false)),
            (500, 100.0, None),
        ] {
            assert_eq!(agrees(&floor(sockets, cpu)), expected, "{sockets} {cpu}");
        }
    }
}
