//! Reading: tungstenite unmasks, checks and joins; between messages nothing is kept. What came is walked frame by frame,
//! and whole frames are given to a context that lives no longer than the message that is open.

use std::io::{self, Cursor, Read, Write};

use bytes::Bytes;
use proto::{CloseCode, limits};
use tokio_tungstenite::tungstenite::{
    Error, Message,
    error::{CapacityError, ProtocolError},
    protocol::{
        Role, WebSocketConfig, WebSocketContext,
        frame::{
            FrameHeader,
            coding::{Control, Data, OpCode},
        },
    },
};

use super::frame::Frame;

/// Fragments and control frames of one message at most, or one for every [`FRAME_BYTES`] that it may have if those are more.
const FRAMES: usize = 1_024;
const FRAME_BYTES: usize = 64;
/// How many of the pings that came together are answered, besides the last (RFC 6455, 5.5.3 asks for no more than that).
const ANSWERS: usize = 16;

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message.
    Text(Bytes),
    /// A binary message.
    Binary(Bytes),
    /// To be answered with this frame (a pong).
    Answer(Frame),
    /// The client closes; to be answered with this frame.
    Close(Frame),
    /// The client broke the protocol, and is closed with this. Always the last: what came before it counts.
    Wrong(CloseCode),
}

/// What has come of a message that is not whole yet. Empty and without a buffer between messages.
#[derive(Debug)]
pub struct Inbound {
    carry: Vec<u8>,
    /// Holds the fragments of a message that is open.
    context: Option<Box<WebSocketContext>>,
    /// Bytes of payload that a message may have.
    most_bytes: usize,
    /// How much of `carry` was walked, always at the start of a frame.
    walked: usize,
    /// Bytes of payload, and frames, since the message began.
    payload: usize,
    frames: usize,
    /// A fragmented message is open.
    open: bool,
    /// Pings and pongs since somebody asked.
    controls: u32,
}

