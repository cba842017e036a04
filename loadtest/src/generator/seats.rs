//! All sockets of a generator: connected at a pace, reconnected as the server's RETRY says, each with its cursor in its room.

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
    orders::{Plan, Progress, RunFindings, Seat},
    socket::{ConnectOptions, Connection, Cursor, Outcome},
    transport::{Transport, trust},
};

/// One socket in this number decodes every frame in full.
const SAMPLE: usize = 1_000;
/// A socket gives up after this number of failures in a row.
const ATTEMPTS: u8 = 40;
/// A connection that is not subscribed by then is closed and made anew, as people reload a page that does not come.
const GIVE_UP: Duration = Duration::from_secs(20);

struct Socket {
    transport: Option<Transport>,
    connection: Connection,
    cursor: Cursor,
    /// Bytes that the kernel has not taken yet.
    out: Vec<u8>,
    target: u16,
    started: Instant,
    attempts: u8,
    subscribed_before: bool,
    failed: bool,
}

/// All sockets of a plan.
pub struct Seats {
    /// The sockets, and what they have in common.
    pub plan: Plan,
    /// The server's bounds for the wait before a reconnect.
    pub retry: Retry,
    registry: Registry,
    sockets: Vec<Socket>,
    addresses: Vec<SocketAddr>,
    sources: Vec<IpAddr>,
    tls: Option<Arc<rustls::ClientConfig>>,
    first_connects: VecDeque<usize>,
    reconnects: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Connections that are not subscribed yet, by when they began.
    handshakes: VecDeque<(Instant, usize)>,
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
    /// The sockets of a plan, none connected yet.
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
                transport: None,
                connection: Connection::open(None, &Cursor::default(), false, &mut Vec::new()),
                cursor: Cursor::default(),
                out: Vec::new(),
                target: seat.target,
                started: now,
                attempts: 0,
                subscribed_before: false,
                failed: false,
            })
            .collect();
        Ok(Self {
            addresses: addresses.collect::<anyhow::Result<_>>()?,
            sources: sources.collect::<anyhow::Result<_>>()?,
            tls: plan.ca.as_deref().map(trust).transpose()?,
            first_connects: (0..sockets.len()).collect(),
            reconnects: BinaryHeap::new(),
            handshakes: VecDeque::new(),
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

    /// Starts the connections that are due: first ones at most at the plan's rate.
    pub fn connect_due(&mut self, found: &mut RunFindings) {
        let now = Instant::now();
        let rate = f64::from(self.plan.per_s);
        self.allowance = (self.allowance + (now - self.refilled).as_secs_f64() * rate).min(rate / 20.0 + 1.0);
        self.refilled = now;
        let most = if self.plan.connecting_most == 0 { u32::MAX } else { self.plan.connecting_most };
        while self.allowance >= 1.0
            && self.connecting < most
            && let Some(number) = self.first_connects.pop_front()
        {
            self.allowance -= 1.0;
            self.connect(number, found);
        }
        while let Some(Reverse((when, number))) = self.reconnects.peek().copied()
            && when <= now
        {
            self.reconnects.pop();
            self.connect(number, found);
        }
    }

    /// Time until something here is due.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        if !self.first_connects.is_empty() {
            return Duration::from_millis(1);
        }
        let reconnects =
            self.reconnects.peek().map_or(Duration::from_millis(20), |Reverse((when, _))| when.saturating_duration_since(Instant::now()));
        reconnects.min(Duration::from_millis(20))
    }

    fn connect(&mut self, number: usize, found: &mut RunFindings) {
        self.sockets[number].started = Instant::now();
        if let Err(error) = self.try_connect(number) {
            self.handle_disconnect(number, &format!("{error:#}"), found);
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
        let mut transport = Transport::new(TcpStream::from_std(raw.into()), self.tls.as_ref().map(|config| (config, name.as_str())))?;
        self.registry.register(transport.stream(), Token(number), Interest::READABLE | Interest::WRITABLE)?;
        let seat = &self.plan.seats[number];
        let options = connect_options(&self.plan, seat, target);
        let socket = &mut self.sockets[number];
        socket.out.clear();
        let sampled = number.is_multiple_of(SAMPLE);
        socket.connection = Connection::open((!self.plan.bare).then_some(&options), &socket.cursor, sampled, &mut socket.out);
        socket.transport = Some(transport);
        if self.plan.bare {
            self.live += 1;
        } else {
            self.connecting += 1;
            self.handshakes.push_back((self.sockets[number].started, number));
        }
        Ok(())
    }

    /// Sockets whose connection has not been subscribed within GIVE_UP; each is returned once.
    pub fn give_up_due(&mut self) -> Vec<usize> {
        let now = Instant::now();
        let mut late = Vec::new();
        while let Some((started, number)) = self.handshakes.front().copied()
            && now - started >= GIVE_UP
        {
            self.handshakes.pop_front();
            let socket = &self.sockets[number];
            if socket.started == started && socket.transport.is_some() && !socket.connection.live() {
                late.push(number);
            }
        }
        late
    }

    /// Writes what waits, then reads once. `None`: not connected.
    pub fn read(&mut self, number: usize, writable: bool, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let socket = &mut self.sockets[number];
        let transport = socket.transport.as_mut()?;
        if (writable || !socket.out.is_empty()) && !write_out(transport, &mut socket.out) {
            return Some(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Some(transport.read(buffer))
    }

    /// Handles bytes read. Returns whether a short read means that there is no more.
    pub fn handle_bytes(&mut self, number: usize, bytes: &[u8], catalogue: &mut Catalogue, outcomes: &mut Vec<Outcome>) -> bool {
        let socket = &mut self.sockets[number];
        let options = connect_options(&self.plan, &self.plan.seats[number], usize::from(socket.target));
        socket.connection.handle_bytes(bytes, &mut socket.cursor, &options, catalogue, &mut socket.out, outcomes);
        socket.transport.as_ref().is_none_or(Transport::short_is_empty)
    }

    /// Writes what waits. `false`: the connection broke.
    pub fn write(&mut self, number: usize) -> bool {
        let socket = &mut self.sockets[number];
        match &mut socket.transport {
            Some(transport) if !socket.out.is_empty() => write_out(transport, &mut socket.out),
            _ => true,
        }
    }

    /// Lets `with` send frames, where the socket is subscribed.
    pub fn send(&mut self, number: usize, with: impl FnOnce(&Plan, &mut dyn FnMut(client_frame::Frame) -> u32)) {
        let socket = &mut self.sockets[number];
        if socket.transport.is_none() || !socket.connection.live() {
            return;
        }
        let (connection, out) = (&mut socket.connection, &mut socket.out);
        with(&self.plan, &mut |frame| connection.send(frame, out));
        // A connection that breaks here fails at its next read.
        let _ = self.write(number);
    }

    /// Records that a socket is subscribed.
    pub fn handle_subscribed(&mut self, number: usize, verdict: Option<Verdict>, found: &mut RunFindings) {
        let socket = &mut self.sockets[number];
        let took_ms = socket.started.elapsed().as_millis() as u32;
        if socket.subscribed_before { &mut found.back_ms } else { &mut found.connect_ms }.push(took_ms);
        if let Some(verdict) = verdict {
            *found.verdicts.entry(verdict.as_str_name().to_owned()).or_default() += 1;
        }
        socket.subscribed_before = true;
        socket.attempts = 0;
        self.live += 1;
        self.connecting -= 1;
    }

    /// Plans the reconnect of a broken connection, at the next gateway, if the plan asks for it or it was never subscribed.
    pub fn handle_disconnect(&mut self, number: usize, why: &str, found: &mut RunFindings) {
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
            // The resume token is refused: the next connection begins with a ticket.
            socket.cursor.resume_token = None;
        }
        // At first the same gateway again: it may only have had too many handshakes at once.
        if socket.subscribed_before || socket.attempts > 3 {
            socket.target = (socket.target + 1) % self.plan.targets.len() as u16;
        }
        let Retry { min_ms, jitter_ms, max_ms } = self.retry;
        let first_ms = u64::from(min_ms) + rand::random_range(0..=u64::from(jitter_ms));
        let pause_ms = (first_ms << (socket.attempts - 1).min(16)).min(u64::from(max_ms).max(first_ms));
        self.reconnects.push(Reverse((Instant::now() + Duration::from_millis(pause_ms), number)));
    }

    fn cut(&mut self, number: usize) -> bool {
        let socket = &mut self.sockets[number];
        let Some(mut transport) = socket.transport.take() else { return false };
        let _ = self.registry.deregister(transport.stream());
        let live = socket.connection.live();
        if live {
            self.live -= 1;
        } else {
            self.connecting -= 1;
        }
        live
    }

    /// Breaks `per_s` connections a second from now on, each for `away` on average; 0: no more.
    pub fn churn(&mut self, per_s: f64, away: Duration) {
        self.churn = (per_s > 0.0).then_some((per_s, away));
        self.churned = Instant::now();
    }

    /// Breaks the connections that are due to be broken, without a close, as a phone does that loses its network.
    pub fn churn_due(&mut self, found: &mut RunFindings) {
        let Some((per_s, away)) = self.churn else { return };
        let now = Instant::now();
        self.churn_allowance = (self.churn_allowance + (now - self.churned).as_secs_f64() * per_s).min(per_s);
        self.churned = now;
        while self.churn_allowance >= 1.0 {
            self.churn_allowance -= 1.0;
            let number = rand::random_range(0..self.sockets.len());
            // Posters stay, so that all posts end; a socket that is reconnecting already is left to that.
            let live = self.sockets[number].transport.is_some() && self.sockets[number].connection.live();
            if live && self.plan.seats[number].posts.is_none() {
                self.cut(number);
                found.reconnected += 1;
                let jitter = Duration::from_millis(rand::random_range(0..=away.as_millis() as u64));
                self.reconnects.push(Reverse((now + away / 2 + jitter, number)));
            }
        }
    }

    /// Begins the measurement: events before do not count.
    pub fn begin(&mut self) {
        for socket in &mut self.sockets {
            socket.cursor.from = socket.cursor.at;
        }
    }

    /// Seats with their cursors.
    pub fn cursors(&self) -> impl Iterator<Item = (&Seat, &Cursor)> {
        self.plan.seats.iter().zip(self.sockets.iter().map(|socket| &socket.cursor))
    }

    /// The state of the sockets.
    #[must_use]
    pub fn progress(&self, found: &RunFindings) -> Progress {
        let mut whole_to = vec![u64::MAX; self.plan.rooms.len()];
        for (seat, socket) in self.plan.seats.iter().zip(&self.sockets).filter(|(_, socket)| !socket.failed) {
            if let Some(room) = seat.room {
                let whole = &mut whole_to[room as usize];
                *whole = (*whole).min(socket.cursor.at);
            }
        }
        Progress { live: self.live, failed: self.failed, whole_to, reconnected: found.reconnected, ..Progress::default() }
    }
}

fn connect_options<'a>(plan: &'a Plan, seat: &'a Seat, target: usize) -> ConnectOptions<'a> {
    let room = seat.room.map(|room| plan.rooms[room as usize].as_str());
    ConnectOptions { authority: &plan.targets[target], token: &seat.token, room, deflate: plan.deflate }
}

/// Writes what waits. `false`: the connection broke.
fn write_out(transport: &mut Transport, out: &mut Vec<u8>) -> bool {
    if transport.flush().is_err() {
        return false;
    }
    while !out.is_empty() {
        match transport.write(out) {
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
