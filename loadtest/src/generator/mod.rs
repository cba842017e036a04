//! A generator: one thread, one epoll, thousands of sockets, almost no memory for each. The coordinator starts several
//! of these as processes of their own and talks to them in lines of JSON.

pub mod arrivals;
pub mod catalogue;
mod desk;
mod line;
pub mod orders;
mod poster;
mod seats;
mod socket;
mod walk;
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
    desk::Desk,
    orders::{Found, Note, Order, Plan, Reached, Standing},
    seats::Seats,
    socket::Happening,
};
use crate::client::now_us;

const WAKE: Token = Token(usize::MAX);
/// Read into by all sockets in turn.
const BUFFER_BYTES: usize = 256 * 1024;
/// Arrivals become latencies this often.
const FOLD_EVERY: Duration = Duration::from_millis(500);

struct Generator {
    seats: Seats,
    desk: Desk,
    catalogue: Catalogue,
    latencies: BTreeMap<u8, Latencies>,
    found: Found,
    delivered: u64,
    happened: Vec<Happening>,
}

/// Runs until told to finish.
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
        // Nobody to report to any more.
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
            generator.broke(late, "not in after 20 s");
        }
        generator.desk.post_due(&mut generator.seats);
        let patience = generator.desk.patience().min(generator.seats.patience()).max(Duration::from_micros(1));
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() != WAKE {
                let closed = event.is_read_closed() || event.is_error();
                generator.serve(event.token().0, event.is_writable(), closed, &mut buffer);
            }
        }
        if folded.elapsed() > FOLD_EVERY {
            folded = Instant::now();
            generator.catalogue.fold(&mut generator.latencies);
        }
        loop {
            match orders.try_recv() {
                Ok(Order::Finish) => return tell(&Note::Found(Box::new(generator.finish()))),
                Ok(order) => generator.take(order)?,
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }
}

fn tell(note: &Note) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(note)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line).context("the coordinator is gone")?;
    Ok(())
}

impl Generator {
    fn new(plan: Plan, poll: &Poll) -> anyhow::Result<Self> {
        Ok(Self {
            catalogue: Catalogue::new(&plan.run, &plan.rooms, plan.bucket_us),
            desk: Desk::new(&plan),
            seats: Seats::new(plan, poll.registry().try_clone()?)?,
            latencies: BTreeMap::new(),
            found: Found::default(),
            delivered: 0,
            happened: Vec::new(),
        })
    }

    fn take(&mut self, order: Order) -> anyhow::Result<()> {
        match order {
            Order::Open(_) | Order::Finish => anyhow::bail!("an order at the wrong time"),
            Order::Tell => return tell(&Note::Standing(self.standing())),
            Order::Begin => {
                self.catalogue.begin();
                self.latencies.clear();
                self.seats.begin();
                self.desk.begin();
                self.delivered = 0;
            }
            Order::Post(flow) => self.desk.start(flow, &mut self.seats),
            Order::Hush => self.desk.hush(),
            Order::Churn { per_s, away_ms } => self.seats.churn(per_s, Duration::from_millis(away_ms)),
            Order::Seconds => {
                self.catalogue.fold(&mut self.latencies);
                let seconds = |of: &Latencies| of.seconds.iter().map(|(second, all)| (*second, Sparse::of(all))).collect();
                return tell(&Note::Seconds(self.latencies.iter().map(|(group, of)| (*group, seconds(of))).collect()));
            }
        }
        Ok(())
    }

    /// Reads and writes what one socket has.
    fn serve(&mut self, number: usize, writable: bool, closed: bool, buffer: &mut [u8]) {
        let broken = loop {
            let Some(read) = self.seats.read(number, writable, buffer) else { return };
            let length = match read {
                Ok(0) => break Some("the server ended the line"),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break Some("the line broke"),
            };
            let emptied = length < buffer.len() && !closed;
            let emptied = self.seats.take(number, &buffer[..length], &mut self.catalogue, &mut self.happened) && emptied;
            if !self.seats.write(number) {
                break Some("the line broke while writing");
            }
            if emptied {
                break None;
            }
        };
        if !self.happened.is_empty() && self.happen(number) {
            return;
        }
        if let Some(broken) = broken {
            self.broke(number, broken);
        }
    }

    /// What came of what was read; true: the line is gone.
    fn happen(&mut self, number: usize) -> bool {
        let now_us = now_us();
        let group = self.seats.plan.seats[number].group;
        let mut happened = std::mem::take(&mut self.happened);
        let mut gone = false;
        for happening in happened.drain(..) {
            match happening {
                Happening::Frame(id, live) => self.delivered += u64::from(self.catalogue.arrived(id, now_us, group, live)),
                Happening::Live(verdict) => {
                    self.seats.came_in(number, verdict, &mut self.found);
                    self.desk.came_in(number, &mut self.seats);
                }
                Happening::Receipt(re, receipt) => self.desk.receipt(number, re, &receipt, now_us, &mut self.seats, &mut self.found),
                Happening::Refused(re, refusal) => self.desk.refused(number, re, &refusal, &mut self.seats, &mut self.found),
                Happening::Retry(retry) => self.seats.retry = retry,
                Happening::Wrong(what) => *self.found.errors.entry(what).or_default() += 1,
                Happening::Closed(_) if gone => {}
                Happening::Closed(code) => {
                    self.broke(number, &format!("closed {code}"));
                    gone = true;
                }
            }
        }
        self.happened = happened;
        gone
    }

    fn broke(&mut self, number: usize, why: &str) {
        self.seats.broke(number, why, &mut self.found);
        self.desk.broke(number);
    }

    fn standing(&self) -> Standing {
        Standing { delivered: self.delivered, ..self.desk.standing(self.seats.standing(&self.found)) }
    }

    fn finish(&mut self) -> Found {
        self.catalogue.fold(&mut self.latencies);
        let mut found = std::mem::take(&mut self.found);
        self.desk.finish(&mut found);
        found.frames = self.catalogue.told();
        found.latencies = self.latencies.iter().map(|(group, latencies)| (*group, latencies.sparse())).collect();
        for (seat, place) in self.seats.places() {
            found.reached.extend(seat.room.map(|room| Reached { room, from: place.from, to: place.at }));
            found.duplicated += u64::from(place.duplicated);
            found.out_of_order += u64::from(place.out_of_order);
            found.replayed += u64::from(place.replayed);
        }
        found.cpu_us = crate::measure::cpu_of(std::process::id()).map_or(0, |cpu| cpu.total_us);
        found
    }
}
