//! One socket's state, small: where it is on the way to its room, and how far it has come in it. Pure: bytes in, bytes
//! and happenings out.

use proto::{
    Subprotocol,
    v1::{
        Capability, ClientFrame, PageRequest, Position, Receipt, Refusal, Retry, ServerFrame, SignIn, Subscribe, Verdict, client_frame,
        page_request, server_frame, sign_in::Credential,
    },
};

use super::{
    catalogue::{Catalogue, FrameId, Learnt},
    walk::{Step, Walk},
    wire,
};

/// On the way to the room.
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

/// What came of some bytes.
#[derive(Debug, PartialEq)]
pub enum Happening {
    /// Subscribed: events follow. After a break, the verdict.
    Live(Option<Verdict>),
    /// A frame of live events came; false: it was a replay.
    Frame(FrameId, bool),
    /// A post was taken.
    Receipt(u32, Receipt),
    /// A post was not.
    Refused(u32, Box<Refusal>),
    /// How to come back after a break.
    Retry(Retry),
    /// The server closed, with this code, or broke the protocol (0).
    Closed(u16),
    /// Something that must not be.
    Wrong(String),
}

/// How far a socket has come, kept from one connection to the next.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// 0: not known yet.
    pub epoch: u32,
    /// Everything after this was due.
    pub from: u64,
    /// Everything up to this came, without a hole.
    pub at: u64,
    /// For the next connection.
    pub resume_token: Option<Box<str>>,
    /// Counts for the checker.
    pub duplicated: u32,
    /// As well.
    pub out_of_order: u32,
    /// As well.
    pub replayed: u32,
}

/// What a connection is made with, the same for all of a plan.
pub struct Way<'a> {
    /// Host and port, for the requests.
    pub authority: &'a str,
    /// The session's token.
    pub token: &'a str,
    /// The conversation that it follows.
    pub room: Option<&'a str>,
    /// It says that it can inflate.
    pub deflate: bool,
}

/// One connection.
pub struct Connection {
    stage: Stage,
    walk: Walk,
    head: Vec<u8>,
    ticket: Option<Box<str>>,
    page_asked: Option<u32>,
    gap_to: u64,
    /// Behind the gap, live events came up to here.
    ahead: u64,
    /// Up to here, events are replayed.
    replay_to: u64,
    next_id: u32,
    sampled: bool,
}

impl Connection {
    /// Before the first byte; `out` gets what opens it. `sampled`: it decodes every frame in full.
    #[must_use]
    pub fn open(way: Option<&Way<'_>>, place: &Place, sampled: bool, out: &mut Vec<u8>) -> Self {
        let stage = match way {
            None => Stage::Bare,
            Some(way) if place.resume_token.is_some() => {
                out.extend(wire::upgrade(way.authority, Subprotocol::Proto.name()));
                Stage::Upgrading
            }
            Some(way) => {
                out.extend(wire::ticket_request(way.authority, way.token));
                Stage::Ticket
            }
        };
        let walk = Walk::Between;
        Self { stage, walk, head: Vec::new(), ticket: None, page_asked: None, gap_to: 0, ahead: 0, replay_to: 0, next_id: 2, sampled }
    }

