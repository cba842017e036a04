//! Who is in which room at which gateway. Pure: time and reports are arguments.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use proto::internal::v1::{Gone, Here, RoomCounts};

use crate::{
    Options,
    room::{People, Rooms},
};

/// One stream of one gateway; a later stream of the same gateway replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(u64);

/// Why a stream cannot go on; the gateway then opens a new one and sends its full set again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A later stream of the same gateway replaced it.
    #[error("a later stream of this gateway replaced this one")]
    Replaced,
    /// A change is missing.
    #[error("change {got} came where {wanted} was next")]
    Hole {
        /// The number that should have come.
        wanted: u64,
        /// The number that came.
        got: u64,
    },
    /// A change before the full set, or a set after it.
    #[error("first the full set comes, then changes")]
    OutOfTurn,
    /// More than the bounds allow.
    #[error("more than this instance keeps")]
    TooMuch,
}

#[derive(Debug)]
struct Gateway {
    incarnation: u64,
    /// The open stream; `None` after it was lost.
    stream: Option<StreamId>,
    /// The last full set with its changes.
    people: People,
    pairs: usize,
    /// The full set of which parts are still to come.
    incoming: Option<Incoming>,
    /// The number of the next change.
    next: u64,
    /// Since when `people` is not backed by a stream of the process that reported them.
    stale_ms: Option<i64>,
    /// Rooms that it first has people in since counts were last sent to it.
    fresh: HashSet<Arc<str>>,
}

#[derive(Debug, Default)]
struct Incoming {
    people: People,
    pairs: usize,
}

impl Gateway {
    fn live_and_whole(&self) -> bool {
        self.stream.is_some() && self.incoming.is_none()
    }
}

/// What was last sent to one gateway: the version of each room's counts, and whether they were complete.
#[derive(Debug, Default)]
pub struct SentCounts {
    rooms: HashMap<Arc<str>, u64>,
    complete: bool,
}

/// All gateways and rooms.
#[derive(Debug)]
pub struct Book {
    options: Options,
    started_ms: i64,
    gateways: HashMap<String, Gateway>,
    rooms: Rooms,
    streams: u64,
    /// The number of gateways in the deployment, as they report it; 0: not known.
    expected: usize,
}

impl Book {
    /// Empty, as after a start at this time (milliseconds).
    #[must_use]
    pub fn new(options: Options, now_ms: i64) -> Self {
        Self { options, started_ms: now_ms, gateways: HashMap::new(), rooms: Rooms::default(), streams: 0, expected: 0 }
    }

    /// Opens a gateway's stream. What it reported before counts until its new set is complete, or until `grace_ms` is over where
    /// the gateway was started again (the same name, another incarnation).
    ///
    /// # Errors
    /// When there are too many gateways.
    pub fn open_stream(&mut self, name: &str, incarnation: u64, expected: u32, now_ms: i64) -> Result<StreamId, StreamError> {
        if !self.gateways.contains_key(name) && self.gateways.len() >= self.options.gateways_most {
            return Err(StreamError::TooMuch);
        }
        self.expected = self.expected.max(usize::try_from(expected).unwrap_or(0));
        self.streams += 1;
        let stream = StreamId(self.streams);
        let gateway = self.gateways.entry(name.to_owned()).or_insert_with(|| Gateway {
            incarnation,
            stream: None,
            people: People::new(),
            pairs: 0,
            incoming: None,
            next: 1,
            stale_ms: None,
            fresh: HashSet::new(),
        });
        if gateway.incarnation != incarnation {
            // The process that had these people has ended: they count for `grace_ms` from now.
            gateway.stale_ms = gateway.stale_ms.or(Some(now_ms));
        }
        gateway.incarnation = incarnation;
        gateway.stream = Some(stream);
        gateway.incoming = Some(Incoming::default());
        gateway.next = 1;
        Ok(stream)
    }

    /// Adds a part of the gateway's full set; with `last`, the set replaces what the gateway reported before.
    ///
    /// # Errors
    /// When the stream was replaced, the set is complete already, or it is too large.
    pub fn apply_set(&mut self, name: &str, stream: StreamId, here: Vec<Here>, last: bool) -> Result<(), StreamError> {
        let gateway = find_by_stream(&mut self.gateways, name, stream)?;
        let incoming = gateway.incoming.as_mut().ok_or(StreamError::OutOfTurn)?;
        for Here { conversation, person, path } in here {
            let (room, path) = (self.rooms.name(&conversation), self.rooms.path(&path));
            if incoming.people.entry(room).or_default().insert(person, path).is_none() {
                incoming.pairs += 1;
                if incoming.pairs > self.options.here_most {
                    return Err(StreamError::TooMuch);
                }
            }
        }
        if last && let Some(incoming) = gateway.incoming.take() {
            self.rooms.replace(&gateway.people, &incoming.people);
            gateway.fresh = incoming.people.keys().cloned().collect();
            gateway.people = incoming.people;
            gateway.pairs = incoming.pairs;
            gateway.stale_ms = None;
        }
        Ok(())
    }

