//! What waits for one socket: control frames first, then state (the latest of each key), then the log in order, and
//! before all of them the rest of a frame that was begun. Pure; bounded in bytes.

use std::collections::VecDeque;

use bytes::{Buf as _, Bytes};

use super::frame::Frame;

/// What a state is of: a newer one of the same key takes an older one's place.
pub type StateKey = (u128, u8);

/// Kinds of state that a room has: who is here, who types, what this socket may do.
const STATES: usize = 3;

/// The log lane is over its bound: the socket must come back and resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow;

/// Frames that wait for one socket.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The rest of a frame that was begun; nothing may come before it.
    begun: Bytes,
    /// The latest pong or ping, or the close.
    control: Option<Frame>,
    state: Vec<(StateKey, Frame)>,
    log: VecDeque<Frame>,
    bytes: usize,
}

impl Outbox {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.control.is_none() && self.state.is_empty() && self.log.is_empty()
    }

    /// Bytes that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.begun.len()
    }

    /// Puts a frame of the log behind the others.
    ///
    /// # Errors
    /// Slow: more than `most` bytes would wait.
    pub fn push(&mut self, frame: Frame, most: usize) -> Result<(), Slow> {
        // A frame larger than the bound still goes to a socket for which nothing waits.
        if self.bytes() + frame.len() > most && !self.is_empty() {
            return Err(Slow);
        }
        self.bytes += frame.len();
        self.log.push_back(frame);
        Ok(())
    }

    /// Puts a state in place of the older one of its key. There is room for all that a socket may follow.
    pub fn replace_state(&mut self, key: StateKey, frame: Frame) {
        const KEYS: usize = STATES * proto::limits::SUBSCRIPTIONS;
        if let Some((_, old)) = self.state.iter_mut().find(|(known, _)| *known == key) {
            self.bytes = self.bytes + frame.len() - old.len();
            *old = frame;
        } else if self.state.len() < KEYS {
            self.bytes += frame.len();
            self.state.push((key, frame));
        }
    }

    /// Puts a control frame in place of the one before.
    pub fn replace_control(&mut self, frame: Frame) {
        if let Some(old) = &self.control {
            self.bytes -= old.len();
        }
        self.bytes += frame.len();
        self.control = Some(frame);
    }

    /// Drops everything but the rest of a begun frame, and ends with this.
    pub fn end_with(&mut self, close: Frame) {
        self.state = Vec::new();
        self.log = VecDeque::new();
        self.bytes = close.len();
        self.control = Some(close);
    }

    /// Puts the rest of a frame that was begun past this outbox before everything else.
    pub fn begin(&mut self, rest: Bytes) {
        debug_assert!(self.begun.is_empty(), "two frames are begun");
        self.begun = rest;
    }

    /// What is to be written next.
    pub fn front(&mut self) -> Option<&[u8]> {
        if self.begun.is_empty() {
            let frame =
                self.control.take().or_else(|| if self.state.is_empty() { self.log.pop_front() } else { Some(self.state.remove(0).1) });
            match frame {
                Some(frame) => {
                    self.bytes -= frame.len();
                    self.begun = frame.bytes().clone();
                }
                None => {
                    // An idle socket holds no buffers.
                    if self.log.capacity() > 0 || self.state.capacity() > 0 {
                        self.log = VecDeque::new();
                        self.state = Vec::new();
                    }
                    return None;
                }
            }
        }
        Some(&self.begun)
    }

    /// Takes off `bytes` bytes of [`Outbox::front`], which were written.
    pub fn advance(&mut self, bytes: usize) {
        if bytes < self.begun.len() {
            self.begun.advance(bytes);
        } else {
            // Not emptied but let go: it may be a part of far more, and nothing may come after it for hours.
            self.begun = Bytes::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::socket::frame::Opcode;

    fn frame(byte: u8, length: usize) -> Frame {
        Frame::new(Opcode::Binary, &vec![byte; length])
    }

    fn drain(outbox: &mut Outbox, step: usize) -> Vec<u8> {
        let mut wire = Vec::new();
        while let Some(next) = outbox.front() {
            let taken = next.len().min(step);
            wire.extend_from_slice(&next[..taken]);
            outbox.advance(taken);
        }
        wire
    }

    #[test]
    fn state_goes_first_and_only_the_latest_of_each_key() {
        let mut outbox = Outbox::default();
        outbox.push(frame(1, 4), 1_000).unwrap();
        outbox.replace_state((7, 0), frame(2, 4));
        outbox.replace_state((7, 0), frame(3, 4));
        outbox.replace_state((8, 0), frame(4, 4));
        outbox.replace_control(frame(5, 4));
        let wire = drain(&mut outbox, 3);
        assert_eq!(wire.chunks(6).map(|frame| frame[2]).collect::<Vec<_>>(), [5, 3, 4, 1]);
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_frame_once_begun_is_finished_before_anything_else() {
        let mut outbox = Outbox::default();
        outbox.push(frame(1, 100), 1_000).unwrap();
        outbox.push(frame(9, 100), 1_000).unwrap();
        assert_eq!(outbox.front().unwrap().len(), 102);
        outbox.advance(50);
        outbox.replace_control(frame(2, 4));
        outbox.replace_state((1, 1), frame(3, 4));
        outbox.end_with(Frame::close(proto::CloseCode::Slow));
        let wire = drain(&mut outbox, 1_000);
        assert_eq!(wire[..52], [1; 52]);
        assert_eq!(wire[52], 0x88);
        assert_eq!(wire.len(), 52 + Frame::close(proto::CloseCode::Slow).len());
    }

    #[test]
    fn an_outbox_that_was_written_holds_nothing() {
        let (mut outbox, shared) = (Outbox::default(), frame(1, 60_000));
        outbox.begin(shared.bytes().slice(30_000..));
        assert!(!shared.bytes().is_unique());
        outbox.replace_state((7, 0), frame(2, 4));
        drain(&mut outbox, 4_096);
        assert!(shared.bytes().is_unique(), "its bytes are held still");
        assert_eq!((outbox.state.capacity(), outbox.log.capacity()), (0, 0));
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(frame(1, 2_000), 1_000), Ok(()), "one large frame goes");
        assert_eq!(outbox.push(frame(1, 1), 1_000), Err(Slow));
    }

    proptest! {
        #[test]
        fn whatever_the_cuts_the_log_arrives_whole_and_in_order(frames in prop::collection::vec(0usize..300, 1..20), cuts in prop::collection::vec(1usize..97, 1..200)) {
            let mut outbox = Outbox::default();
            let mut expected = Vec::new();
            for (number, length) in frames.iter().enumerate() {
                let frame = frame(number as u8, *length);
                expected.extend_from_slice(frame.bytes());
                outbox.push(frame, usize::MAX).unwrap();
            }
            let mut wire = Vec::new();
            let mut cuts = cuts.iter().cycle();
            while let Some(next) = outbox.front() {
                let taken = next.len().min(*cuts.next().unwrap());
                wire.extend_from_slice(&next[..taken]);
                outbox.advance(taken);
            }
            prop_assert_eq!(wire, expected);
            prop_assert_eq!(outbox.bytes(), 0);
        }
    }
}
