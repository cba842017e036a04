//! The posters of one generator: the flow of posts spread over them, and what became of each post.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use proto::v1::{Receipt, Refusal};

use super::{
    arrivals::Latencies,
    orders::{Flow, Plan, Progress, RunFindings},
    poster::{PostOutcome, Poster},
    seats::Seats,
};
use crate::client::{mark::Mark, now_us};

/// All posters of a generator.
pub struct Posters {
    /// By seat.
    by_seat: HashMap<usize, Poster>,
    /// Seat by number among all generators' posters.
    seats: Vec<Option<usize>>,
    flow: Option<Flow>,
    /// Posts of the flow that were given to their poster.
    next: u32,
    /// Closed loop: the next post of each poster, by seat.
    turns: HashMap<usize, u32>,
    receipts: Latencies,
    acknowledged: Vec<(u32, u32, u64)>,
    acknowledged_to: Vec<u64>,
    unacknowledged: BTreeMap<String, u64>,
    due: u64,
    /// Seats whose poster was refused for now, each with the time of its next try.
    held: Vec<(Instant, usize)>,
}

impl Posters {
    /// The posters of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut seats = vec![None; plan.posters as usize];
        let mut posters = HashMap::new();
        for (seat, (number, room)) in plan.seats.iter().enumerate().filter_map(|(at, seat)| Some((at, seat.posts?))) {
            seats[number as usize] = Some(seat);
            posters.insert(seat, Poster::new(number, room));
        }
        Self {
            by_seat: posters,
            seats,
            flow: None,
            next: 0,
            turns: HashMap::new(),
            receipts: Latencies::default(),
            acknowledged: Vec::new(),
            acknowledged_to: vec![0; plan.rooms.len()],
            unacknowledged: BTreeMap::new(),
            due: 0,
            held: Vec::new(),
        }
    }

    /// Begins a flow.
    pub fn start(&mut self, flow: Flow, sockets: &mut Seats) {
        self.flow = Some(flow);
        self.next = 0;
        self.turns.clear();
        if flow.per_s == 0.0 {
            let seats: Vec<_> = self.by_seat.keys().copied().collect();
            for seat in seats {
                (0..flow.at_once).for_each(|_| self.turn(seat));
                self.flush(seat, sockets);
            }
        }
    }

    /// Begins the measurement: posts that ended before do not count, those under way do.
    pub fn begin(&mut self) {
        self.receipts = Latencies::default();
        self.acknowledged.clear();
        self.unacknowledged.clear();
        self.due = self.by_seat.values().map(|poster| poster.open() as u64).sum();
    }

    /// Ends the flow; posts under way go on.
    pub fn stop(&mut self) {
        self.flow = None;
    }

    /// Open loop: a post is due at its time, whether those before it were answered or not.
    pub fn post_due(&mut self, sockets: &mut Seats) {
        let now = Instant::now();
        while let Some(at) = self.held.iter().position(|(until, _)| *until <= now) {
            let (_, seat) = self.held.swap_remove(at);
            self.flush(seat, sockets);
        }
        let Some(flow) = self.flow.filter(|flow| flow.per_s > 0.0 && !self.by_seat.is_empty()) else { return };
        let now_us = now_us();
        while flow.count == 0 || self.next < flow.count {
            let due_us = due_us(&flow, self.next);
            if due_us > now_us {
                break;
            }
            let number = self.next as usize % self.seats.len();
            if let Some(seat) = self.seats[number]
                && let Some(poster) = self.by_seat.get_mut(&seat)
            {
                poster.queue(Mark { index: flow.first + self.next, due_us }, &flow);
                self.due += 1;
                self.flush(seat, sockets);
            }
            self.next += 1;
        }
    }

    /// How long nothing here is due.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        let longest = Duration::from_millis(if self.held.is_empty() { 20 } else { 2 });
        match &self.flow {
            Some(flow) if flow.per_s > 0.0 && !self.by_seat.is_empty() && (flow.count == 0 || self.next < flow.count) => {
                Duration::from_micros(u64::try_from(due_us(flow, self.next) - now_us()).unwrap_or(0)).min(longest)
            }
            _ => longest,
        }
    }

    /// Closed loop: the next post of one poster.
    fn turn(&mut self, seat: usize) {
        let (Some(flow), Some(poster)) = (self.flow.filter(|flow| flow.per_s == 0.0), self.by_seat.get_mut(&seat)) else { return };
        let turn = self.turns.entry(seat).or_default();
        let index = flow.first + *turn * self.seats.len() as u32 + poster.number;
        *turn += 1;
        self.due += 1;
        poster.queue(Mark { index, due_us: now_us() }, &flow);
    }

    fn flush(&mut self, seat: usize, sockets: &mut Seats) {
        let Some(poster) = self.by_seat.get_mut(&seat) else { return };
        sockets.send(seat, |plan, send| poster.flush(&plan.rooms[poster.room as usize], &plan.run, send));
    }

    /// Sends what waits, for the socket is subscribed.
    pub fn handle_subscribed(&mut self, seat: usize, sockets: &mut Seats) {
        self.flush(seat, sockets);
    }

    /// Records a receipt and sends the poster's next post.
    pub fn handle_receipt(&mut self, seat: usize, re: u32, receipt: &Receipt, now_us: i64, sockets: &mut Seats, found: &mut RunFindings) {
        let Some(poster) = self.by_seat.get_mut(&seat) else { return };
        let room = poster.room;
        let Some(PostOutcome::Acknowledged(mark, seq)) = poster.handle_receipt(re, receipt) else {
            *found.errors.entry("a receipt for nothing".to_owned()).or_default() += 1;
            return;
        };
        self.receipts.record(mark.due_us, now_us, 1);
        self.acknowledged.push((mark.index, room, seq));
        let to = &mut self.acknowledged_to[room as usize];
        *to = (*to).max(seq);
        self.turn(seat);
        self.flush(seat, sockets);
    }

    /// Records a refusal, for good or until it may be tried again.
    pub fn handle_refusal(&mut self, seat: usize, re: u32, refusal: &Refusal, sockets: &mut Seats, found: &mut RunFindings) {
        *found.errors.entry(format!("refused: {}", refusal.code().as_str_name())).or_default() += 1;
        let now = Instant::now();
        let Some(poster) = self.by_seat.get_mut(&seat) else { return };
        match poster.handle_refusal(re, refusal, now) {
            Some(PostOutcome::Refused(_, code)) => {
                *self.unacknowledged.entry(code.to_owned()).or_default() += 1;
                self.turn(seat);
                self.flush(seat, sockets);
            }
            _ => self.held.push((now + Duration::from_millis(refusal.retry_after_ms.into()), seat)),
        }
    }

    /// Queues again what was under way on a connection that broke.
    pub fn handle_disconnect(&mut self, seat: usize) {
        if let Some(poster) = self.by_seat.get_mut(&seat) {
            poster.handle_disconnect();
        }
    }

    /// Adds the state of the posts to that of the sockets.
    #[must_use]
    pub fn progress(&self, sockets: Progress) -> Progress {
        Progress {
            acknowledged: self.acknowledged.len() as u64,
            acknowledged_to: self.acknowledged_to.clone(),
            posting: self.by_seat.values().map(|poster| poster.open() as u64).sum(),
            ..sockets
        }
    }

    /// Writes the receipts, posts and refusals into the findings.
    pub fn finish(&mut self, found: &mut RunFindings) {
        let open = self.by_seat.values().map(|poster| poster.open() as u64).sum();
        if open > 0 {
            self.unacknowledged.insert("never answered".to_owned(), open);
        }
        found.receipts = self.receipts.sparse();
        found.acknowledged = std::mem::take(&mut self.acknowledged);
        found.unacknowledged = std::mem::take(&mut self.unacknowledged);
        found.due = self.due;
    }
}

/// When a post of an open loop is due, microseconds since 1970.
fn due_us(flow: &Flow, number: u32) -> i64 {
    flow.start_us + (f64::from(number) * 1_000_000.0 / flow.per_s) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_loop_is_even_and_waits_for_nobody() {
        let flow = Flow { first: 0, count: 0, start_us: 1_000, per_s: 500.0, at_once: 0, bytes: 300, mixed: false };
        assert_eq!((0..4).map(|number| due_us(&flow, number)).collect::<Vec<_>>(), [1_000, 3_000, 5_000, 7_000]);
        assert_eq!(due_us(&flow, 500 * 3_600), 1_000 + 3_600_000_000);
    }
}
