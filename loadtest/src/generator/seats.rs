//! All sockets of a generator: connected at a pace, broken and made anew as the server says, each with its place in its room.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use mio::{Interest, Registry, Token, net::TcpStream};
use proto::v1::{Retry, Verdict, client_frame};

use super::{
    catalogue::Catalogue,
    line::{Line, trust},
    orders::{Found, Plan, Seat, Standing},
    socket::{Connection, Happening, Place, Way},
};

/// One socket in so many decodes every frame in full.
const SAMPLE: usize = 1_000;
/// A socket that failed so often in a row gives up.
const ATTEMPTS: u8 = 40;
/// A line that is not in by then is broken off and made anew, as people do who wait for a page.
const GIVE_UP: Duration = Duration::from_secs(20);

struct Socket {
    line: Option<Line>,
    connection: Connection,
    place: Place,
    /// What the kernel did not take yet.
    out: Vec<u8>,
    target: u16,
    started: Instant,
    attempts: u8,
    came_in: bool,
    failed: bool,
}

/// All of them.
pub struct Seats {
    /// What is to be done.
    pub plan: Plan,
    /// How the server wants to be come back to.
    pub retry: Retry,
    registry: Registry,
    sockets: Vec<Socket>,
    addresses: Vec<SocketAddr>,
    sources: Vec<IpAddr>,
    tls: Option<Arc<rustls::ClientConfig>>,
    first: VecDeque<usize>,
    again: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Lines on their way in, by when they began.
    coming: VecDeque<(Instant, usize)>,
    allowance: f64,
    refilled: Instant,
    live: u32,
    connecting: u32,
    failed: u32,
    churn: Option<(f64, Duration)>,
    churned: Instant,
    churn_allowance: f64,
}

impl Seats {
    /// All of a plan's, none connected yet.
    ///
    /// # Errors
    /// When an address or the file of trusted certificates cannot be read.
    pub fn new(plan: Plan, registry: Registry) -> anyhow::Result<Self> {
        let addresses = plan.targets.iter().map(|target| target.parse().context("targets are ip:port"));
        let sources = plan.sources.iter().map(|source| source.parse().context("sources are addresses"));
        let now = Instant::now();
        let sockets: Vec<_> = plan
            .seats
            .iter()
            .map(|seat| Socket {
                line: None,
                connection: Connection::open(None, &Place::default(), false, &mut Vec::new()),
                place: Place::default(),
                out: Vec::new(),
                target: seat.target,
                started: now,
                attempts: 0,
                came_in: false,
                failed: false,
            })
            .collect();
        Ok(Self {
            addresses: addresses.collect::<anyhow::Result<_>>()?,
            sources: sources.collect::<anyhow::Result<_>>()?,
            tls: plan.ca.as_deref().map(trust).transpose()?,
            first: (0..sockets.len()).collect(),
            again: BinaryHeap::new(),
            coming: VecDeque::new(),
            retry: Retry { min_ms: 200, jitter_ms: 1_000, max_ms: 10_000 },
            allowance: 0.0,
            refilled: now,
            live: 0,
            connecting: 0,
            failed: 0,
            churn: None,
            churned: now,
            churn_allowance: 0.0,
            registry,
            sockets,
            plan,
        })
    }

    /// Starts the connections that are due: first ones no faster than the plan says.
    pub fn connect_due(&mut self, found: &mut Found) {
        let now = Instant::now();
        let rate = f64::from(self.plan.per_s);
        self.allowance = (self.allowance + (now - self.refilled).as_secs_f64() * rate).min(rate / 20.0 + 1.0);
        self.refilled = now;
        let most = if self.plan.connecting_most == 0 { u32::MAX } else { self.plan.connecting_most };
        while self.allowance >= 1.0
            && self.connecting < most
            && let Some(number) = self.first.pop_front()
        {
            self.allowance -= 1.0;
            self.connect(number, found);
        }
        while let Some(Reverse((when, number))) = self.again.peek().copied()
            && when <= now
        {
            self.again.pop();
            self.connect(number, found);
        }
    }

    /// How long nothing here is due.
    #[must_use]
    pub fn patience(&self) -> Duration {
        if !self.first.is_empty() {
            return Duration::from_millis(1);
        }
        let again =
            self.again.peek().map_or(Duration::from_millis(20), |Reverse((when, _))| when.saturating_duration_since(Instant::now()));
        again.min(Duration::from_millis(20))
    }

