//! A generator: one thread with one epoll that holds thousands of sockets. The coordinator starts several as processes and
//! sends them orders, one line of JSON each.

pub mod arrivals;
pub mod catalogue;
mod frames;
pub mod orders;
mod poster;
mod posters;
mod seats;
mod socket;
mod transport;
pub mod wire;

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use mio::{Events, Poll, Token, Waker};

use self::{
    arrivals::{Latencies, Sparse},
    catalogue::Catalogue,
    orders::{Answer, Order, Plan, Progress, Reached, RunFindings},
    posters::Posters,
    seats::Seats,
    socket::Outcome,
};
use crate::client::now_us;

const WAKE: Token = Token(usize::MAX);
/// Size of the one buffer that all sockets read into in turn.
const BUFFER_BYTES: usize = 256 * 1024;
/// Interval at which arrivals are turned into latencies.
const FOLD_EVERY: Duration = Duration::from_millis(500);

struct Generator {
    seats: Seats,
    posters: Posters,
    catalogue: Catalogue,
    latencies: BTreeMap<u8, Latencies>,
    found: RunFindings,
    delivered: u64,
    outcomes: Vec<Outcome>,
}

/// Runs until the coordinator sends Finish, or is gone.
///
/// # Errors
/// When the coordinator is gone or the machine refuses sockets altogether.
pub fn run() -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    let (send, orders) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str::<Order>(&line) {
                Ok(order) => {
                    let _ = send.send(order);
                    let _ = waker.wake();
                }
                Err(error) => tracing::error!(%error, "an order that cannot be read"),
            }
        }
        // The coordinator is gone.
        drop(send);
        let _ = waker.wake();
    });
    let Order::Open(plan) = orders.recv().context("the coordinator is gone")? else { anyhow::bail!("the first order must be Open") };
    let mut generator = Generator::new(*plan, &poll)?;
    let mut events = Events::with_capacity(4096);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut folded = Instant::now();
    loop {
        generator.seats.connect_due(&mut generator.found);
        generator.seats.churn_due(&mut generator.found);
        for late in generator.seats.give_up_due() {
            generator.handle_disconnect(late, "not in after 20 s");
        }
        generator.posters.post_due(&mut generator.seats);
        let idle_for = generator.posters.idle_for().min(generator.seats.idle_for()).max(Duration::from_micros(1));
        match poll.poll(&mut events, Some(idle_for)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() != WAKE {
                let closed = event.is_read_closed() || event.is_error();
                generator.handle_readiness(event.token().0, event.is_writable(), closed, &mut buffer);
            }
        }
        if folded.elapsed() > FOLD_EVERY {
            folded = Instant::now();
            generator.catalogue.fold_arrivals(&mut generator.latencies);
        }
        loop {
            match orders.try_recv() {
                Ok(Order::Finish) => return write_answer(&Answer::Findings(Box::new(generator.finish()))),
                Ok(order) => generator.handle_order(order)?,
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }
}

fn write_answer(answer: &Answer) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line).context("the coordinator is gone")?;
    Ok(())
}

impl Generator {
    fn new(plan: Plan, poll: &Poll) -> anyhow::Result<Self> {
        Ok(Self {
            catalogue: Catalogue::new(&plan.run, &plan.rooms, plan.bucket_us),
            posters: Posters::new(&plan),
            seats: Seats::new(plan, poll.registry().try_clone()?)?,
            latencies: BTreeMap::new(),
            found: RunFindings::default(),
            delivered: 0,
            outcomes: Vec::new(),
        })
    }

