//! The coordinator's side of the generators: starts them as processes, gives each its share, merges their findings.

use std::{
    collections::BTreeMap,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::generator::{
    arrivals::{Latencies, histogram},
    orders::{Answer, Flow, FrameSummary, Order, Plan, Progress, RunFindings, Seat},
};

/// A process with some thousands of sockets.
struct Generator {
    /// Sockets that do not post.
    watching: usize,
    child: Child,
    stdin: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// All generators of a run.
pub struct Fleet {
    generators: Vec<Generator>,
    started: Instant,
}

/// The command for this executable, pinned to cores as for taskset.
///
/// # Errors
/// When this executable cannot be found.
pub fn this_on(cpus: Option<&str>) -> anyhow::Result<Command> {
    let this = std::env::current_exe().context("finding this executable")?;
    Ok(match cpus {
        Some(cpus) => {
            let mut command = Command::new("taskset");
            command.arg("-c").arg(cpus).arg(this);
            command
        }
        None => Command::new(this),
    })
}

/// Deals seats out to `processes` shares, in turn.
#[must_use]
pub fn deal(seats: Vec<Seat>, processes: usize) -> Vec<Vec<Seat>> {
    let mut shares = vec![Vec::with_capacity(seats.len() / processes.max(1) + 1); processes.max(1)];
    for (number, seat) in seats.into_iter().enumerate() {
        shares[number % processes.max(1)].push(seat);
    }
    shares
}

impl Fleet {
    /// Starts a generator for each share; `plan` is what they have in common. `cpus`, as for taskset, pins them.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn start(plan: &Plan, shares: Vec<Vec<Seat>>, cpus: Option<&str>) -> anyhow::Result<Self> {
        let processes = shares.len();
        let posters = shares.iter().flatten().filter(|seat| seat.posts.is_some()).count() as u32;
        let sockets: usize = shares.iter().map(Vec::len).sum();
        let mut generators = Vec::with_capacity(processes);
        for (number, seats) in shares.into_iter().enumerate() {
            let mut share = plan.clone();
            share.posters = posters;
            share.per_s = (u64::from(plan.per_s) * seats.len() as u64).div_ceil(sockets.max(1) as u64).max(1) as u32;
            share.connecting_most = (u64::from(plan.connecting_most) * seats.len() as u64).div_ceil(sockets.max(1) as u64) as u32;
            // A range of local addresses of its own: ports are counted per address.
            share.sources = (0..4).map(|of| format!("127.0.0.{}", 2 + (number * 4 + of) % 250)).collect();
            let watching = seats.iter().filter(|seat| seat.posts.is_none()).count();
            share.seats = seats;
            let mut command = this_on(cpus)?;
            command.arg("generator").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn().context("starting a generator")?;
            let stdin = child.stdin.take().context("a generator without stdin")?;
            let stdout = child.stdout.take().context("a generator without stdout")?;
            let mut generator = Generator { watching, child, stdin, answers: BufReader::new(stdout).lines() };
            generator.send_order(&Order::Open(Box::new(share))).await?;
            generators.push(generator);
        }
        Ok(Self { generators, started: Instant::now() })
    }

    /// Process ids, for the accounting.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.generators.iter().filter_map(|generator| generator.child.id()).collect()
    }

    /// The progress of all generators: sums, and of each room the lowest seq that all sockets have.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn progress(&mut self) -> anyhow::Result<Progress> {
        self.send_to_all(&Order::Progress).await?;
        let mut sum = Progress::default();
        for generator in &mut self.generators {
            let Answer::Progress(progress) = generator.read_answer().await? else { anyhow::bail!("a generator answers something else") };
            sum.live += progress.live;
            sum.failed += progress.failed;
            sum.delivered += progress.delivered;
            sum.reconnected += progress.reconnected;
            sum.acknowledged += progress.acknowledged;
            sum.posting += progress.posting;
            if sum.whole_to.is_empty() {
                (sum.whole_to, sum.acknowledged_to) = (progress.whole_to, progress.acknowledged_to);
            } else {
                sum.whole_to.iter_mut().zip(&progress.whole_to).for_each(|(sum, mine)| *sum = (*sum).min(*mine));
                sum.acknowledged_to.iter_mut().zip(&progress.acknowledged_to).for_each(|(sum, mine)| *sum = (*sum).max(*mine));
            }
        }
        Ok(sum)
    }

    /// Waits until `done`; returns the progress then, and the time since the start.
    ///
    /// # Errors
    /// When a generator died, or it took longer than `within`.
    pub async fn until(&mut self, within: Duration, done: impl Fn(&Progress) -> bool) -> anyhow::Result<(Progress, Duration)> {
        let deadline = Instant::now() + within;
        loop {
            let sum = self.progress().await?;
            if done(&sum) {
                return Ok((sum, self.started.elapsed()));
            }
            if Instant::now() > deadline {
                let whole = sum.whole_to.iter().zip(&sum.acknowledged_to).filter(|(whole, due)| whole < due).count();
                anyhow::bail!(
                    "not within {within:?}: {} live, {} gave up, {} posts acknowledged, {} under way, {whole} rooms not whole",
                    sum.live,
                    sum.failed,
                    sum.acknowledged,
                    sum.posting
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Begins the measurement in all generators.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        self.send_to_all(&Order::Begin).await?;
        // The answer comes after Begin was done, for orders are handled one after the other.
        self.progress().await.map(|_| ())
    }

    /// Begins a flow of posts.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn post(&mut self, flow: Flow) -> anyhow::Result<()> {
        self.send_to_all(&Order::Post(flow)).await
    }

    /// Ends the flow of posts; those under way go on.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.send_to_all(&Order::Stop).await
    }

    /// Breaks connections of those who do not post, `per_s` a second over all generators, each for `away` on average; 0: no more.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn churn(&mut self, per_s: f64, away: Duration) -> anyhow::Result<()> {
        let watching: usize = self.generators.iter().map(|generator| generator.watching).sum();
        for generator in &mut self.generators {
            let own = per_s * generator.watching as f64 / watching.max(1) as f64;
            generator.send_order(&Order::Churn { per_s: own, away_ms: away.as_millis() as u64 }).await?;
        }
        Ok(())
    }

    /// Latencies by group and by the second that posts were due in.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn seconds(&mut self) -> anyhow::Result<BTreeMap<u8, Latencies>> {
        self.send_to_all(&Order::Seconds).await?;
        let mut groups: BTreeMap<u8, Latencies> = BTreeMap::new();
        for generator in &mut self.generators {
            let Answer::Seconds(found) = generator.read_answer().await? else { anyhow::bail!("a generator answers something else") };
            for (group, seconds) in found {
                let latencies = groups.entry(group).or_default();
                for (second, sparse) in seconds {
                    sparse.add_to(latencies.seconds.entry(second).or_insert_with(|| histogram(2)));
                }
            }
        }
        Ok(groups)
    }

    /// Ends all generators; returns their findings merged.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn finish(mut self) -> anyhow::Result<RunFindings> {
        self.send_to_all(&Order::Finish).await?;
        let mut all_findings = Vec::with_capacity(self.generators.len());
        for generator in &mut self.generators {
            let Answer::Findings(found) = generator.read_answer().await? else { anyhow::bail!("a generator answers something else") };
            all_findings.push(*found);
            let _ = generator.child.wait().await;
        }
        Ok(merge(all_findings))
    }

    async fn send_to_all(&mut self, order: &Order) -> anyhow::Result<()> {
        for generator in &mut self.generators {
            generator.send_order(order).await?;
        }
        Ok(())
    }
}