/// Reads nothing but what came, and keeps what a context writes.
#[derive(Default)]
struct Side {
    input: Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Side {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.input.read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Side {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Default for Inbound {
    fn default() -> Self {
        Self::with_most(limits::FRAME_IN_BYTES)
    }
}

impl Inbound {
    /// With another bound than the contract's, for suites that test more than it allows.
    #[must_use]
    pub fn with_most(most_bytes: usize) -> Self {
        Self { carry: Vec::new(), context: None, most_bytes, walked: 0, payload: 0, frames: 0, open: false, controls: 0 }
    }

    /// How many pings and pongs came since this was last asked.
    pub fn take_controls(&mut self) -> u32 {
        std::mem::take(&mut self.controls)
    }

    /// Whether a message has begun.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.carry.is_empty() && self.context.is_none()
    }

    /// Adds bytes as they came; appends the messages that are whole now to `received`.
    pub fn push(&mut self, bytes: &[u8], received: &mut Vec<Received>) {
        self.carry.extend_from_slice(bytes);
        let walked = self.walk();
        if self.walked > 0 {
            let rest = self.carry.split_off(self.walked);
            let part = std::mem::replace(&mut self.carry, rest);
            self.walked = 0;
            if self.carry.is_empty() {
                self.carry = Vec::new();
            }
            if let Err(code) = self.parse(part, received) {
                return received.push(Received::Wrong(code));
            }
        }
        if let Err(code) = walked {
            received.push(Received::Wrong(code));
        }
    }

    /// Walks whole frames.
    fn walk(&mut self) -> Result<(), CloseCode> {
        let frames_most = FRAMES.max(self.most_bytes / FRAME_BYTES);
        loop {
            let mut cursor = Cursor::new(&self.carry[self.walked..]);
            let (header, length) = match FrameHeader::parse(&mut cursor) {
                Ok(Some(parsed)) => parsed,
                Ok(None) => return Ok(()),
                Err(_) => return Err(CloseCode::Protocol),
            };
            if header.mask.is_none() || header.rsv1 || header.rsv2 || header.rsv3 {
                return Err(CloseCode::Protocol);
            }
            // Known by the header, before its payload is waited for.
            if length > self.most_bytes as u64 {
                return Err(CloseCode::TooBig);
            }
            if matches!(header.opcode, OpCode::Control(_)) && (length > 125 || !header.is_final) {
                return Err(CloseCode::Protocol);
            }
            let end = self.walked + cursor.position() as usize + length as usize;
            if matches!(header.opcode, OpCode::Data(_)) && self.payload + length as usize > self.most_bytes {
                return Err(CloseCode::TooBig);
            }
            if end > self.carry.len() {
                return Ok(());
            }
            self.walked = end;
            self.frames += 1;
            match header.opcode {
                OpCode::Data(Data::Continue) if !self.open => return Err(CloseCode::Protocol),
                OpCode::Data(Data::Text | Data::Binary) if self.open => return Err(CloseCode::Protocol),
                OpCode::Data(_) => {
                    self.payload += length as usize;
                    self.open = !header.is_final;
                }
                OpCode::Control(Control::Close) => {
                    // Nothing after it counts.
                    self.carry.truncate(end);
                    self.open = false;
                    return Ok(());
                }
                OpCode::Control(_) => self.controls = self.controls.saturating_add(1),
            }
            if self.open {
                if self.frames > frames_most {
                    return Err(CloseCode::TooBig);
                }
            } else {
                (self.payload, self.frames) = (0, 0);
            }
        }
    }

    /// Gives whole frames to tungstenite. Its answers to pings come at once, in the middle of a message too.
    fn parse(&mut self, part: Vec<u8>, received: &mut Vec<Received>) -> Result<(), CloseCode> {
        let mut side = Side::default();
        let mut context = match self.context.take() {
            Some(open) => {
                side.input = Cursor::new(part);
                open
            }
            None => Box::new(WebSocketContext::from_partially_read(part, Role::Server, Some(config(self.most_bytes)))),
        };
        let (mut answers, mut last) = (0, None);
        loop {
            let outcome = context.read(&mut side);
            if !side.written.is_empty() {
                // An answer is written on the read after the frame it answers.
                let frame = Frame::from_bytes(std::mem::take(&mut side.written).into());
                if answers < ANSWERS {
                    answers += 1;
                    received.push(Received::Answer(frame));
                } else {
                    last = Some(Received::Answer(frame));
                }
            }
            match outcome {
                Ok(Message::Text(text)) => received.push(Received::Text(text.into())),
                Ok(Message::Binary(bytes)) => received.push(Received::Binary(bytes)),
                Ok(Message::Close(_)) => {
                    let _ = context.flush(&mut side);
                    let _ = context.read(&mut side);
                    received.extend(last);
                    received.push(Received::Close(Frame::from_bytes(std::mem::take(&mut side.written).into())));
                    return Ok(());
                }
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.context = self.open.then_some(context);
                    received.extend(last);
                    return Ok(());
                }
                Err(error) => return Err(close_code_for(&error)),
            }
        }
    }
}

fn config(most_bytes: usize) -> WebSocketConfig {
    let mut config = WebSocketConfig::default();
    // Fragments after the first are read in pieces of this.
    config.read_buffer_size = 1_024;
    config.write_buffer_size = 0;
    config.max_write_buffer_size = 4_096;
    config.max_message_size = Some(most_bytes);
    config.max_frame_size = Some(most_bytes);
    config
}

fn close_code_for(error: &Error) -> CloseCode {
    match error {
        Error::Utf8(_) => CloseCode::NotUtf8,
        Error::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::TooBig,
        Error::Protocol(ProtocolError::InvalidCloseSequence) => CloseCode::Protocol,
        _ => CloseCode::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn client(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
        let mask = [0x12, 0x34, 0x56, 0x78];
        let mut frame = vec![if fin { 0x80 } else { 0 } | opcode];
        match payload.len() {
            length @ 0..=125 => frame.push(0x80 | length as u8),
            length @ 126..=65_535 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            length => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn take_all(wire: &[u8], cut: usize) -> (Vec<Received>, Result<(), CloseCode>) {
        let (mut inbound, mut received) = (Inbound::default(), Vec::new());
        for part in wire.chunks(cut) {
            inbound.push(part, &mut received);
            if let Some(Received::Wrong(code)) = received.last() {
                let code = *code;
                received.pop();
                return (received, Err(code));
            }
        }
        (received, Ok(()))
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let mut wire = client(2, true, b"first");
        wire.extend(client(1, false, "春".as_bytes()));
        wire.extend(client(9, true, b"are you there"));
        wire.extend(client(0, true, "眠".as_bytes()));
        wire.extend(client(2, true, &[7; 60_000]));
        for cut in [1, 2, 3, 7, 1_000, 100_000] {
            let (received, outcome) = take_all(&wire, cut);
            assert_eq!(outcome, Ok(()));
            let texts: Vec<_> = received.iter().filter(|received| !matches!(received, Received::Answer(_))).cloned().collect();
            assert_eq!(texts[..2], [Received::Binary(Bytes::from_static(b"first")), Received::Text(Bytes::from("春眠"))], "cut {cut}");
            assert!(matches!(&texts[2], Received::Binary(bytes) if bytes.len() == 60_000));
            let pong = Received::Answer(Frame::new(crate::socket::Opcode::Pong, b"are you there"));
            assert_eq!(received.iter().filter(|received| **received == pong).count(), 1);
        }
    }

    #[test]
    fn nothing_is_kept_between_messages() {
        let (mut inbound, mut received) = (Inbound::default(), Vec::new());
        inbound.push(&client(2, true, &[1; 6_000]), &mut received);
        assert!(inbound.is_idle());
        assert_eq!(inbound.carry.capacity(), 0);
    }

    #[test]
    fn hostile_frames_are_refused_with_the_code_of_the_rfc() {
        let unmasked = [0x82, 1, 7].to_vec();
        let mut reserved = client(2, true, b"x");
        reserved[0] |= 0x40;
        let table = [
            (unmasked, CloseCode::Protocol),
            (reserved, CloseCode::Protocol),
            (client(3, true, b"x"), CloseCode::Protocol),
            (client(0, true, b"x"), CloseCode::Protocol),
            (client(9, false, b"x"), CloseCode::Protocol),
            (client(9, true, &[0; 126]), CloseCode::Protocol),
            (client(1, true, &[0xff, 0xfe]), CloseCode::NotUtf8),
            (client(2, true, &vec![0; 65_537]), CloseCode::TooBig),
            ([client(2, false, &vec![0; 40_000]), client(0, true, &vec![0; 40_000])].concat(), CloseCode::TooBig),
            ([client(2, false, b"x"), client(2, true, b"x")].concat(), CloseCode::Protocol),
        ];
        for (wire, code) in table {
            assert_eq!(take_all(&wire, 4_096).1, Err(code), "{:x?}", &wire[..wire.len().min(12)]);
        }
    }

    #[test]
    fn pings_that_come_together_are_counted_and_not_all_answered() {
        let (mut inbound, mut received) = (Inbound::default(), Vec::new());
        let wire: Vec<u8> = (0..1_000_u16).flat_map(|number| client(9, true, &number.to_be_bytes())).collect();
        inbound.push(&[wire, client(10, true, b"unasked")].concat(), &mut received);
        assert_eq!((inbound.take_controls(), inbound.take_controls()), (1_001, 0));
        assert_eq!(received.len(), ANSWERS + 1);
        let last = Frame::new(crate::socket::Opcode::Pong, &999_u16.to_be_bytes());
        assert_eq!(received.last(), Some(&Received::Answer(last)));
    }

    #[test]
    fn a_close_is_answered_once() {
        let mut wire = client(8, true, &[0x03, 0xe8]);
        wire.extend(client(2, true, b"after"));
        let (received, outcome) = take_all(&wire, 1_000);
        assert_eq!(outcome, Ok(()));
        assert!(matches!(received.as_slice(), [Received::Close(frame)] if frame.bytes()[..2] == [0x88, 2]), "{received:?}");
    }

    #[test]
    fn what_came_whole_before_a_bad_frame_still_counts() {
        let mut wire = client(1, true, b"good");
        let mut bad = client(1, true, b"bad");
        bad[0] |= 0x20;
        wire.extend(bad);
        let (received, outcome) = take_all(&wire, 1_000);
        assert_eq!((received, outcome), (vec![Received::Text(Bytes::from_static(b"good"))], Err(CloseCode::Protocol)));
    }

    #[test]
    fn a_fragment_may_come_in_one_piece_with_the_message_before_it() {
        let mut wire = client(1, true, b"one");
        wire.extend(client(1, false, b"tw"));
        let (mut inbound, mut received) = (Inbound::default(), Vec::new());
        inbound.push(&wire, &mut received);
        inbound.push(&client(0, true, b"o"), &mut received);
        assert_eq!(received, [Received::Text(Bytes::from_static(b"one")), Received::Text(Bytes::from_static(b"two"))]);
    }

    #[test]
    fn a_ping_in_the_middle_of_a_message_is_answered_at_once_and_bad_text_is_refused_at_once() {
        let (mut inbound, mut received) = (Inbound::default(), Vec::new());
        inbound.push(&client(1, false, "春".as_bytes()), &mut received);
        inbound.push(&client(9, true, b"there?"), &mut received);
        assert_eq!(received, [Received::Answer(Frame::new(crate::socket::Opcode::Pong, b"there?"))]);
        inbound.push(&client(0, false, &[0xFF]), &mut received);
        assert_eq!(received[1..], [Received::Wrong(CloseCode::NotUtf8)]);
        let (mut inbound, mut received) = (Inbound::default(), Vec::new());
        inbound.push(&client(1, false, "春".as_bytes()), &mut received);
        inbound.push(&client(8, true, &[0x03, 0xe8]), &mut received);
        assert!(matches!(received.as_slice(), [Received::Close(_)]));
    }

    #[test]
    fn another_bound_may_be_set_for_suites() {
        let (mut inbound, mut received) = (Inbound::with_most(1 << 20), Vec::new());
        inbound.push(&client(2, true, &vec![7; 1 << 20]), &mut received);
        assert!(matches!(received.as_slice(), [Received::Binary(bytes)] if bytes.len() == 1 << 20));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow(wire in prop::collection::vec(any::<u8>(), 0..4_000), cut in 1usize..300) {
            let (mut inbound, mut received) = (Inbound::default(), Vec::new());
            for part in wire.chunks(cut) {
                inbound.push(part, &mut received);
                if matches!(received.last(), Some(Received::Wrong(_))) { break; }
                prop_assert!(inbound.carry.len() <= limits::FRAME_IN_BYTES + 16 * FRAMES);
            }
        }
    }
}