    fn connect(&mut self, number: usize, found: &mut Found) {
        self.sockets[number].started = Instant::now();
        if let Err(error) = self.try_connect(number) {
            self.broke(number, &format!("{error:#}"), found);
        }
    }

    fn try_connect(&mut self, number: usize) -> anyhow::Result<()> {
        let target = usize::from(self.sockets[number].target);
        let address = self.addresses[target];
        let raw = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        raw.set_nonblocking(true)?;
        raw.set_tcp_nodelay(true)?;
        if !self.sources.is_empty() {
            raw.set_reuse_address(true)?;
            raw.bind(&SocketAddr::new(self.sources[number % self.sources.len()], 0).into())?;
        }
        match raw.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error).context("connecting"),
            _ => {}
        }
        let name = address.ip().to_string();
        let mut line = Line::new(TcpStream::from_std(raw.into()), self.tls.as_ref().map(|config| (config, name.as_str())))?;
        self.registry.register(line.stream(), Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let seat = &self.plan.seats[number];
        let way = way(&self.plan, seat, target);
        let socket = &mut self.sockets[number];
        socket.out.clear();
        let sampled = number.is_multiple_of(SAMPLE);
        socket.connection = Connection::open((!self.plan.bare).then_some(&way), &socket.place, sampled, &mut socket.out);
        socket.line = Some(line);
        if self.plan.bare {
            self.live += 1;
        } else {
            self.connecting += 1;
            self.coming.push_back((self.sockets[number].started, number));
        }
        Ok(())
    }

    /// Lines that have been on their way in for too long.
    pub fn give_up_due(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let mut late = Vec::new();
        while let Some((started, number)) = self.coming.front().copied()
            && now - started >= GIVE_UP
        {
            self.coming.pop_front();
            let socket = &self.sockets[number];
            if socket.started == started && socket.line.is_some() && !socket.connection.live() {
                late.push(number);
            }
        }
        late
    }

    /// Writes what waits, then reads once. `None`: it is not connected.
    pub fn read(&mut self, number: usize, writable: bool, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let socket = &mut self.sockets[number];
        let line = socket.line.as_mut()?;
        if (writable || !socket.out.is_empty()) && !write_out(line, &mut socket.out) {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Some(line.read(buffer))
    }

    /// Takes what was read. Whether a short read means that there is no more.
    pub fn take(&mut self, number: usize, bytes: &[u8], catalogue: &mut Catalogue, happened: &mut Vec<Happening>) -> bool {
        let socket = &mut self.sockets[number];
        let way = way(&self.plan, &self.plan.seats[number], usize::from(socket.target));
        socket.connection.take(bytes, &mut socket.place, &way, catalogue, &mut socket.out, happened);
        socket.line.as_ref().is_none_or(Line::short_is_empty)
    }

    /// Writes what waits; false: the line broke.
    pub fn write(&mut self, number: usize) -> bool {
        let socket = &mut self.sockets[number];
        match &mut socket.line {
            Some(line) if !socket.out.is_empty() => write_out(line, &mut socket.out),
            _ => true,
        }
    }

    /// Sends by `with`, where the socket is live.
    pub fn send(&mut self, number: usize, with: impl FnOnce(&Plan, &mut dyn FnMut(client_frame::Frame) -> u32)) {
        let socket = &mut self.sockets[number];
        if socket.line.is_none() || !socket.connection.live() {
            return;
        }
        let (connection, out) = (&mut socket.connection, &mut socket.out);
        with(&self.plan, &mut |frame| connection.send(frame, out));
        // A line that breaks here tells so when it is read next.
        let _ = self.write(number);
    }

    /// A socket is subscribed.
    pub fn came_in(&mut self, number: usize, verdict: Option<Verdict>, found: &mut Found) {
        let socket = &mut self.sockets[number];
        let took_ms = socket.started.elapsed().as_millis() as u32;
        if socket.came_in { &mut found.back_ms } else { &mut found.connect_ms }.push(took_ms);
        if let Some(verdict) = verdict {
            *found.verdicts.entry(verdict.as_str_name().to_owned()).or_default() += 1;
        }
        socket.came_in = true;
        socket.attempts = 0;
        self.live += 1;
        self.connecting -= 1;
    }

    /// A line broke: it is made anew at the next gateway, if the plan says so or it was never live.
    pub fn broke(&mut self, number: usize, why: &str, found: &mut Found) {
        *found.errors.entry(why.to_owned()).or_default() += 1;
        let was_live = self.cut(number);
        let socket = &mut self.sockets[number];
        socket.attempts += 1;
        if socket.attempts > ATTEMPTS || (was_live && !self.plan.reconnect) {
            socket.failed = true;
            self.failed += 1;
            return;
        }
        found.reconnected += u64::from(was_live);
        if why == "closed 3005" {
            // The token is not good any more.
            socket.place.resume_token = None;
        }
        // A home that only has too many at once stays a home.
        if socket.came_in || socket.attempts > 3 {
            socket.target = (socket.target + 1) % self.plan.targets.len() as u16;
        }
        let Retry { min_ms, jitter_ms, max_ms } = self.retry;
        let first = u64::from(min_ms) + rand::random_range(0..=u64::from(jitter_ms));
        let pause_ms = (first << (socket.attempts - 1).min(16)).min(u64::from(max_ms).max(first));
        self.again.push(Reverse((Instant::now() + Duration::from_millis(pause_ms), number)));
    }

    fn cut(&mut self, number: usize) -> bool {
        let socket = &mut self.sockets[number];
        let Some(mut line) = socket.line.take() else { return false };
        let _ = self.registry.deregister(line.stream());
        let live = socket.connection.live();
        if live {
            self.live -= 1;
        } else {
            self.connecting -= 1;
        }
        live
    }

    /// From now on so many lines a second are broken, each for so long; 0: no more.
    pub fn churn(&mut self, per_s: f64, away: Duration) {
        self.churn = (per_s > 0.0).then_some((per_s, away));
        self.churned = Instant::now();
    }

    /// Breaks the lines that are due to be broken, as a phone does that loses its network.
    pub fn churn_due(&mut self, found: &mut Found) {
        let Some((per_s, away)) = self.churn else { return };
        let now = Instant::now();
        self.churn_allowance = (self.churn_allowance + (now - self.churned).as_secs_f64() * per_s).min(per_s);
        self.churned = now;
        while self.churn_allowance >= 1.0 {
            self.churn_allowance -= 1.0;
            let number = rand::random_range(0..self.sockets.len());
            // Who posts stays, so that all posts end; and who is on the way back already comes back by that.
            let live = self.sockets[number].line.is_some() && self.sockets[number].connection.live();
            if live && self.plan.seats[number].posts.is_none() {
                self.cut(number);
                found.reconnected += 1;
                let jitter = Duration::from_millis(rand::random_range(0..=away.as_millis() as u64));
                self.again.push(Reverse((now + away / 2 + jitter, number)));
            }
        }
    }

    /// What was measured begins.
    pub fn begin(&mut self) {
        for socket in &mut self.sockets {
            socket.place.from = socket.place.at;
        }
    }

    /// Seats with their places.
    pub fn places(&self) -> impl Iterator<Item = (&Seat, &Place)> {
        self.plan.seats.iter().zip(self.sockets.iter().map(|socket| &socket.place))
    }

    /// How things stand here.
    #[must_use]
    pub fn standing(&self, found: &Found) -> Standing {
        let mut whole_to = vec![u64::MAX; self.plan.rooms.len()];
        for (seat, socket) in self.plan.seats.iter().zip(&self.sockets).filter(|(_, socket)| !socket.failed) {
            if let Some(room) = seat.room {
                let whole = &mut whole_to[room as usize];
                *whole = (*whole).min(socket.place.at);
            }
        }
        Standing { live: self.live, failed: self.failed, whole_to, reconnected: found.reconnected, ..Standing::default() }
    }
}

fn way<'a>(plan: &'a Plan, seat: &'a Seat, target: usize) -> Way<'a> {
    let room = seat.room.map(|room| plan.rooms[room as usize].as_str());
    Way { authority: &plan.targets[target], token: &seat.token, room, deflate: plan.deflate }
}

/// Writes what waits; false: the line broke.
fn write_out(line: &mut Line, out: &mut Vec<u8>) -> bool {
    if line.flush().is_err() {
        return false;
    }
    while !out.is_empty() {
        match line.write(out) {
            Ok(written) => {
                out.drain(..written);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    // Idle sockets hold no buffer.
    *out = Vec::new();
    true
}
