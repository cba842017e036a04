//! Live events as frames: encoded once for all sockets of a room that are spoken to alike, and deflated once where that pays.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};
use prost::Message as _;
use proto::{
    Subprotocol,
    v1::{Batch, Event, Events, ServerFrame, batch::Body, server_frame},
};

use super::page::{EVENTS_BYTES, wire_bytes};
use crate::socket::{Dialect, Frame};

/// Smaller batches go as they are: a write costs the same, and the client is spared the inflating.
const DEFLATE_LEAST_BYTES: usize = 1_024;
/// Level of deflate: at 4, a flood of comments shrinks to less than a third, at about a tenth of the CPU of level 9.
const DEFLATE_LEVEL: Compression = Compression::new(4);

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
pub fn encode_frames(log: &Log, events: &[Event], window_ms: u32, dialect: Dialect) -> Vec<Frame> {
    split(events, dialect.subprotocol()).map(|events| encode_frame(log, events, window_ms, dialect)).collect()
}

/// Cut so that each piece fits one frame, before it is deflated: what a client inflates is bounded like any frame.
fn split(events: &[Event], subprotocol: Subprotocol) -> impl Iterator<Item = &[Event]> {
    let mut rest = events;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take_while(|event| {
            bytes += wire_bytes(event, subprotocol);
            bytes <= EVENTS_BYTES
        });
        // An event that does not fit goes alone.
        let count = fits.count().max(1).min(rest.len());
        let (piece, after) = rest.split_at(count);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fn encode_frame(log: &Log, events: &[Event], window_ms: u32, dialect: Dialect) -> Frame {
    let all = Events { events: events.to_vec() };
    let deflated = if dialect == Dialect::Deflate { deflate(&all.encode_to_vec()) } else { None };
    let batch = Batch {
        conversation: log.conversation.clone(),
        epoch: log.epoch,
        first_seq: events.first().map_or(0, |event| event.seq),
        count: events.len() as u32,
        body: Some(deflated.map_or_else(|| Body::Events(all), |deflated| Body::Deflated(deflated.into()))),
        window_ms,
    };
    Frame::encode(dialect.subprotocol(), &ServerFrame { re: 0, frame: Some(server_frame::Frame::Batch(batch)) })
}

/// `None`: it is small, or would not become smaller by an eighth.
fn deflate(encoded: &[u8]) -> Option<Vec<u8>> {
    if encoded.len() < DEFLATE_LEAST_BYTES {
        return None;
    }
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(encoded.len() / 3), DEFLATE_LEVEL);
    let deflated = encoder.write_all(encoded).and_then(|()| encoder.finish()).ok()?;
    (deflated.len() <= encoded.len() / 8 * 7).then_some(deflated)
}

/// What stands in a frame.
#[cfg(test)]
pub(super) fn decode_frame(frame: &Frame, dialect: Dialect) -> (Batch, Vec<Event>) {
    use std::io::Read as _;
    let header = match frame.bytes()[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let message = dialect.subprotocol().decode_server(&frame.bytes()[header..]).unwrap();
    let Some(server_frame::Frame::Batch(batch)) = message.frame else { panic!("no batch") };
    let events = match batch.body.clone() {
        Some(Body::Events(events)) => events.events,
        Some(Body::Deflated(deflated)) => {
            let mut encoded = Vec::new();
            flate2::read::DeflateDecoder::new(deflated.as_ref()).read_to_end(&mut encoded).unwrap();
            Events::decode(encoded.as_slice()).unwrap().events
        }
        None => panic!("no events"),
    };
    (batch, events)
}

#[cfg(test)]
mod tests {
    use proto::v1::{Comment, event::Kind};
    use sha2::Digest as _;

    use super::*;

    fn log() -> Log {
        Log { conversation: "c".into(), epoch: 7 }
    }

    fn events(count: u64, text: &str) -> Vec<Event> {
        (1..=count)
            .map(|seq| Event {
                seq,
                kind: Some(Kind::Comment(Comment { text: text.to_owned(), ..Comment::default() })),
                ..Event::default()
            })
            .collect()
    }

    #[test]
    fn a_large_batch_is_split_below_the_bound_and_nothing_is_lost() {
        let events = events(200, &"春\n".repeat(2_000));
        for dialect in Dialect::ALL {
            let frames = encode_frames(&log(), &events, 50, dialect);
            assert!(frames.len() > 1);
            let mut seqs = Vec::new();
            for frame in &frames {
                assert!(frame.len() <= proto::limits::FRAME_OUT_BYTES, "{}", frame.len());
                let (batch, events) = decode_frame(frame, dialect);
                assert_eq!((batch.first_seq, batch.count as usize), (events[0].seq, events.len()));
                let inflated = Events { events: events.clone() }.encoded_len();
                assert!(inflated <= proto::limits::FRAME_OUT_BYTES, "what is inflated is bounded like a frame");
                seqs.extend(events.iter().map(|event| event.seq));
            }
            assert_eq!(seqs, (1..=200).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_batch_is_deflated_where_that_pays_and_for_those_who_inflate() {
        let flood = events(100, "建议把停车位和绿化一并规划，避免改造之后再返工。");
        let sizes = Dialect::ALL.map(|dialect| encode_frames(&log(), &flood, 50, dialect)[0].len());
        assert!(sizes[Dialect::Deflate as usize] * 3 < sizes[Dialect::Proto as usize], "{sizes:?}");
        assert!(matches!(
            decode_frame(&encode_frames(&log(), &flood, 50, Dialect::Deflate)[0], Dialect::Deflate).0.body,
            Some(Body::Deflated(_))
        ));
        let quiet = events(2, "同意。");
        assert_eq!(
            encode_frames(&log(), &quiet, 0, Dialect::Deflate),
            encode_frames(&log(), &quiet, 0, Dialect::Proto),
            "too small to pay"
        );
        let noise: Vec<u8> = (0..100_u32).flat_map(|number| sha2::Sha256::digest(number.to_be_bytes())).collect();
        assert!(deflate(&noise).is_none(), "nothing is gained");
    }

    #[test]
    fn no_events_are_no_frames() {
        assert!(encode_frames(&log(), &[], 0, Dialect::Proto).is_empty());
    }
}
