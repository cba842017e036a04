//! The protocol of one socket: ticket, upgrade, sign-in, subscription, events. Pure: bytes in, bytes and outcomes out.

use proto::{
    Subprotocol,
    v1::{
        Capability, ClientFrame, PageRequest, Position, Receipt, Refusal, Retry, ServerFrame, SignIn, Subscribe, Verdict, client_frame,
        page_request, server_frame, sign_in::Credential,
    },
};

use super::{
    catalogue::{Catalogue, Decoded, FrameId},
    frames::{FrameReader, Step},
    wire,
};

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ticket,
    Upgrading,
    SigningIn,
    Subscribing,
    Live,
    /// A bare server: nothing but frames.
    Bare,
}

/// What bytes from the server have led to.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// Subscribed: events follow. After a break, the verdict.
    Live(Option<Verdict>),
    /// A frame of live events came; false: it was a replay.
    Frame(FrameId, bool),
    /// A post was acknowledged.
    Receipt(u32, Receipt),
    /// A post was refused.
    Refused(u32, Box<Refusal>),
    /// How to come back after a break.
    Retry(Retry),
    /// The server closed, with this code, or broke the protocol (0).
    Closed(u16),
    /// The server broke the contract.
    Wrong(String),
}

/// The position of a socket in its room, kept over connections.
#[derive(Clone, Debug, Default)]
pub struct Cursor {
    /// The log's epoch; 0: not known yet.
    pub epoch: u32,
    /// Everything after this seq is due to the socket.
    pub from: u64,
    /// Everything up to this seq came, without a hole.
    pub at: u64,
    /// Credential of the next connection.
    pub resume_token: Option<Box<str>>,
    /// Events that came twice without being asked for.
    pub duplicated: u32,
    /// Frames that did not follow the one before.
    pub out_of_order: u32,
    /// Events replayed or paged after a break.
    pub replayed: u32,
}

/// What a connection is made with.
pub struct ConnectOptions<'a> {
    /// Host and port, for the requests.
    pub authority: &'a str,
    /// The session's token.
    pub token: &'a str,
    /// The conversation that it follows.
    pub room: Option<&'a str>,
    /// Whether the socket announces that it can inflate.
    pub deflate: bool,
}

/// The state of one connection.
pub struct Connection {
    stage: Stage,
    reader: FrameReader,
    head: Vec<u8>,
    ticket: Option<Box<str>>,
    page_asked: Option<u32>,
    gap_to: u64,
    /// The seq up to which live events came behind the gap.
    ahead: u64,
    /// Events up to this seq are a replay.
    replay_to: u64,
    next_id: u32,
    sampled: bool,
}

impl Connection {
    /// A new connection; `out` gets its first request. `sampled`: it decodes every frame in full.
    #[must_use]
    pub fn open(options: Option<&ConnectOptions<'_>>, cursor: &Cursor, sampled: bool, out: &mut Vec<u8>) -> Self {
        let stage = match options {
            None => Stage::Bare,
            Some(options) if cursor.resume_token.is_some() => {
                out.extend(wire::upgrade(options.authority, Subprotocol::Proto.name()));
                Stage::Upgrading
            }
            Some(options) => {
                out.extend(wire::ticket_request(options.authority, options.token));
                Stage::Ticket
            }
        };
        let reader = FrameReader::Between;
        Self { stage, reader, head: Vec::new(), ticket: None, page_asked: None, gap_to: 0, ahead: 0, replay_to: 0, next_id: 2, sampled }
    }