    fn handle_order(&mut self, order: Order) -> anyhow::Result<()> {
        match order {
            Order::Open(_) | Order::Finish => anyhow::bail!("an order at the wrong time"),
            Order::Progress => return write_answer(&Answer::Progress(self.progress())),
            Order::Begin => {
                self.catalogue.begin();
                self.latencies.clear();
                self.seats.begin();
                self.posters.begin();
                self.delivered = 0;
            }
            Order::Post(flow) => self.posters.start(flow, &mut self.seats),
            Order::Stop => self.posters.stop(),
            Order::Churn { per_s, away_ms } => self.seats.churn(per_s, Duration::from_millis(away_ms)),
            Order::Seconds => {
                self.catalogue.fold_arrivals(&mut self.latencies);
                let seconds = |of: &Latencies| of.seconds.iter().map(|(second, all)| (*second, Sparse::from_histogram(all))).collect();
                return write_answer(&Answer::Seconds(self.latencies.iter().map(|(group, of)| (*group, seconds(of))).collect()));
            }
        }
        Ok(())
    }

    /// Reads from and writes to one socket as far as it goes.
    fn handle_readiness(&mut self, number: usize, writable: bool, closed: bool, buffer: &mut [u8]) {
        let broken = loop {
            let Some(read) = self.seats.read(number, writable, buffer) else { return };
            let length = match read {
                Ok(0) => break Some("the server closed the connection"),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break Some("the connection broke"),
            };
            let emptied = length < buffer.len() && !closed;
            let emptied = self.seats.handle_bytes(number, &buffer[..length], &mut self.catalogue, &mut self.outcomes) && emptied;
            if !self.seats.write(number) {
                break Some("the connection broke while writing");
            }
            if emptied {
                break None;
            }
        };
        if !self.outcomes.is_empty() && self.handle_outcomes(number) {
            return;
        }
        if let Some(broken) = broken {
            self.handle_disconnect(number, broken);
        }
    }

    /// Handles what the bytes read have led to. `true`: the connection is gone.
    fn handle_outcomes(&mut self, number: usize) -> bool {
        let now_us = now_us();
        let group = self.seats.plan.seats[number].group;
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut gone = false;
        for outcome in outcomes.drain(..) {
            match outcome {
                Outcome::Frame(id, live) => self.delivered += u64::from(self.catalogue.record_arrival(id, now_us, group, live)),
                Outcome::Live(verdict) => {
                    self.seats.handle_subscribed(number, verdict, &mut self.found);
                    self.posters.handle_subscribed(number, &mut self.seats);
                }
                Outcome::Receipt(re, receipt) => {
                    self.posters.handle_receipt(number, re, &receipt, now_us, &mut self.seats, &mut self.found)
                }
                Outcome::Refused(re, refusal) => self.posters.handle_refusal(number, re, &refusal, &mut self.seats, &mut self.found),
                Outcome::Retry(retry) => self.seats.retry = retry,
                Outcome::Wrong(what) => *self.found.errors.entry(what).or_default() += 1,
                Outcome::Closed(_) if gone => {}
                Outcome::Closed(code) => {
                    self.handle_disconnect(number, &format!("closed {code}"));
                    gone = true;
                }
            }
        }
        self.outcomes = outcomes;
        gone
    }

    fn handle_disconnect(&mut self, number: usize, why: &str) {
        self.seats.handle_disconnect(number, why, &mut self.found);
        self.posters.handle_disconnect(number);
    }

    fn progress(&self) -> Progress {
        Progress { delivered: self.delivered, ..self.posters.progress(self.seats.progress(&self.found)) }
    }

    fn finish(&mut self) -> RunFindings {
        self.catalogue.fold_arrivals(&mut self.latencies);
        let mut found = std::mem::take(&mut self.found);
        self.posters.finish(&mut found);
        found.frames = self.catalogue.summaries();
        found.latencies = self.latencies.iter().map(|(group, latencies)| (*group, latencies.sparse())).collect();
        for (seat, cursor) in self.seats.cursors() {
            found.reached.extend(seat.room.map(|room| Reached { room, from: cursor.from, to: cursor.at }));
            found.duplicated += u64::from(cursor.duplicated);
            found.out_of_order += u64::from(cursor.out_of_order);
            found.replayed += u64::from(cursor.replayed);
        }
        found.cpu_us = crate::measure::cpu_of(std::process::id()).map_or(0, |cpu| cpu.total_us);
        found
    }
}
