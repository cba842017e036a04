//! Live events as frames: encoded once for all sockets of a room.

use proto::{
    Subprotocol,
    v1::{Batch, Event, Events, ServerFrame, batch::Body, server_frame},
};

use super::page::{EVENTS_BYTES, wire_bytes};
use crate::socket::Frame;

/// Which log these frames are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The conversation, as written on the wire.
    pub conversation: String,
    /// The log's incarnation.
    pub epoch: u32,
}

/// Consecutive events as batches, none of them above 256 KiB.
#[must_use]
pub fn frames(log: &Log, events: &[Event], window_ms: u32, subprotocol: Subprotocol) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut start = 0;
    let mut bytes = 0;
    for (at, event) in events.iter().enumerate() {
        let length = wire_bytes(event, subprotocol);
        if at > start && bytes + length > EVENTS_BYTES {
            frames.push(frame(log, &events[start..at], window_ms, subprotocol));
            (start, bytes) = (at, 0);
        }
        bytes += length;
    }
    if start < events.len() {
        frames.push(frame(log, &events[start..], window_ms, subprotocol));
    }
    frames
}

fn frame(log: &Log, events: &[Event], window_ms: u32, subprotocol: Subprotocol) -> Frame {
    let batch = Batch {
        conversation: log.conversation.clone(),
        epoch: log.epoch,
        first_seq: events.first().map_or(0, |event| event.seq),
        count: events.len() as u32,
        body: Some(Body::Events(Events { events: events.to_vec() })),
        window_ms,
    };
    Frame::of(subprotocol, &ServerFrame { re: 0, frame: Some(server_frame::Frame::Batch(batch)) })
}

#[cfg(test)]
mod tests {
    use proto::v1::{Comment, event::Kind};

    use super::*;

    #[test]
    fn a_large_batch_is_split_below_the_bound_and_nothing_is_lost() {
        let log = Log { conversation: "c".into(), epoch: 7 };
        let text = "春\n".repeat(2_000);
        let events: Vec<Event> = (1..=200)
            .map(|seq| Event { seq, kind: Some(Kind::Comment(Comment { text: text.clone(), ..Comment::default() })), ..Event::default() })
            .collect();
        for subprotocol in [Subprotocol::Proto, Subprotocol::Json] {
            let frames = frames(&log, &events, 50, subprotocol);
            assert!(frames.len() > 1);
            let mut seqs = Vec::new();
            for frame in &frames {
                assert!(frame.len() <= proto::limits::FRAME_OUT_BYTES, "{}", frame.len());
                let header = if frame.bytes()[1] == 127 { 10 } else { 4 };
                let message = subprotocol.decode_server(&frame.bytes()[header..]).unwrap();
                let Some(server_frame::Frame::Batch(batch)) = message.frame else { panic!("no batch") };
                let Some(Body::Events(events)) = batch.body else { panic!("no events") };
                assert_eq!((batch.first_seq, batch.count as usize), (events.events[0].seq, events.events.len()));
                seqs.extend(events.events.iter().map(|event| event.seq));
            }
            assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
        }
    }
}