    /// Whether it is subscribed.
    #[must_use]
    pub fn live(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Bare)
    }

    /// Appends a frame to `out`; returns its id.
    pub fn send(&mut self, frame: client_frame::Frame, out: &mut Vec<u8>) -> u32 {
        self.next_id += 1;
        encode_frame(out, self.next_id, frame);
        self.next_id
    }

    /// Handles bytes read. `out` gets what is to be written, `outcomes` what they have led to.
    pub fn handle_bytes(
        &mut self,
        bytes: &[u8],
        cursor: &mut Cursor,
        options: &ConnectOptions<'_>,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let behind;
        let mut rest = bytes;
        if matches!(self.stage, Stage::Ticket | Stage::Upgrading) {
            self.head.extend_from_slice(bytes);
            self.handle_http(cursor, options, out, outcomes);
            if self.stage != Stage::SigningIn {
                return;
            }
            // Frames behind the answer to the upgrade.
            behind = std::mem::take(&mut self.head);
            rest = &behind;
        }
        self.handle_frames(&mut rest, cursor, options, catalogue, out, outcomes);
    }

    /// Handles the answers over HTTP: the ticket, then the upgrade.
    fn handle_http(&mut self, cursor: &Cursor, options: &ConnectOptions<'_>, out: &mut Vec<u8>, outcomes: &mut Vec<Outcome>) {
        while let Some(answer) = wire::response(&self.head) {
            let (status, length) = (answer.status, answer.length);
            if self.stage == Stage::Ticket {
                let body: serde_json::Value = serde_json::from_slice(answer.body).unwrap_or_default();
                let Some(ticket) = body["ticket"].as_str() else {
                    outcomes.push(Outcome::Wrong(format!("no ticket: {status}")));
                    outcomes.push(Outcome::Closed(0));
                    return;
                };
                self.ticket = Some(ticket.into());
                self.head.drain(..length);
                out.extend(wire::upgrade(options.authority, Subprotocol::Proto.name()));
                self.stage = Stage::Upgrading;
                continue;
            }
            if status != 101 {
                outcomes.push(Outcome::Wrong(format!("instead of 101: {status}")));
                outcomes.push(Outcome::Closed(0));
                return;
            }
            self.head.drain(..length);
            let credential = match (&cursor.resume_token, self.ticket.take()) {
                (_, Some(ticket)) => Credential::Ticket(ticket.into()),
                (token, None) => Credential::ResumeToken(token.clone().unwrap_or_default().into()),
            };
            let mut sign_in = sign_in(credential, options.deflate);
            if let Some(room) = options.room
                && cursor.epoch != 0
            {
                sign_in.resume = vec![Position { conversation: room.to_owned(), epoch: cursor.epoch, seq: cursor.at }];
            }
            encode_frame(out, 1, client_frame::Frame::SignIn(sign_in));
            self.stage = Stage::SigningIn;
            return;
        }
    }

    fn handle_frames(
        &mut self,
        rest: &mut &[u8],
        cursor: &mut Cursor,
        options: &ConnectOptions<'_>,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        outcomes: &mut Vec<Outcome>,
    ) {
        while let Some(step) = self.reader.next(rest, catalogue, self.sampled) {
            match step {
                Step::Known(id) => self.check_position(id, catalogue, cursor, options, out, outcomes),
                Step::Frame(2, payload) => self.handle_message(&payload, cursor, options, catalogue, out, outcomes),
                Step::Frame(9, payload) => out.extend(wire::frame(10, &payload)),
                Step::Frame(8, payload) => {
                    outcomes.push(Outcome::Closed(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))));
                    return;
                }
                Step::Frame(..) => {}
                Step::Broken => {
                    outcomes.push(Outcome::Wrong("a frame that breaks RFC 6455".into()));
                    outcomes.push(Outcome::Closed(0));
                    return;
                }
            }
        }
    }

    fn handle_message(
        &mut self,
        payload: &[u8],
        cursor: &mut Cursor,
        options: &ConnectOptions<'_>,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        outcomes: &mut Vec<Outcome>,
    ) {
        if self.sampled
            && let Some(id) = catalogue.find(payload)
        {
            if let Err(wrong) = catalogue.compare(id, payload) {
                outcomes.push(Outcome::Wrong(wrong));
            }
            return self.check_position(id, catalogue, cursor, options, out, outcomes);
        }
        match catalogue.decode(payload) {
            Ok(Decoded::Live(id)) => self.check_position(id, catalogue, cursor, options, out, outcomes),
            Ok(Decoded::Other(frame)) => self.handle_frame(*frame, cursor, options, out, outcomes),
            Err(wrong) => outcomes.push(Outcome::Wrong(wrong)),
        }
    }

    /// Checks, for every frame on every socket, that it follows the one before; moves the cursor.
    fn check_position(
        &mut self,
        id: FrameId,
        catalogue: &Catalogue,
        cursor: &mut Cursor,
        options: &ConnectOptions<'_>,
        out: &mut Vec<u8>,
        outcomes: &mut Vec<Outcome>,
    ) {
        let stretch = &catalogue.frames[id as usize];
        let (first, count) = (stretch.first, stretch.count);
        let last = first + u64::from(count) - 1;
        outcomes.push(Outcome::Frame(id, first > self.replay_to));
        if cursor.at == 0 && cursor.from == 0 && self.stage == Stage::Bare {
            cursor.from = first - 1;
            cursor.at = first - 1;
        }
        // While a gap is being paged, live events come behind it.
        let filling = self.gap_to > cursor.at;
        let reached = if filling { self.ahead.max(self.gap_to) } else { cursor.at };
        if first > reached + 1 {
            cursor.out_of_order += 1;
            if !filling {
                self.gap_to = first - 1;
                self.ahead = last;
                self.request_page(cursor, options, out);
            }
            return;
        }
        cursor.duplicated += (reached + 1 - first).min(u64::from(count)) as u32;
        let now = reached.max(last);
        if first <= self.replay_to {
            cursor.replayed += (now - reached) as u32;
        }
        if filling {
            self.ahead = now;
        } else {
            cursor.at = now;
        }
    }

    fn request_page(&mut self, cursor: &Cursor, options: &ConnectOptions<'_>, out: &mut Vec<u8>) {
        if self.page_asked.is_none() && self.gap_to > cursor.at {
            let after = page_request::Where::After(cursor.at);
            let conversation = options.room.unwrap_or_default().to_owned();
            let page = PageRequest { conversation, epoch: cursor.epoch, r#where: Some(after), limit: 200 };
            self.page_asked = Some(self.send(client_frame::Frame::Page(page), out));
        }
    }

    fn handle_frame(
        &mut self,
        frame: ServerFrame,
        cursor: &mut Cursor,
        options: &ConnectOptions<'_>,
        out: &mut Vec<u8>,
        outcomes: &mut Vec<Outcome>,
    ) {
        use server_frame::Frame as F;
        match frame.frame {
            Some(F::Welcome(welcome)) => {
                cursor.resume_token = Some(welcome.resume_token.into());
                outcomes.extend(welcome.retry.map(Outcome::Retry));
                if self.stage == Stage::SigningIn {
                    self.stage = Stage::Subscribing;
                    match options.room {
                        None => self.go_live(None, outcomes),
                        Some(room) if cursor.epoch == 0 => {
                            let subscribe = Subscribe { conversation: room.to_owned(), after: None, tail: 0 };
                            encode_frame(out, 2, client_frame::Frame::Subscribe(subscribe));
                        }
                        Some(_) => {}
                    }
                }
            }
            Some(F::Subscribed(subscribed)) => {
                let Some(position) = &subscribed.position else { return };
                let verdict = subscribed.verdict();
                self.replay_to = subscribed.head_seq;
                match verdict {
                    Verdict::Fresh => {
                        cursor.epoch = position.epoch;
                        cursor.from = position.seq;
                        cursor.at = position.seq;
                        self.replay_to = 0;
                    }
                    Verdict::Gap => {
                        self.gap_to = position.seq;
                        self.request_page(cursor, options, out);
                    }
                    Verdict::Reset => outcomes.push(Outcome::Wrong("told to load everything anew".into())),
                    Verdict::Resumed | Verdict::Unspecified => {}
                }
                self.go_live((verdict != Verdict::Fresh).then_some(verdict), outcomes);
            }
            Some(F::Page(page)) if self.page_asked == Some(frame.re) => {
                self.page_asked = None;
                for event in page.events {
                    if event.seq == cursor.at + 1 && event.seq <= self.gap_to {
                        cursor.at = event.seq;
                        cursor.replayed += 1;
                    }
                }
                if cursor.at == self.gap_to {
                    cursor.at = cursor.at.max(self.ahead);
                }
                self.request_page(cursor, options, out);
            }
            Some(F::Receipt(receipt)) => outcomes.push(Outcome::Receipt(frame.re, receipt)),
            Some(F::Retry(retry)) => outcomes.push(Outcome::Retry(retry)),
            Some(F::Refusal(refusal)) if self.stage == Stage::Live && self.page_asked == Some(frame.re) => {
                self.page_asked = None;
                outcomes.push(Outcome::Wrong(format!("a page was refused: {}", refusal.code().as_str_name())));
                outcomes.push(Outcome::Closed(0));
            }
            Some(F::Refusal(refusal)) if self.stage == Stage::Live => outcomes.push(Outcome::Refused(frame.re, Box::new(refusal))),
            // A resume token expires after minutes: the next connection begins with a ticket.
            Some(F::Refusal(_)) if self.stage == Stage::SigningIn && cursor.resume_token.take().is_some() => {
                outcomes.push(Outcome::Closed(3005));
            }
            Some(F::Refusal(refusal)) => {
                outcomes.push(Outcome::Wrong(format!("refused: {}", refusal.code().as_str_name())));
                outcomes.push(Outcome::Closed(0));
            }
            Some(F::Unsubscribed(_)) => outcomes.push(Outcome::Wrong("the subscription was ended".into())),
            _ => {}
        }
    }

    fn go_live(&mut self, verdict: Option<Verdict>, outcomes: &mut Vec<Outcome>) {
        // The server may send Subscribed again for the same subscription.
        if self.stage != Stage::Live {
            self.stage = Stage::Live;
            outcomes.push(Outcome::Live(verdict));
        }
    }
}

/// The frame that signs in.
fn sign_in(credential: Credential, deflate: bool) -> SignIn {
    let capabilities = if deflate { vec![Capability::DeflateRaw.into()] } else { vec![] };
    SignIn { credential: Some(credential), client: "loadtest".into(), capabilities, resume: vec![], contract: proto::limits::CONTRACT }
}

fn encode_frame(out: &mut Vec<u8>, id: u32, frame: client_frame::Frame) {
    out.extend(wire::frame(2, &Subprotocol::Proto.encode_client(&ClientFrame { id, frame: Some(frame) })));
}
