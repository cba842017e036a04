//! A generator: one thread, one epoll, thousands of sockets, almost no memory for each. The coordinator starts several
//! of these as processes of their own and talks to them in lines of JSON.

pub mod catalogue;
pub mod orders;
mod socket;
mod tickets;
pub mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, BufRead as _, Read as _, Write as _},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use mio::{Events, Interest, Poll, Token, Waker, net::TcpStream};
use proto::v1::sign_in::Credential;

use self::{
    catalogue::{BUCKET_US, Catalogue},
    orders::{Found, Note, Order, Plan, Standing},
    socket::{Connection, Happening, Place},
    tickets::Tickets,
};
use crate::client::now_us;

const WAKE: Token = Token(usize::MAX);
/// Read into by all sockets in turn.
const BUFFER_BYTES: usize = 512 * 1024;

struct Socket {
    stream: Option<TcpStream>,
    connection: Connection,
    place: Place,
    /// What the kernel did not take yet.
    out: Vec<u8>,
    target: u16,
    started: Instant,
    attempts: u8,
    failed: bool,
    ticket: Option<Box<str>>,
}

struct Generator {
    plan: Plan,
    poll: Poll,
    sockets: Vec<Socket>,
    catalogue: Catalogue,
    tickets: Tickets,
    /// Sockets to connect, with the earliest time.
    to_connect: VecDeque<(Instant, usize)>,
    allowance: f64,
    refilled: Instant,
    found: Found,
    live: u32,
    failed: u32,
    delivered: u64,
}

