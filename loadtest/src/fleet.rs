//! The coordinator's side of the generators: starts them as processes, gives each its share, gathers what they found.

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

use crate::generator::orders::{Found, Note, Order, Plan, Standing};

/// A process with some thousands of sockets.
struct Generator {
    child: Child,
    stdin: ChildStdin,
    notes: Lines<BufReader<ChildStdout>>,
    standing: Standing,
}

/// All generators of a run.
pub struct Fleet {
    generators: Vec<Generator>,
    started: Instant,
}

/// The sum of what stands, and the lowest of what is whole.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Sockets subscribed.
    pub live: u64,
    /// Sockets that gave up.
    pub failed: u64,
    /// Events times sockets.
    pub delivered: u64,
    /// By room: every socket has everything up to here.
    pub whole_to: Vec<u64>,
    /// Lines made anew.
    pub reconnected: u64,
}

impl Fleet {
    /// Starts `processes` generators; the sockets of `plan` are dealt out in turn. `cpus`, as for taskset, pins them.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub async fn start(plan: &Plan, processes: usize, cpus: Option<&str>) -> anyhow::Result<Self> {
        let this = std::env::current_exe().context("finding this executable")?;
        let mut generators = Vec::with_capacity(processes);
        for number in 0..processes {
            let mut share = plan.clone();
            let mine = |index: &usize| index % processes == number;
            share.tokens = (0..plan.tokens.len()).filter(mine).map(|index| plan.tokens[index].clone()).collect();
            share.follows = (0..plan.follows.len()).filter(mine).map(|index| plan.follows[index]).collect();
            share.per_s = (plan.per_s / processes as u32).max(1);
            // A range of local addresses of its own: ports are counted per address.
            share.sources = (0..plan.sources.len()).filter(mine).map(|index| plan.sources[index].clone()).collect();
            if share.sources.is_empty() {
                share.sources.clone_from(&plan.sources);
            }
            let mut command = match cpus {
                Some(cpus) => {
                    let mut command = Command::new("taskset");
                    command.arg("-c").arg(cpus).arg(&this);
                    command
                }
                None => Command::new(&this),
            };
            let mut child = command
                .arg("generator")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .context("starting a generator")?;
            let stdin = child.stdin.take().context("a generator without stdin")?;
            let stdout = child.stdout.take().context("a generator without stdout")?;
            let mut generator = Generator { child, stdin, notes: BufReader::new(stdout).lines(), standing: Standing::default() };
            generator.order(&Order::Open(share)).await?;
            generators.push(generator);
        }
        Ok(Self { generators, started: Instant::now() })
    }

    /// Process ids, for the accounting.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.generators.iter().filter_map(|generator| generator.child.id()).collect()
    }

    /// How things stand now.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn tell(&mut self) -> anyhow::Result<Sum> {
        for generator in &mut self.generators {
            generator.order(&Order::Tell).await?;
        }
        for generator in &mut self.generators {
            let Note::Standing(standing) = generator.note().await? else { anyhow::bail!("a generator ended early") };
            generator.standing = standing;
        }
        let mut sum = Sum::default();
        for Generator { standing, .. } in &self.generators {
            sum.live += u64::from(standing.live);
            sum.failed += u64::from(standing.failed);
            sum.delivered += standing.delivered;
            sum.reconnected += standing.reconnected;
            if sum.whole_to.is_empty() {
                sum.whole_to.clone_from(&standing.whole_to);
            } else {
                sum.whole_to.iter_mut().zip(&standing.whole_to).for_each(|(sum, mine)| *sum = (*sum).min(*mine));
            }
        }
        Ok(sum)
    }

    /// Waits until `done`; what stood then, and how long after the start.
    ///
    /// # Errors
    /// When a generator died, or it took longer than `within`.
    pub async fn until(&mut self, within: Duration, done: impl Fn(&Sum) -> bool) -> anyhow::Result<(Sum, Duration)> {
        let deadline = Instant::now() + within;
        loop {
            let sum = self.tell().await?;
            if done(&sum) {
                return Ok((sum, self.started.elapsed()));
            }
            anyhow::ensure!(Instant::now() < deadline, "not within {within:?}: {sum:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What is measured begins.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        for generator in &mut self.generators {
            generator.order(&Order::Begin).await?;
        }
        // The answer to Tell comes after Begin was done.
        self.tell().await.map(|_| ())
    }

    /// Ends all generators; what they found, put together.
    ///
    /// # Errors
    /// When a generator died.
    pub async fn finish(mut self) -> anyhow::Result<Found> {
        let mut all = Found::default();
        for generator in &mut self.generators {
            generator.order(&Order::Finish).await?;
        }
        for generator in &mut self.generators {
            let found = loop {
                if let Note::Found(found) = generator.note().await? {
                    break found;
                }
            };
            all.stretches.extend(found.stretches);
            all.reached.extend(found.reached);
            all.duplicated += found.duplicated;
            all.out_of_order += found.out_of_order;
            all.replayed += found.replayed;
            all.reconnected += found.reconnected;
            all.connect_ms.extend(found.connect_ms);
            all.cpu_us += found.cpu_us;
            for (what, count) in found.errors {
                *all.errors.entry(what).or_default() += count;
            }
            let _ = generator.child.wait().await;
        }
        all.stretches = merged(all.stretches);
        Ok(all)
    }
}

/// The same stretch seen by several generators becomes one.
fn merged(stretches: Vec<crate::generator::catalogue::Stretch>) -> Vec<crate::generator::catalogue::Stretch> {
    let mut by_place: BTreeMap<(u32, u64, u32), crate::generator::catalogue::Stretch> = BTreeMap::new();
    for stretch in stretches {
        match by_place.entry((stretch.room, stretch.first, stretch.count)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(stretch);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                for (bucket, sockets) in stretch.arrivals {
                    *place.get_mut().arrivals.entry(bucket).or_default() += sockets;
                }
            }
        }
    }
    by_place.into_values().collect()
}

impl Generator {
    async fn order(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await.context("a generator died")?;
        self.stdin.flush().await.context("a generator died")
    }

    async fn note(&mut self) -> anyhow::Result<Note> {
        let line = self.notes.next_line().await?.context("a generator died")?;
        Ok(serde_json::from_str(&line)?)
    }
}
