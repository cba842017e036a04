//! Distinct frames of live events, each decoded once for all sockets that receive it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    rc::Rc,
};

use proto::v1::{Batch, Event, ServerFrame, batch, server_frame};

use super::{
    arrivals::{Arrivals, Latencies},
    orders::FrameSummary,
};
use crate::client::mark::{Mark, post_of};

/// One distinct frame of live events: its content in short, and its arrivals.
#[derive(Clone, Debug, Default)]
pub struct LiveFrame {
    /// Its conversation, by place in the run's list.
    pub room: u32,
    /// seq of the first event.
    pub first: u64,
    /// Number of events.
    pub count: u32,
    /// The posts of this run in it, with their seq.
    pub posts: Vec<(u64, Mark)>,
    /// Bytes of the frame.
    pub bytes: u32,
    /// The room's window, as the frame says.
    pub window_ms: u32,
    /// Number of sockets that received it.
    pub sockets: u64,
    /// Arrivals that are not turned into latencies yet.
    pub arrivals: Arrivals,
}

/// A frame's place in the catalogue.
pub type FrameId = u32;

/// A frame whose bytes are known.
#[derive(Clone)]
pub struct Known {
    /// Its place in the catalogue.
    pub id: FrameId,
    /// Its payload.
    pub bytes: Rc<[u8]>,
}

/// The content of a payload that was not known.
pub enum Decoded {
    /// Live events, now in the catalogue.
    Live(FrameId),
    /// Another frame.
    Other(Box<ServerFrame>),
}

/// Bytes are kept of the newest frames up to these bounds: by then an older one has reached every socket.
const KEPT_FRAMES: usize = 8_192;
const KEPT_BYTES: usize = 96 << 20;
/// Bytes at the beginning of a payload by which frames are looked up: conversation, epoch, position and count stand there, also
/// where the body is compressed.
pub const PREFIX_BYTES: usize = 96;

/// Passes keys through, which are hashes already.
#[derive(Default)]
pub struct PrehashedHasher(u64);

impl Hasher for PrehashedHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }
    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

/// All distinct frames seen.
pub struct Catalogue {
    run: String,
    rooms: HashMap<String, u32>,
    known: HashMap<u64, Vec<Known>, BuildHasherDefault<PrehashedHasher>>,
    kept: VecDeque<(u64, FrameId, usize)>,
    kept_bytes: usize,
    /// Every distinct frame of live events.
    pub frames: Vec<LiveFrame>,
    /// Frames with arrivals that are not turned into latencies yet.
    unfolded: Vec<FrameId>,
    bucket_us: i64,
}

