//! One socket's state, small: where it is on the way to its room, and how far it has come in it. Pure: bytes in, bytes
//! and happenings out.

use proto::{
    Subprotocol,
    v1::{
        Capability, ClientFrame, PageRequest, Position, ServerFrame, SignIn, Subscribe, Verdict, client_frame, page_request, server_frame,
        sign_in::Credential,
    },
};

use super::{
    catalogue::{Catalogue, FrameId},
    wire::{self, Parsed},
};

/// On the way to the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Upgrading,
    SigningIn,
    Subscribing,
    Live,
    /// A bare server: nothing but frames.
    Bare,
}

/// What came of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Happening {
    /// Subscribed: events follow.
    Live,
    /// A frame of live events came.
    Frame(FrameId),
    /// The server closed, with this code, or broke the protocol (0).
    Closed(u16),
    /// Something that must not be.
    Wrong(String),
}

/// How far a socket has come, kept from one connection to the next.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The room's id in the catalogue, and in the contract.
    pub room: u32,
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

/// One connection.
pub struct Connection {
    stage: Stage,
    /// What is left of a frame that is not whole yet.
    partial: Vec<u8>,
    page_asked: Option<u32>,
    gap_to: u64,
    /// Behind the gap, live events came up to here.
    ahead: u64,
    next_id: u32,
}

/// The bytes that open a connection.
#[must_use]
pub fn hello(authority: &str, bare: bool) -> Vec<u8> {
    if bare { Vec::new() } else { wire::upgrade(authority, Subprotocol::Proto.name()) }
}

impl Connection {
    /// A new one.
    #[must_use]
    pub fn new(bare: bool) -> Self {
        let stage = if bare { Stage::Bare } else { Stage::Upgrading };
        Self { stage, partial: Vec::new(), page_asked: None, gap_to: 0, ahead: 0, next_id: 2 }
    }

    /// Whether events flow.
    #[must_use]
    pub fn live(&self) -> bool {
        matches!(self.stage, Stage::Live | Stage::Bare)
    }