/// Runs until told to finish.
///
/// # Errors
/// When the coordinator is gone or the machine refuses sockets altogether.
pub fn run() -> anyhow::Result<()> {
    let poll = Poll::new()?;
    let waker = std::sync::Arc::new(Waker::new(poll.registry(), WAKE)?);
    let (send, orders) = std::sync::mpsc::channel();
    let wake = waker.clone();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            match serde_json::from_str::<Order>(&line) {
                Ok(order) => {
                    let _ = send.send(order);
                    let _ = wake.wake();
                }
                Err(error) => tracing::error!(%error, "an order that cannot be read"),
            }
        }
    });
    let Order::Open(plan) = orders.recv().context("the coordinator is gone")? else { anyhow::bail!("the first order must be Open") };
    let mut generator = Generator::new(plan, poll, waker);
    let mut events = Events::with_capacity(4096);
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut told = Instant::now();
    loop {
        generator.connect_due()?;
        generator.poll.poll(&mut events, Some(Duration::from_millis(20)))?;
        for event in &events {
            if event.token() != WAKE {
                generator.serve(event.token().0, event.is_writable(), &mut buffer);
            }
        }
        generator.take_tickets();
        while let Ok(order) = orders.try_recv() {
            match order {
                Order::Open(_) => anyhow::bail!("opened twice"),
                Order::Tell => tell(&Note::Standing(generator.standing()))?,
                Order::Begin => generator.begin(),
                Order::Finish => {
                    tell(&Note::Found(Box::new(generator.finish())))?;
                    return Ok(());
                }
            }
        }
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            tell(&Note::Standing(generator.standing()))?;
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
    fn new(plan: Plan, poll: Poll, waker: std::sync::Arc<Waker>) -> Self {
        let now = Instant::now();
        let sockets = plan.follows.iter().enumerate().map(|(number, room)| Socket {
            stream: None,
            connection: Connection::new(plan.bare),
            place: Place { room: *room, ..Place::default() },
            out: Vec::new(),
            target: (number % plan.targets.len()) as u16,
            started: now,
            attempts: 0,
            failed: false,
            ticket: None,
        });
        let sockets: Vec<_> = sockets.collect();
        let to_connect = (0..sockets.len()).map(|number| (now, number)).collect();
        let tickets = Tickets::start(plan.targets.clone(), plan.tokens.clone(), waker);
        Self {
            catalogue: Catalogue::new(&plan.run, &plan.rooms),
            tickets,
            to_connect,
            allowance: 0.0,
            refilled: now,
            found: Found::default(),
            live: 0,
            failed: 0,
            delivered: 0,
            poll,
            sockets,
            plan,
        }
    }

    /// Starts connections, no faster than the plan says.
    fn connect_due(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let rate = f64::from(self.plan.per_s);
        self.allowance = (self.allowance + (now - self.refilled).as_secs_f64() * rate).min(rate / 10.0 + 1.0);
        self.refilled = now;
        let mut looked_at = self.to_connect.len();
        while self.allowance >= 1.0 && looked_at > 0 {
            looked_at -= 1;
            let Some((when, number)) = self.to_connect.pop_front() else { break };
            if when > now {
                self.to_connect.push_back((when, number));
                continue;
            }
            self.allowance -= 1.0;
            let socket = &mut self.sockets[number];
            socket.started = now;
            if self.plan.bare || socket.place.resume_token.is_some() || socket.ticket.is_some() {
                self.connect(number)?;
            } else {
                self.tickets.want(number, usize::from(socket.target));
            }
        }
        Ok(())
    }

    fn take_tickets(&mut self) {
        while let Some((number, ticket)) = self.tickets.next() {
            match ticket {
                Ok(ticket) => {
                    self.sockets[number].ticket = Some(ticket.into());
                    if let Err(error) = self.connect(number) {
                        self.broke(number, &error.to_string());
                    }
                }
                Err(error) => self.broke(number, &error),
            }
        }
    }

    fn connect(&mut self, number: usize) -> anyhow::Result<()> {
        let socket = &mut self.sockets[number];
        let target: SocketAddr = self.plan.targets[usize::from(socket.target)].parse().context("targets are ip:port")?;
        let source: SocketAddr =
            format!("{}:0", self.plan.sources[number % self.plan.sources.len()]).parse().context("sources are addresses")?;
        let raw = socket2::Socket::new(socket2::Domain::for_address(target), socket2::Type::STREAM, None)?;
        raw.set_nonblocking(true)?;
        raw.set_tcp_nodelay(true)?;
        raw.set_reuse_address(true)?;
        raw.bind(&source.into())?;
        match raw.connect(&target.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            Err(error) => return Err(error).context("connecting"),
        }
        let mut stream = TcpStream::from_std(raw.into());
        self.poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        socket.out = socket::hello(&self.plan.targets[usize::from(socket.target)], self.plan.bare);
        socket.connection = Connection::new(self.plan.bare);
        socket.stream = Some(stream);
        if self.plan.bare {
            self.live += 1;
        }
        Ok(())
    }

    /// Reads and writes what one socket has.
    fn serve(&mut self, number: usize, writable: bool, buffer: &mut [u8]) {
        let mut happened = Vec::new();
        let mut broken = None;
        loop {
            let socket = &mut self.sockets[number];
            let Some(stream) = &mut socket.stream else { return };
            if (writable || !socket.out.is_empty()) && !write_out(stream, &mut socket.out) {
                broken = Some("the line broke while writing");
                break;
            }
            match stream.read(buffer) {
                Ok(0) => {
                    broken = Some("the server ended the line");
                    break;
                }
                Ok(length) => {
                    let deflate = self.plan.deflate;
                    let (token, ticket) = (&mut socket.place.resume_token.take(), &mut socket.ticket);
                    let mut sign_in = || {
                        let credential = match (token.take(), ticket.take()) {
                            (Some(token), _) => Credential::ResumeToken(token.into()),
                            (None, ticket) => Credential::Ticket(ticket.unwrap_or_default().into()),
                        };
                        socket::sign_in(credential, deflate)
                    };
                    let room = &self.plan.rooms[socket.place.room as usize];
                    let (connection, place) = (&mut socket.connection, &mut socket.place);
                    connection.take(&buffer[..length], place, room, &mut sign_in, &mut self.catalogue, &mut socket.out, &mut happened);
                    if socket.place.resume_token.is_none() {
                        socket.place.resume_token = token.take();
                    }
                    if !write_out(stream, &mut socket.out) {
                        broken = Some("the line broke while writing");
                        break;
                    }
                    // A short read has emptied the socket: the next bytes make a new event.
                    if length < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    broken = Some("the line broke");
                    break;
                }
            }
        }
        let now = now_us() / BUCKET_US;
        for happening in happened {
            match happening {
                Happening::Live => {
                    self.live += 1;
                    self.found.connect_ms.push(self.sockets[number].started.elapsed().as_millis() as u32);
                }
                Happening::Frame(id) => {
                    let stretch = &mut self.catalogue.stretches[id as usize];
                    self.delivered += u64::from(stretch.count);
                    *stretch.arrivals.entry(now).or_default() += 1;
                }
                Happening::Closed(code) => {
                    self.broke(number, &format!("closed {code}"));
                    return;
                }
                Happening::Wrong(what) => *self.found.errors.entry(what).or_default() += 1,
            }
        }
        if let Some(broken) = broken {
            self.broke(number, broken);
        }
    }

    /// A line broke: it is made anew at the next gateway, if the plan says so or it was never live.
    fn broke(&mut self, number: usize, why: &str) {
        *self.found.errors.entry(why.to_owned()).or_default() += 1;
        let socket = &mut self.sockets[number];
        let was_live = socket.stream.is_some() && socket.connection.live();
        if let Some(mut stream) = socket.stream.take() {
            let _ = self.poll.registry().deregister(&mut stream);
        }
        if was_live {
            self.live -= 1;
            socket.attempts = 0;
        }
        socket.attempts += 1;
        if socket.attempts > 8 || (was_live && !self.plan.reconnect) {
            socket.failed = true;
            self.failed += 1;
            return;
        }
        if was_live {
            self.found.reconnected += 1;
        } else if socket.attempts > 1 {
            // The token may be what was refused.
            socket.place.resume_token = None;
        }
        socket.target = (socket.target + 1) % self.plan.targets.len() as u16;
        let pause = Duration::from_millis(rand::random_range(50..200) << socket.attempts.min(4));
        self.to_connect.push_back((Instant::now() + pause, number));
    }

    fn standing(&self) -> Standing {
        let mut whole_to = vec![u64::MAX; self.plan.rooms.len()];
        for socket in self.sockets.iter().filter(|socket| !socket.failed) {
            let room = &mut whole_to[socket.place.room as usize];
            *room = (*room).min(socket.place.at);
        }
        Standing { live: self.live, failed: self.failed, delivered: self.delivered, whole_to, reconnected: self.found.reconnected }
    }

    fn begin(&mut self) {
        for stretch in &mut self.catalogue.stretches {
            stretch.arrivals = BTreeMap::new();
        }
        for socket in &mut self.sockets {
            socket.place.from = socket.place.at;
        }
        self.delivered = 0;
    }

    fn finish(&mut self) -> Found {
        let mut found = std::mem::take(&mut self.found);
        found.stretches = std::mem::take(&mut self.catalogue.stretches);
        found.stretches.retain(|stretch| !stretch.arrivals.is_empty());
        for socket in &self.sockets {
            let place = &socket.place;
            found.reached.push((place.room, place.from, place.at));
            found.duplicated += u64::from(place.duplicated);
            found.out_of_order += u64::from(place.out_of_order);
            found.replayed += u64::from(place.replayed);
        }
        found.cpu_us = crate::measure::cpu_of(std::process::id()).map_or(0, |cpu| cpu.total_us);
        found
    }
}

/// Writes what waits; false: the line broke.
fn write_out(stream: &mut TcpStream, out: &mut Vec<u8>) -> bool {
    while !out.is_empty() {
        match stream.write(out) {
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