impl Catalogue {
    /// An empty one, for a run that marks its posts with `run`, in these conversations.
    #[must_use]
    pub fn new(run: &str, rooms: &[String], bucket_us: i64) -> Self {
        Self {
            run: run.to_owned(),
            rooms: rooms.iter().cloned().zip(0..).collect(),
            known: HashMap::default(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            frames: Vec::new(),
            unfolded: Vec::new(),
            bucket_us: bucket_us.max(1),
        }
    }

    /// A known frame of this length and beginning. The rest of its bytes is still to be compared.
    #[must_use]
    pub fn candidate(&self, length: usize, beginning: &[u8]) -> Option<&Known> {
        if beginning.len() < length.min(PREFIX_BYTES) {
            return None;
        }
        let same = |known: &&Known| known.bytes.len() == length && known.bytes.starts_with(&beginning[..length.min(PREFIX_BYTES)]);
        self.known.get(&key(beginning, length))?.iter().find(same)
    }

    /// The id of the known frame with exactly these bytes.
    #[must_use]
    pub fn find(&self, payload: &[u8]) -> Option<FrameId> {
        let known = self.known.get(&key(payload, payload.len()))?;
        known.iter().find(|known| *known.bytes == *payload).map(|known| known.id)
    }

    /// Decodes a payload. Live events are added to the catalogue under a new id.
    ///
    /// # Errors
    /// Says why it cannot be decoded, or what is wrong with it.
    pub fn decode(&mut self, payload: &[u8]) -> Result<Decoded, String> {
        let frame = proto::Subprotocol::Proto.decode_server(payload)?;
        let Some(server_frame::Frame::Batch(batch)) = &frame.frame else { return Ok(Decoded::Other(Box::new(frame))) };
        let live = self.read(batch, payload.len())?;
        let id = self.frames.len() as FrameId;
        self.frames.push(live);
        let key = key(payload, payload.len());
        self.known.entry(key).or_default().push(Known { id, bytes: payload.into() });
        self.kept.push_back((key, id, payload.len()));
        self.kept_bytes += payload.len();
        while self.kept.len() > KEPT_FRAMES || (self.kept_bytes > KEPT_BYTES && self.kept.len() > 1) {
            self.drop_oldest();
        }
        Ok(Decoded::Live(id))
    }

    /// Decodes a known frame again in full, and compares it with its entry.
    ///
    /// # Errors
    /// Says in what they differ.
    pub fn compare(&self, id: FrameId, payload: &[u8]) -> Result<(), String> {
        let frame = proto::Subprotocol::Proto.decode_server(payload)?;
        let Some(server_frame::Frame::Batch(batch)) = &frame.frame else { return Err("a frame that is no batch".into()) };
        let (own, first) = (self.read(batch, payload.len())?, &self.frames[id as usize]);
        let same = (own.room, own.first, own.count, &own.posts) == (first.room, first.first, first.count, &first.posts);
        if same { Ok(()) } else { Err("the same bytes, decoded again, are something else".into()) }
    }

    fn read(&self, batch: &Batch, bytes: usize) -> Result<LiveFrame, String> {
        let inflated;
        let events: &[Event] = match &batch.body {
            Some(batch::Body::Events(events)) => &events.events,
            Some(batch::Body::Deflated(deflated)) => {
                inflated = inflate(deflated)?;
                &inflated
            }
            None => return Err("a batch without a body".into()),
        };
        let dense = events.iter().zip(batch.first_seq..).all(|(event, seq)| event.seq == seq);
        if !dense || events.len() != batch.count as usize || events.is_empty() {
            return Err(format!("a batch that says {} events from {} and holds others", batch.count, batch.first_seq));
        }
        let room = *self.rooms.get(&batch.conversation).ok_or_else(|| format!("a batch of {}", batch.conversation))?;
        Ok(LiveFrame {
            room,
            first: batch.first_seq,
            count: batch.count,
            posts: events.iter().filter_map(|event| Some((event.seq, post_of(event, &self.run)?))).collect(),
            bytes: bytes as u32,
            window_ms: batch.window_ms,
            ..LiveFrame::default()
        })
    }

    fn drop_oldest(&mut self) {
        let Some((key, id, bytes)) = self.kept.pop_front() else { return };
        self.kept_bytes -= bytes;
        if let Some(known) = self.known.get_mut(&key) {
            known.retain(|known| known.id != id);
            if known.is_empty() {
                self.known.remove(&key);
            }
        }
    }

    /// Counts the frame as received by one more socket; returns its number of events. `live`: no replay, so its latency counts.
    pub fn record_arrival(&mut self, id: FrameId, now_us: i64, group: u8, live: bool) -> u32 {
        let frame = &mut self.frames[id as usize];
        frame.sockets += 1;
        if live && !frame.posts.is_empty() {
            if frame.arrivals == Arrivals::default() {
                self.unfolded.push(id);
            }
            frame.arrivals.record(now_us.div_euclid(self.bucket_us), group);
        }
        frame.count
    }

    /// Turns arrivals into latencies.
    pub fn fold_arrivals(&mut self, groups: &mut BTreeMap<u8, Latencies>) {
        for id in self.unfolded.drain(..) {
            let LiveFrame { posts, arrivals, .. } = &mut self.frames[id as usize];
            Latencies::fold(groups, posts, arrivals, self.bucket_us);
        }
    }

    /// Begins the measurement: counts of sockets start at zero.
    pub fn begin(&mut self) {
        self.fold_arrivals(&mut BTreeMap::new());
        self.frames.iter_mut().for_each(|live| live.sockets = 0);
    }

    /// Summaries of all frames that a socket has received since the measurement began.
    #[must_use]
    pub fn summaries(&self) -> Vec<FrameSummary> {
        let came = self.frames.iter().filter(|live| live.sockets > 0);
        came.map(|live| FrameSummary {
            room: live.room,
            posts: live.posts.iter().map(|(seq, mark)| (*seq, mark.index)).collect(),
            count: live.count,
            bytes: live.bytes,
            sockets: live.sockets,
            window_ms: live.window_ms,
        })
        .collect()
    }
}

fn key(beginning: &[u8], length: usize) -> u64 {
    hash(&beginning[..length.min(PREFIX_BYTES)]) ^ (length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A fast hash for looking up frames. It need not withstand chosen collisions, for whole bytes are compared after it.
fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0xCBF2_9CE4_8422_2325_u64;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        state = (state.rotate_left(23) ^ u64::from_le_bytes(*chunk)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
    }
    for byte in rest {
        state = (state.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(0x9FB2_1C65_1E98_DF25);
    }
    state ^ (state >> 32)
}

fn inflate(deflated: &[u8]) -> Result<Vec<Event>, String> {
    use std::io::Read as _;

    use prost::Message as _;
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(deflated).take(8 << 20).read_to_end(&mut plain).map_err(|error| error.to_string())?;
    proto::v1::Events::decode(plain.as_slice()).map(|events| events.events).map_err(|error| error.to_string())
}

#[cfg(test)]
pub mod tests {
    use std::io::Write as _;

    use prost::Message as _;
    use proto::v1::{Comment, Events, event};

    use super::*;
    use crate::client::mark::text_of;

    /// A batch of `count` comments of the run `run` in the conversation `room`, as a server encodes it.
    pub fn payload(first: u64, count: u64, deflated: bool) -> Vec<u8> {
        let events = (first..first + count)
            .map(|seq| {
                let text = text_of("run", Mark { index: seq as u32, due_us: 1_000 }, 90);
                Event { seq, kind: Some(event::Kind::Comment(Comment { text, ..Comment::default() })), ..Event::default() }
            })
            .collect();
        let events = Events { events };
        let body = if deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&events.encode_to_vec()).expect("deflates");
            batch::Body::Deflated(encoder.finish().expect("deflates").into())
        } else {
            batch::Body::Events(events)
        };
        let batch = Batch { conversation: "room".into(), epoch: 1, first_seq: first, count: count as u32, body: Some(body), window_ms: 50 };
        proto::Subprotocol::Proto.encode(&ServerFrame { re: 0, frame: Some(server_frame::Frame::Batch(batch)) }).to_vec()
    }

    fn catalogue() -> Catalogue {
        Catalogue::new("run", &["room".to_owned()], 100)
    }

    fn decode(catalogue: &mut Catalogue, payload: &[u8]) -> FrameId {
        match catalogue.decode(payload) {
            Ok(Decoded::Live(id)) => id,
            _ => panic!("not a batch"),
        }
    }

    #[test]
    fn a_frame_is_decoded_once_and_then_known_by_its_bytes() {
        let mut catalogue = catalogue();
        let mut ids = Vec::new();
        for first in 1..=(KEPT_FRAMES as u64 + 10) {
            let bytes = payload(first, 1, false);
            assert_eq!(catalogue.find(&bytes), None);
            ids.push(decode(&mut catalogue, &bytes));
            assert_eq!(catalogue.find(&bytes), ids.last().copied());
        }
        assert_eq!(catalogue.find(&payload(1, 1, false)), None, "the oldest bytes are dropped");
        assert_eq!(catalogue.find(&payload(500, 1, false)), Some(ids[499]));
        assert_eq!(catalogue.frames[4].posts, [(5, Mark { index: 5, due_us: 1_000 })]);
        assert!(catalogue.kept.len() <= KEPT_FRAMES && catalogue.known.len() <= KEPT_FRAMES);
    }

    #[test]
    fn a_compressed_batch_is_as_good_as_a_plain_one() {
        let mut catalogue = catalogue();
        let (plain, deflated) = (payload(7, 40, false), payload(7, 40, true));
        assert!(deflated.len() < plain.len(), "{} of {}", deflated.len(), plain.len());
        let (one, other) = (decode(&mut catalogue, &plain), decode(&mut catalogue, &deflated));
        assert_eq!(catalogue.frames[one as usize].posts, catalogue.frames[other as usize].posts);
        assert_eq!(catalogue.compare(other, &deflated), Ok(()));
        assert!(catalogue.compare(other, &payload(8, 40, true)).is_err(), "another stretch");
    }

    #[test]
    fn a_batch_that_lies_about_its_place_is_found() {
        let mut frame = proto::Subprotocol::Proto.decode_server(&payload(5, 2, false)).expect("decodes");
        if let Some(server_frame::Frame::Batch(batch)) = &mut frame.frame {
            batch.first_seq = 6;
        }
        assert!(catalogue().decode(&proto::Subprotocol::Proto.encode(&frame)).is_err());
    }
}
