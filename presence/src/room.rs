//! Rooms: their people, and how many of each organisation.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use proto::internal::v1::{OrganisationPeople, RoomCounts};

/// A person's organisation and those above it, nearest first.
pub(crate) type Path = Arc<[u32]>;

/// Who is in which room at one gateway.
pub(crate) type People = HashMap<Arc<str>, HashMap<u32, Path>>;

/// Paths kept to be shared; there are as many as organisations.
const PATHS_MOST: usize = 65_536;

/// All rooms that somebody is in.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    all: HashMap<Arc<str>, Room>,
    paths: HashSet<Path>,
    /// Counts changes of any room.
    changes: u64,
}

impl Rooms {
    /// The room's name, shared with the room where there is one.
    pub(crate) fn name(&self, conversation: &str) -> Arc<str> {
        self.all.get_key_value(conversation).map_or_else(|| Arc::from(conversation), |(name, _)| Arc::clone(name))
    }

    /// The path, shared by all who have the same.
    pub(crate) fn path(&mut self, path: &[u32]) -> Path {
        if let Some(shared) = self.paths.get(path) {
            return Arc::clone(shared);
        }
        if self.paths.len() >= PATHS_MOST {
            self.paths.clear();
        }
        let shared: Path = Arc::from(path);
        self.paths.insert(Arc::clone(&shared));
        shared
    }

    /// Replaces one gateway's people.
    pub(crate) fn replace(&mut self, before: &People, after: &People) {
        for (room, people) in after {
            for (&person, path) in people {
                match before.get(room).and_then(|people| people.get(&person)) {
                    Some(_) => self.set_path(room, person, path),
                    None => self.join(room, person, path),
                }
            }
        }
        for (room, people) in before {
            for &person in people.keys() {
                if !after.get(room).is_some_and(|people| people.contains_key(&person)) {
                    self.leave(room, person);
                }
            }
        }
    }

    /// One more gateway has this person here.
    pub(crate) fn join(&mut self, room: &Arc<str>, person: u32, path: &Path) {
        self.all.entry(Arc::clone(room)).or_default().join(person, path, &mut self.changes);
    }

    /// Sets the person's organisations.
    pub(crate) fn set_path(&mut self, room: &str, person: u32, path: &Path) {
        if let Some(room) = self.all.get_mut(room) {
            room.set_path(person, path, &mut self.changes);
        }
    }

    /// One gateway fewer has this person here.
    pub(crate) fn leave(&mut self, room: &str, person: u32) {
        if let Some(left) = self.all.get_mut(room) {
            left.leave(person, &mut self.changes);
            if left.people.is_empty() {
                self.all.remove(room);
            }
        }
    }

    /// The version of the room's counts: the number of its last change over all rooms; 0 where nobody is.
    pub(crate) fn version(&self, room: &str) -> u64 {
        self.all.get(room).map_or(0, |room| room.version)
    }

    pub(crate) fn counts(&self, conversation: &str, complete: bool) -> RoomCounts {
        let room = self.all.get(conversation);
        RoomCounts {
            conversation: conversation.to_owned(),
            people: room.map_or(0, |room| u32::try_from(room.people.len()).unwrap_or(u32::MAX)),
            by_organisation: room.map(Room::by_organisation).unwrap_or_default(),
            complete,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// People of one room over all gateways: a person with several devices, or at several gateways, counts once.
#[derive(Debug, Default)]
struct Room {
    people: HashMap<u32, Seat>,
    by_organisation: BTreeMap<u32, u32>,
    version: u64,
}

#[derive(Debug)]
struct Seat {
    /// How many gateways have this person here.
    gateways: u32,
    path: Path,
}

impl Room {
    fn join(&mut self, person: u32, path: &Path, changes: &mut u64) {
        match self.people.get_mut(&person) {
            Some(seat) => {
                seat.gateways += 1;
                self.set_path(person, path, changes);
            }
            None => {
                self.people.insert(person, Seat { gateways: 1, path: Arc::clone(path) });
                self.count(path, true, changes);
            }
        }
    }

    fn set_path(&mut self, person: u32, path: &Path, changes: &mut u64) {
        if let Some(seat) = self.people.get_mut(&person).filter(|seat| seat.path != *path) {
            let before = std::mem::replace(&mut seat.path, Arc::clone(path));
            self.count(&before, false, changes);
            self.count(path, true, changes);
        }
    }

    fn leave(&mut self, person: u32, changes: &mut u64) {
        let Some(seat) = self.people.get_mut(&person) else { return };
        seat.gateways -= 1;
        if seat.gateways == 0
            && let Some(seat) = self.people.remove(&person)
        {
            self.count(&seat.path, false, changes);
        }
    }

    fn count(&mut self, path: &[u32], up: bool, changes: &mut u64) {
        *changes += 1;
        self.version = *changes;
        for (index, organisation) in path.iter().enumerate() {
            // A path that names one organisation twice counts it once.
            if path[..index].contains(organisation) {
                continue;
            }
            let people = self.by_organisation.entry(*organisation).or_default();
            *people = if up { *people + 1 } else { people.saturating_sub(1) };
            if *people == 0 {
                self.by_organisation.remove(organisation);
            }
        }
    }

    /// The counts, ascending by organisation.
    fn by_organisation(&self) -> Vec<OrganisationPeople> {
        self.by_organisation.iter().map(|(&organisation, &people)| OrganisationPeople { organisation, people }).collect()
    }
}