    /// Takes what was read. `out` gets what is to be written, `happened` what came of it.
    #[allow(clippy::too_many_arguments, reason = "the socket's parts are lent one by one, so that none is copied")]
    pub fn take(
        &mut self,
        bytes: &[u8],
        place: &mut Place,
        room: &str,
        sign_in: &mut dyn FnMut() -> SignIn,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        happened: &mut Vec<Happening>,
    ) {
        // Only what is left of a frame is kept: an idle socket holds no buffer.
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            let mut partial = std::mem::take(&mut self.partial);
            partial.extend_from_slice(bytes);
            joined = partial;
            joined.as_slice()
        };
        if self.stage == Stage::Upgrading {
            let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") else {
                self.partial = rest.to_vec();
                return;
            };
            if !rest.starts_with(b"HTTP/1.1 101") {
                let line = String::from_utf8_lossy(&rest[..rest.len().min(40)]).lines().next().unwrap_or_default().to_owned();
                happened.push(Happening::Wrong(format!("instead of 101: {line}")));
                happened.push(Happening::Closed(0));
                return;
            }
            rest = &rest[end + 4..];
            let mut sign_in = sign_in();
            if place.epoch != 0 {
                sign_in.resume = vec![Position { conversation: room.to_owned(), epoch: place.epoch, seq: place.at }];
            }
            put(out, 1, client_frame::Frame::SignIn(sign_in));
            self.stage = Stage::SigningIn;
        }
        loop {
            match wire::parse(rest) {
                Parsed::Frame(frame) => {
                    rest = &rest[frame.length..];
                    match frame.opcode {
                        2 => self.take_message(frame.payload, place, room, catalogue, out, happened),
                        9 => out.extend(wire::frame(10, frame.payload)),
                        8 => {
                            let code = frame.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                            happened.push(Happening::Closed(code));
                            return;
                        }
                        _ => {}
                    }
                }
                Parsed::More => break,
                Parsed::Broken => {
                    happened.push(Happening::Wrong("a frame that breaks RFC 6455".into()));
                    happened.push(Happening::Closed(0));
                    return;
                }
            }
        }
        if !rest.is_empty() {
            self.partial = rest.to_vec();
        }
    }

    fn take_message(
        &mut self,
        payload: &[u8],
        place: &mut Place,
        room: &str,
        catalogue: &mut Catalogue,
        out: &mut Vec<u8>,
        happened: &mut Vec<Happening>,
    ) {
        let known = match catalogue.find(payload) {
            Some(id) => Ok(id),
            None => catalogue.learn(payload),
        };
        match known {
            Ok(id) => {
                let stretch = &catalogue.stretches[id as usize];
                self.follow(stretch.first, stretch.count, place, room, out);
                happened.push(Happening::Frame(id));
            }
            Err(Ok(frame)) => self.take_frame(*frame, place, room, out, happened),
            Err(Err(wrong)) => happened.push(Happening::Wrong(wrong)),
        }
    }

    /// The check that every frame goes through, on every socket.
    fn follow(&mut self, first: u64, count: u32, place: &mut Place, room: &str, out: &mut Vec<u8>) {
        let last = first + u64::from(count) - 1;
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
                self.ask(place, room, out);
            }
            return;
        }
        place.duplicated += (reached + 1 - first).min(u64::from(count)) as u32;
        let reached = reached.max(last);
        if filling {
            self.ahead = reached;
        } else {
            place.at = reached;
        }
    }

    fn ask(&mut self, place: &Place, room: &str, out: &mut Vec<u8>) {
        if self.page_asked.is_none() && self.gap_to > place.at {
            self.next_id += 1;
            let after = page_request::Where::After(place.at);
            let page = PageRequest { conversation: room.to_owned(), epoch: place.epoch, r#where: Some(after), limit: 200 };
            put(out, self.next_id, client_frame::Frame::Page(page));
            self.page_asked = Some(self.next_id);
        }
    }

    fn take_frame(&mut self, frame: ServerFrame, place: &mut Place, room: &str, out: &mut Vec<u8>, happened: &mut Vec<Happening>) {
        use server_frame::Frame as F;
        match frame.frame {
            Some(F::Welcome(welcome)) => {
                place.resume_token = Some(welcome.resume_token.into());
                if self.stage == Stage::SigningIn {
                    self.stage = Stage::Subscribing;
                    if place.epoch == 0 {
                        let subscribe = Subscribe { conversation: room.to_owned(), after: None, tail: 0 };
                        put(out, 2, client_frame::Frame::Subscribe(subscribe));
                    }
                }
            }
            Some(F::Subscribed(subscribed)) => {
                let Some(position) = &subscribed.position else { return };
                match subscribed.verdict() {
                    Verdict::Fresh => {
                        place.epoch = position.epoch;
                        place.from = position.seq;
                        place.at = position.seq;
                    }
                    Verdict::Gap => {
                        self.gap_to = position.seq;
                        self.ask(place, room, out);
                    }
                    Verdict::Reset => happened.push(Happening::Wrong("told to load everything anew".into())),
                    Verdict::Resumed | Verdict::Unspecified => {}
                }
                self.stage = Stage::Live;
                happened.push(Happening::Live);
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
                self.ask(place, room, out);
            }
            Some(F::Refusal(refusal)) => {
                happened.push(Happening::Wrong(format!("refused: {}", refusal.code().as_str_name())));
                if self.stage != Stage::Live {
                    happened.push(Happening::Closed(0));
                }
            }
            Some(F::Unsubscribed(_)) => happened.push(Happening::Wrong("the subscription was ended".into())),
            _ => {}
        }
    }
}

/// What to sign in with.
#[must_use]
pub fn sign_in(credential: Credential, deflate: bool) -> SignIn {
    let capabilities = if deflate { vec![Capability::DeflateRaw.into()] } else { vec![] };
    SignIn { credential: Some(credential), client: "loadtest".into(), capabilities, resume: vec![] }
}

fn put(out: &mut Vec<u8>, id: u32, frame: client_frame::Frame) {
    out.extend(wire::frame(2, &Subprotocol::Proto.encode_client(&ClientFrame { id, frame: Some(frame) })));
}