    /// Whether events flow.
    #[must_use]
    pub fn live(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Bare)
    }

    /// Sends a frame; its id.
    pub fn send(&mut self, frame: client_frame::Frame, out: &mut Vec<u8>) -> u32 {
        self.next_id += 1;
        put(out, self.next_id, frame);
        self.next_id
    }

    /// Takes what was read. `out` gets what is to be written, `happened` what came of it.
    pub fn take(
        &mut self,
        bytes: &[u8],
        place: &mut Place,
        way: &Way<'_>,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        happened: &mut Vec<Happening>,
    ) {
        let behind;
        let mut rest = bytes;
        if matches!(self.stage, Stage::Ticket | Stage::Upgrading) {
            self.head.extend_from_slice(bytes);
            self.take_head(place, way, out, happened);
            if self.stage != Stage::SigningIn {
                return;
            }
            // What came behind the answer to the upgrade.
            behind = std::mem::take(&mut self.head);
            rest = &behind;
        }
        self.take_frames(&mut rest, place, way, catalogue, out, happened);
    }

    /// The answers over HTTP before the upgrade is done.
    fn take_head(&mut self, place: &Place, way: &Way<'_>, out: &mut Vec<u8>, happened: &mut Vec<Happening>) {
        while let Some(answer) = wire::response(&self.head) {
            let (status, length) = (answer.status, answer.length);
            if self.stage == Stage::Ticket {
                let body: serde_json::Value = serde_json::from_slice(answer.body).unwrap_or_default();
                let Some(ticket) = body["ticket"].as_str() else {
                    happened.push(Happening::Wrong(format!("no ticket: {status}")));
                    happened.push(Happening::Closed(0));
                    return;
                };
                self.ticket = Some(ticket.into());
                self.head.drain(..length);
                out.extend(wire::upgrade(way.authority, Subprotocol::Proto.name()));
                self.stage = Stage::Upgrading;
                continue;
            }
            if status != 101 {
                happened.push(Happening::Wrong(format!("instead of 101: {status}")));
                happened.push(Happening::Closed(0));
                return;
            }
            self.head.drain(..length);
            let credential = match (&place.resume_token, self.ticket.take()) {
                (_, Some(ticket)) => Credential::Ticket(ticket.into()),
                (token, None) => Credential::ResumeToken(token.clone().unwrap_or_default().into()),
            };
            let mut sign_in = sign_in(credential, way.deflate);
            if let Some(room) = way.room
                && place.epoch != 0
            {
                sign_in.resume = vec![Position { conversation: room.to_owned(), epoch: place.epoch, seq: place.at }];
            }
            put(out, 1, client_frame::Frame::SignIn(sign_in));
            self.stage = Stage::SigningIn;
            return;
        }
    }

    fn take_frames(
        &mut self,
        rest: &mut &[u8],
        place: &mut Place,
        way: &Way<'_>,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        happened: &mut Vec<Happening>,
    ) {
        while let Some(step) = self.walk.next(rest, catalogue, self.sampled) {
            match step {
                Step::Known(id) => self.follow(id, catalogue, place, way, out, happened),
                Step::Frame(2, payload) => self.take_message(&payload, place, way, catalogue, out, happened),
                Step::Frame(9, payload) => out.extend(wire::frame(10, &payload)),
                Step::Frame(8, payload) => {
                    happened.push(Happening::Closed(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))));
                    return;
                }
                Step::Frame(..) => {}
                Step::Broken => {
                    happened.push(Happening::Wrong("a frame that breaks RFC 6455".into()));
                    happened.push(Happening::Closed(0));
                    return;
                }
            }
        }
    }

    fn take_message(
        &mut self,
        payload: &[u8],
        place: &mut Place,
        way: &Way<'_>,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        happened: &mut Vec<Happening>,
    ) {
        if self.sampled
            && let Some(id) = catalogue.find(payload)
        {
            if let Err(wrong) = catalogue.compare(id, payload) {
                happened.push(Happening::Wrong(wrong));
            }
            return self.follow(id, catalogue, place, way, out, happened);
        }
        match catalogue.learn(payload) {
            Ok(Learnt::Stretch(id)) => self.follow(id, catalogue, place, way, out, happened),
            Ok(Learnt::Other(frame)) => self.take_frame(*frame, place, way, out, happened),
            Err(wrong) => happened.push(Happening::Wrong(wrong)),
        }
    }

    /// The check that every frame goes through, on every socket.
    fn follow(
        &mut self,
        id: FrameId,
        catalogue: &Catalogue,
        place: &mut Place,
        way: &Way<'_>,
        out: &mut Vec<u8>,
        happened: &mut Vec<Happening>,
    ) {
        let stretch = &catalogue.stretches[id as usize];
        let (first, count) = (stretch.first, stretch.count);
        let last = first + u64::from(count) - 1;
        happened.push(Happening::Frame(id, first > self.replay_to));
        if place.at == 0 && place.from == 0 && self.stage == Stage::Bare {
            place.from = first - 1;
            place.at = first - 1;
        }
        // While a gap is being paged, live events go on behind it.
        let filling = self.gap_to > place.at;
        let reached = if filling { self.ahead.max(self.gap_to) } else { place.at };
        if first > reached + 1 {
            place.out_of_order += 1;
            if !filling {
                self.gap_to = first - 1;
                self.ahead = last;
                self.ask(place, way, out);
            }
            return;
        }
        place.duplicated += (reached + 1 - first).min(u64::from(count)) as u32;
        let now = reached.max(last);
        if first <= self.replay_to {
            place.replayed += (now - reached) as u32;
        }
        if filling {
            self.ahead = now;
        } else {
            place.at = now;
        }
    }

    fn ask(&mut self, place: &Place, way: &Way<'_>, out: &mut Vec<u8>) {
        if self.page_asked.is_none() && self.gap_to > place.at {
            let after = page_request::Where::After(place.at);
            let conversation = way.room.unwrap_or_default().to_owned();
            let page = PageRequest { conversation, epoch: place.epoch, r#where: Some(after), limit: 200 };
            self.page_asked = Some(self.send(client_frame::Frame::Page(page), out));
        }
    }

    fn take_frame(&mut self, frame: ServerFrame, place: &mut Place, way: &Way<'_>, out: &mut Vec<u8>, happened: &mut Vec<Happening>) {
        use server_frame::Frame as F;
        match frame.frame {
            Some(F::Welcome(welcome)) => {
                place.resume_token = Some(welcome.resume_token.into());
                happened.extend(welcome.retry.map(Happening::Retry));
                if self.stage == Stage::SigningIn {
                    self.stage = Stage::Subscribing;
                    match way.room {
                        None => self.go_live(None, happened),
                        Some(room) if place.epoch == 0 => {
                            let subscribe = Subscribe { conversation: room.to_owned(), after: None, tail: 0 };
                            put(out, 2, client_frame::Frame::Subscribe(subscribe));
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
                        place.epoch = position.epoch;
                        place.from = position.seq;
                        place.at = position.seq;
                        self.replay_to = 0;
                    }
                    Verdict::Gap => {
                        self.gap_to = position.seq;
                        self.ask(place, way, out);
                    }
                    Verdict::Reset => happened.push(Happening::Wrong("told to load everything anew".into())),
                    Verdict::Resumed | Verdict::Unspecified => {}
                }
                self.go_live((verdict != Verdict::Fresh).then_some(verdict), happened);
            }
            Some(F::Page(page)) if self.page_asked == Some(frame.re) => {
                self.page_asked = None;
                for event in page.events {
                    if event.seq == place.at + 1 && event.seq <= self.gap_to {
                        place.at = event.seq;
                        place.replayed += 1;
                    }
                }
                if place.at == self.gap_to {
                    place.at = place.at.max(self.ahead);
                }
                self.ask(place, way, out);
            }
            Some(F::Receipt(receipt)) => happened.push(Happening::Receipt(frame.re, receipt)),
            Some(F::Retry(retry)) => happened.push(Happening::Retry(retry)),
            Some(F::Refusal(refusal)) if self.stage == Stage::Live && self.page_asked == Some(frame.re) => {
                self.page_asked = None;
                happened.push(Happening::Wrong(format!("a page was refused: {}", refusal.code().as_str_name())));
                happened.push(Happening::Closed(0));
            }
            Some(F::Refusal(refusal)) if self.stage == Stage::Live => happened.push(Happening::Refused(frame.re, Box::new(refusal))),
            // A resume token is good for minutes; who was away for longer comes back with a ticket.
            Some(F::Refusal(_)) if self.stage == Stage::SigningIn && place.resume_token.take().is_some() => {
                happened.push(Happening::Closed(3005));
            }
            Some(F::Refusal(refusal)) => {
                happened.push(Happening::Wrong(format!("refused: {}", refusal.code().as_str_name())));
                happened.push(Happening::Closed(0));
            }
            Some(F::Unsubscribed(_)) => happened.push(Happening::Wrong("the subscription was ended".into())),
            _ => {}
        }
    }

    fn go_live(&mut self, verdict: Option<Verdict>, happened: &mut Vec<Happening>) {
        // The server may tell anew where a subscription stands.
        if self.stage != Stage::Live {
            self.stage = Stage::Live;
            happened.push(Happening::Live(verdict));
        }
    }
}

/// What to sign in with.
fn sign_in(credential: Credential, deflate: bool) -> SignIn {
    let capabilities = if deflate { vec![Capability::DeflateRaw.into()] } else { vec![] };
    SignIn { credential: Some(credential), client: "loadtest".into(), capabilities, resume: vec![] }
}

fn put(out: &mut Vec<u8>, id: u32, frame: client_frame::Frame) {
    out.extend(wire::frame(2, &Subprotocol::Proto.encode_client(&ClientFrame { id, frame: Some(frame) })));
}
