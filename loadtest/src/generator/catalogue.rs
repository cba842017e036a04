//! Distinct frames, each decoded once however many sockets it comes to; and when it came to how many.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher as _, Hasher as _},
};

use proto::v1::{ServerFrame, batch, server_frame};
use serde::{Deserialize, Serialize};

use crate::{checker::PostIndex, client::mark::post_of};

/// Width of an arrival bucket, microseconds.
pub const BUCKET_US: i64 = 100;

/// What a frame of live events is, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Which conversation, by its place in the run's list.
    pub room: u32,
    /// seq of the first event.
    pub first: u64,
    /// How many events.
    pub count: u32,
    /// Which posts of this run are in it, with their seq.
    pub posts: Vec<(u64, PostIndex)>,
    /// Bytes of the frame.
    pub bytes: u32,
    /// The room's window, as the frame says.
    pub window_ms: u32,
    /// Arrivals: bucket of [`BUCKET_US`] since 1970 → sockets.
    pub arrivals: BTreeMap<i64, u32>,
}

/// Which frame: its place in the catalogue.
pub type FrameId = u32;

/// All distinct frames seen.
pub struct Catalogue {
    run: String,
    rooms: HashMap<String, u32>,
    by_key: HashMap<u64, Vec<FrameId>>,
    /// The bytes are kept for the newest frames only: older ones come again to nobody.
    bytes: std::collections::VecDeque<(FrameId, u64, Vec<u8>)>,
    /// Every stretch ever seen.
    pub stretches: Vec<Stretch>,
    hasher: std::hash::RandomState,
}

/// Newest frames whose bytes are kept for comparison.
const KEPT: usize = 2048;

impl Catalogue {
    /// An empty one, for a run that marks its posts with `run`, in these conversations.
    #[must_use]
    pub fn new(run: &str, rooms: &[String]) -> Self {
        Self {
            run: run.to_owned(),
            rooms: rooms.iter().cloned().zip(0..).collect(),
            by_key: HashMap::new(),
            bytes: std::collections::VecDeque::new(),
            stretches: Vec::new(),
            hasher: std::hash::RandomState::new(),
        }
    }

    /// The frame's id where these very bytes are known: one hash of the head, one comparison of the whole.
    #[must_use]
    pub fn find(&self, payload: &[u8]) -> Option<FrameId> {
        let key = self.key(payload);
        let oldest = self.bytes.front().map_or(0, |(id, ..)| *id);
        let same = |id: &FrameId| self.bytes.get((id - oldest) as usize).is_some_and(|(.., bytes)| bytes == payload);
        self.by_key.get(&key)?.iter().copied().find(same)
    }

    /// Decodes a payload; if it holds live events, they are catalogued and it has an id from now on.
    ///
    /// # Errors
    /// Gives the frame back if it is another kind, or says why it cannot be decoded.
    pub fn learn(&mut self, payload: &[u8]) -> Result<FrameId, Result<Box<ServerFrame>, String>> {
        let frame = proto::Subprotocol::Proto.decode_server(payload).map_err(Err)?;
        let Some(server_frame::Frame::Batch(batch)) = &frame.frame else { return Err(Ok(Box::new(frame))) };
        let events = match &batch.body {
            Some(batch::Body::Events(events)) => events.events.clone(),
            Some(batch::Body::Deflated(deflated)) => inflate(deflated).map_err(Err)?,
            None => return Err(Err("a batch without a body".into())),
        };
        let dense = events.iter().zip(batch.first_seq..).all(|(event, seq)| event.seq == seq);
        if !dense || events.len() != batch.count as usize {
            return Err(Err(format!("a batch that says {} events from {} and holds others", batch.count, batch.first_seq)));
        }
        let room = *self.rooms.get(&batch.conversation).ok_or_else(|| Err(format!("a batch of {}", batch.conversation)))?;
        let id = self.stretches.len() as FrameId;
        self.stretches.push(Stretch {
            room,
            first: batch.first_seq,
            count: batch.count,
            posts: events.iter().filter_map(|event| Some((event.seq, post_of(event, &self.run)?))).collect(),
            bytes: payload.len() as u32,
            window_ms: batch.window_ms,
            arrivals: BTreeMap::new(),
        });
        let key = self.key(payload);
        self.by_key.entry(key).or_default().push(id);
        self.bytes.push_back((id, key, payload.to_vec()));
        if self.bytes.len() > KEPT
            && let Some((old, key, _)) = self.bytes.pop_front()
            && let Some(ids) = self.by_key.get_mut(&key)
        {
            ids.retain(|id| *id != old);
            if ids.is_empty() {
                self.by_key.remove(&key);
            }
        }
        Ok(id)
    }

    fn key(&self, payload: &[u8]) -> u64 {
        // Conversation, epoch, position and count stand at the front, in clear even where the body is compressed.
        let mut hasher = self.hasher.build_hasher();
        hasher.write(&payload[..payload.len().min(96)]);
        hasher.write_usize(payload.len());
        hasher.finish()
    }
}

fn inflate(deflated: &[u8]) -> Result<Vec<proto::v1::Event>, String> {
    use std::io::Read as _;

    use prost::Message as _;
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(deflated).take(8 << 20).read_to_end(&mut plain).map_err(|error| error.to_string())?;
    proto::v1::Events::decode(plain.as_slice()).map(|events| events.events).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proto::v1::{Batch, Comment, Event, Events, event};

    use super::*;

    fn payload(first: u64, count: u64) -> Vec<u8> {
        let events = (first..first + count)
            .map(|seq| Event {
                seq,
                kind: Some(event::Kind::Comment(Comment { text: format!("〔run:{seq}〕好"), ..Comment::default() })),
                ..Event::default()
            })
            .collect();
        let batch = Batch {
            conversation: "room".into(),
            epoch: 1,
            first_seq: first,
            count: count as u32,
            body: Some(batch::Body::Events(Events { events })),
            window_ms: 0,
        };
        proto::Subprotocol::Proto.encode(&ServerFrame { re: 0, frame: Some(server_frame::Frame::Batch(batch)) }).to_vec()
    }

    #[test]
    fn a_frame_is_decoded_once_and_then_known_by_its_bytes() {
        let mut catalogue = Catalogue::new("run", &["room".to_owned()]);
        let mut ids = Vec::new();
        for first in 1..=(KEPT as u64 + 10) {
            let bytes = payload(first, 1);
            assert_eq!(catalogue.find(&bytes), None);
            ids.push(catalogue.learn(&bytes).expect("a batch"));
            assert_eq!(catalogue.find(&bytes), ids.last().copied());
        }
        assert_eq!(catalogue.find(&payload(1, 1)), None, "the oldest bytes are dropped");
        assert_eq!(catalogue.find(&payload(500, 1)), Some(ids[499]));
        assert_eq!(catalogue.stretches[4].posts, [(5, 5)]);
        assert!(catalogue.bytes.len() <= KEPT && catalogue.by_key.len() <= KEPT);
    }

    #[test]
    fn a_batch_that_lies_about_its_place_is_found() {
        let mut catalogue = Catalogue::new("run", &["room".to_owned()]);
        let mut frame = proto::Subprotocol::Proto.decode_server(&payload(5, 2)).expect("decodes");
        if let Some(server_frame::Frame::Batch(batch)) = &mut frame.frame {
            batch.first_seq = 6;
        }
        let bytes = proto::Subprotocol::Proto.encode(&frame);
        assert!(matches!(catalogue.learn(&bytes), Err(Err(_))));
    }
}
