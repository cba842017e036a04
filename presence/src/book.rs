//! The book of who is where, pure: time and streams are told to it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use proto::internal::v1::{Gone, Here, RoomCounts};

use crate::{
    Options,
    room::{People, Rooms},
};

/// One stream of one gateway; a later stream of the same gateway takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(u64);

/// The stream cannot go on; the gateway makes a new one and sends everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A later stream of the same gateway took its place.
    #[error("a later stream of this gateway took the place of this one")]
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
    /// `None`: lost.
    stream: Option<StreamId>,
    /// What counts: the last full set with its changes.
    people: People,
    pairs: usize,
    /// The set that is still coming.
    incoming: Option<Incoming>,
    /// The number of the next change.
    next: u64,
    /// Since when `people` is not backed by a stream of the process that reported them.
    stale_ms: Option<i64>,
    /// Rooms that it has people in since the last counts went to it, and had not before.
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

/// What was last told to one gateway.
#[derive(Debug, Default)]
pub struct Told {
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
    /// How many gateways there should be, as they say; 0: not known.
    expected: usize,
}

impl Book {
    /// Empty, as after a start at this time (milliseconds).
    #[must_use]
    pub fn new(options: Options, now_ms: i64) -> Self {
        Self { options, started_ms: now_ms, gateways: HashMap::new(), rooms: Rooms::default(), streams: 0, expected: 0 }
    }

    /// A gateway opened a stream. What it reported before stands until its new set is whole, or the grace is over: an
    /// instance that was started again has the same name and another incarnation.
    ///
    /// # Errors
    /// When there are too many gateways.
    pub fn hello(&mut self, name: &str, incarnation: u64, expected: u32, now_ms: i64) -> Result<StreamId, Broken> {
        if !self.gateways.contains_key(name) && self.gateways.len() >= self.options.gateways_most {
            return Err(Broken::TooMuch);
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
            // The process that had these people is dead: they stay for the grace, no longer.
            gateway.stale_ms = gateway.stale_ms.or(Some(now_ms));
        }
        gateway.incarnation = incarnation;
        gateway.stream = Some(stream);
        gateway.incoming = Some(Incoming::default());
        gateway.next = 1;
        Ok(stream)
    }

    /// A part of the gateway's full set; with `last`, it takes the place of what was there.
    ///
    /// # Errors
    /// When the stream was replaced, the set is whole already, or it is too large.
    pub fn set(&mut self, name: &str, stream: StreamId, here: Vec<Here>, last: bool) -> Result<(), Broken> {
        let gateway = of_stream(&mut self.gateways, name, stream)?;
        let incoming = gateway.incoming.as_mut().ok_or(Broken::OutOfTurn)?;
        for Here { conversation, person, path } in here {
            let (room, path) = (self.rooms.name(&conversation), self.rooms.path(&path));
            if incoming.people.entry(room).or_default().insert(person, path).is_none() {
                incoming.pairs += 1;
                if incoming.pairs > self.options.here_most {
                    return Err(Broken::TooMuch);
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

    /// One numbered change: who left, then who came.
    ///
    /// # Errors
    /// When the stream was replaced, its set is not whole yet, a change is missing, or it is too much.
    pub fn change(&mut self, name: &str, stream: StreamId, number: u64, joined: Vec<Here>, left: Vec<Gone>) -> Result<(), Broken> {
        let gateway = of_stream(&mut self.gateways, name, stream)?;
        if gateway.incoming.is_some() {
            return Err(Broken::OutOfTurn);
        }
        if number != gateway.next {
            return Err(Broken::Hole { wanted: gateway.next, got: number });
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
                return Err(Broken::TooMuch);
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
                self.rooms.move_to(&room, person, &path);
            }
        }
        Ok(())
    }

    /// The stream broke off.
    pub fn lost(&mut self, name: &str, stream: StreamId, now_ms: i64) {
        if let Ok(gateway) = of_stream(&mut self.gateways, name, stream) {
            gateway.stream = None;
            gateway.incoming = None;
            gateway.stale_ms = gateway.stale_ms.or(Some(now_ms));
        }
    }

    /// Lets go of what is over; to be called often. How many gateways' people went.
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
            // One whose successor is still sending its set stays known: the counts are incomplete until that is whole.
            gateway.stream.is_some()
        });
        expired
    }

    /// Whether every gateway that is known, and at a start every one that there should be, has reported and is heard.
    #[must_use]
    pub fn complete(&self, now_ms: i64) -> bool {
        let all_came = self.expected > 0 && self.gateways.len() >= self.expected;
        let started = now_ms - self.started_ms >= self.options.start_grace_ms;
        (all_came || started) && self.gateways.values().all(Gateway::live_and_whole)
    }

    /// The counts of one room.
    #[must_use]
    pub fn counts(&self, conversation: &str, now_ms: i64) -> RoomCounts {
        self.rooms.counts(conversation, self.complete(now_ms))
    }

    /// The counts that changed since they were last told to this gateway, of the rooms it has people in.
    #[must_use]
    pub fn news(&mut self, name: &str, stream: StreamId, told: &mut Told, now_ms: i64) -> Vec<RoomCounts> {
        let complete = self.complete(now_ms);
        let Ok(gateway) = of_stream(&mut self.gateways, name, stream) else { return Vec::new() };
        if gateway.incoming.is_some() {
            return Vec::new();
        }
        let all = std::mem::replace(&mut told.complete, complete) != complete;
        let fresh = std::mem::take(&mut gateway.fresh);
        told.rooms.retain(|room, _| gateway.people.contains_key(room));
        let mut news = Vec::new();
        for room in gateway.people.keys() {
            let changed = self.rooms.changed(room);
            let before = told.rooms.insert(Arc::clone(room), changed);
            if all || before != Some(changed) || fresh.contains(room) {
                news.push(self.rooms.counts(room, complete));
            }
        }
        news
    }

    /// Gateways known, rooms, and pairs of room and person: for the metrics.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.gateways.len(), self.rooms.len(), self.gateways.values().map(|gateway| gateway.pairs).sum())
    }
}

fn of_stream<'a>(gateways: &'a mut HashMap<String, Gateway>, name: &str, stream: StreamId) -> Result<&'a mut Gateway, Broken> {
    gateways.get_mut(name).filter(|gateway| gateway.stream == Some(stream)).ok_or(Broken::Replaced)
}