/// Merges the findings of several generators.
fn merge(all_findings: Vec<RunFindings>) -> RunFindings {
    let mut all = RunFindings::default();
    let mut frames: BTreeMap<(u32, Option<u64>, u32, u32), FrameSummary> = BTreeMap::new();
    let mut groups: BTreeMap<u8, Latencies> = BTreeMap::new();
    let mut receipts = Latencies::default();
    let mut other = Vec::new();
    for found in all_findings {
        for frame in found.frames {
            // The same frame came to sockets of several generators.
            match frame.posts.first() {
                Some((seq, _)) => match frames.entry((frame.room, Some(*seq), frame.count, frame.bytes)) {
                    std::collections::btree_map::Entry::Occupied(mut same) if same.get().posts == frame.posts => {
                        same.get_mut().sockets += frame.sockets;
                    }
                    std::collections::btree_map::Entry::Occupied(_) => other.push(frame),
                    std::collections::btree_map::Entry::Vacant(new) => {
                        new.insert(frame);
                    }
                },
                None => other.push(frame),
            }
        }
        all.reached.extend(found.reached);
        all.duplicated += found.duplicated;
        all.out_of_order += found.out_of_order;
        all.replayed += found.replayed;
        all.reconnected += found.reconnected;
        all.connect_ms.extend(found.connect_ms);
        all.back_ms.extend(found.back_ms);
        all.acknowledged.extend(found.acknowledged);
        all.due += found.due;
        all.cpu_us += found.cpu_us;
        found.receipts.add_to(&mut receipts);
        for (group, sparse) in &found.latencies {
            sparse.add_to(groups.entry(*group).or_default());
        }
        for (sum, mine) in
            [(&mut all.errors, found.errors), (&mut all.verdicts, found.verdicts), (&mut all.unacknowledged, found.unacknowledged)]
        {
            for (what, count) in mine {
                *sum.entry(what).or_default() += count;
            }
        }
    }
    all.frames = frames.into_values().chain(other).collect();
    all.receipts = receipts.sparse();
    all.latencies = groups.into_iter().map(|(group, latencies)| (group, latencies.sparse())).collect();
    all
}

impl Generator {
    async fn send_order(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await.context("a generator died")?;
        self.stdin.flush().await.context("a generator died")
    }

    async fn read_answer(&mut self) -> anyhow::Result<Answer> {
        let line = self.answers.next_line().await?.context("a generator died")?;
        Ok(serde_json::from_str(&line)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_dealt_out_evenly() {
        let shares = deal(vec![Seat::default(); 7], 3);
        assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 2]);
    }

    #[test]
    fn a_frame_that_came_to_two_generators_is_one_frame() {
        let frame = |sockets| FrameSummary { posts: vec![(5, 0)], count: 1, bytes: 300, sockets, ..FrameSummary::default() };
        let found = |sockets| RunFindings { frames: vec![frame(sockets)], duplicated: 1, ..RunFindings::default() };
        let all = merge(vec![found(2), found(3)]);
        assert_eq!(all.frames, [frame(5)]);
        assert_eq!(all.duplicated, 2);
    }
}