    /// Applies one numbered change: first who left, then who joined.
    ///
    /// # Errors
    /// When the stream was replaced, its set is not complete yet, a change is missing, or the gateway reports too many people.
    pub fn apply_change(
        &mut self,
        name: &str,
        stream: StreamId,
        number: u64,
        joined: Vec<Here>,
        left: Vec<Gone>,
    ) -> Result<(), StreamError> {
        let gateway = find_by_stream(&mut self.gateways, name, stream)?;
        if gateway.incoming.is_some() {
            return Err(StreamError::OutOfTurn);
        }
        if number != gateway.next {
            return Err(StreamError::Hole { wanted: gateway.next, got: number });
        }
        gateway.next += 1;
        for Gone { conversation, person } in left {
            let Some(people) = gateway.people.get_mut(conversation.as_str()) else { continue };
            if people.remove(&person).is_none() {
                continue;
            }
            if people.is_empty() {
                gateway.people.remove(conversation.as_str());
            }
            gateway.pairs -= 1;
            self.rooms.leave(&conversation, person);
        }
        for Here { conversation, person, path } in joined {
            if gateway.pairs >= self.options.here_most {
                return Err(StreamError::TooMuch);
            }
            let (room, path) = (self.rooms.name(&conversation), self.rooms.path(&path));
            let people = gateway.people.entry(Arc::clone(&room)).or_insert_with(|| {
                gateway.fresh.insert(Arc::clone(&room));
                HashMap::new()
            });
            if people.insert(person, Arc::clone(&path)).is_none() {
                gateway.pairs += 1;
                self.rooms.join(&room, person, &path);
            } else {
                self.rooms.set_path(&room, person, &path);
            }
        }
        Ok(())
    }

    /// Marks the stream as lost.
    pub fn close_stream(&mut self, name: &str, stream: StreamId, now_ms: i64) {
        if let Ok(gateway) = find_by_stream(&mut self.gateways, name, stream) {
            gateway.stream = None;
            gateway.incoming = None;
            gateway.stale_ms = gateway.stale_ms.or(Some(now_ms));
        }
    }

    /// Removes people of gateways lost for `grace_ms`; to be called several times in that span. Returns the number of gateways.
    pub fn expire(&mut self, now_ms: i64) -> usize {
        let (grace_ms, rooms) = (self.options.grace_ms, &mut self.rooms);
        let mut expired = 0;
        self.gateways.retain(|_, gateway| {
            if gateway.stale_ms.is_none_or(|since_ms| now_ms - since_ms < grace_ms) {
                return true;
            }
            rooms.replace(&std::mem::take(&mut gateway.people), &People::new());
            gateway.pairs = 0;
            gateway.stale_ms = None;
            expired += 1;
            // A gateway whose new stream is still sending its set stays known: counts are incomplete until that is complete.
            gateway.stream.is_some()
        });
        expired
    }

    /// Whether the counts are of everybody: every known gateway has an open stream and a complete set, and after a start all
    /// expected gateways have come or `start_grace_ms` is over.
    #[must_use]
    pub fn is_complete(&self, now_ms: i64) -> bool {
        let all_came = self.expected > 0 && self.gateways.len() >= self.expected;
        let started = now_ms - self.started_ms >= self.options.start_grace_ms;
        (all_came || started) && self.gateways.values().all(Gateway::live_and_whole)
    }

    /// The counts of one room.
    #[must_use]
    pub fn counts(&self, conversation: &str, now_ms: i64) -> RoomCounts {
        self.rooms.counts(conversation, self.is_complete(now_ms))
    }

    /// The counts of the rooms in which this gateway has people, where they changed since `sent`; brings `sent` up to date.
    #[must_use]
    pub fn changed_counts(&mut self, name: &str, stream: StreamId, sent: &mut SentCounts, now_ms: i64) -> Vec<RoomCounts> {
        let complete = self.is_complete(now_ms);
        let Ok(gateway) = find_by_stream(&mut self.gateways, name, stream) else { return Vec::new() };
        if gateway.incoming.is_some() {
            return Vec::new();
        }
        let all = std::mem::replace(&mut sent.complete, complete) != complete;
        let fresh = std::mem::take(&mut gateway.fresh);
        sent.rooms.retain(|room, _| gateway.people.contains_key(room));
        let mut counts = Vec::new();
        for room in gateway.people.keys() {
            let version = self.rooms.version(room);
            let before = sent.rooms.insert(Arc::clone(room), version);
            if all || before != Some(version) || fresh.contains(room) {
                counts.push(self.rooms.counts(room, complete));
            }
        }
        counts
    }

    /// Gateways known, rooms, and pairs of room and person: for the metrics.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.gateways.len(), self.rooms.len(), self.gateways.values().map(|gateway| gateway.pairs).sum())
    }
}

fn find_by_stream<'a>(gateways: &'a mut HashMap<String, Gateway>, name: &str, stream: StreamId) -> Result<&'a mut Gateway, StreamError> {
    gateways.get_mut(name).filter(|gateway| gateway.stream == Some(stream)).ok_or(StreamError::Replaced)
}
