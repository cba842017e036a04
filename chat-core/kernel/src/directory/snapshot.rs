//! The whole directory in memory, immutable: 27,000 people are a few megabytes, and no right is judged by a statement.

use std::{collections::HashMap, sync::Arc};

use proto::v1::{Organisation, Role};
use smallvec::SmallVec;

/// Roles of a person, as bits: bit n is role n of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(pub u32);

impl Roles {
    /// From the contract's list; unknown and unspecified ones are left out.
    #[must_use]
    pub fn from_roles(roles: impl IntoIterator<Item = Role>) -> Self {
        Self(roles.into_iter().filter(|role| *role != Role::Unspecified).fold(0, |bits, role| bits | 1 << role as u32))
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u32) != 0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether they have one in common.
    #[must_use]
    pub fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Ascending.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        [Role::Member, Role::Staff, Role::Administrator, Role::Operator].into_iter().filter(move |role| self.has(*role))
    }
}

/// A person as rules see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonEntry {
    /// On the wire.
    pub id: u32,
    /// As shown.
    pub name: Arc<str>,
    /// Where they belong.
    pub organisation: u32,
    /// What they are.
    pub roles: Roles,
    /// May not sign in.
    pub disabled: bool,
    /// How they are shown now (see [`super::cards`]); 0: not known.
    pub card: u32,
}

/// Organisations and people.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    organisations: HashMap<u32, Organisation>,
    people: HashMap<u32, Arc<PersonEntry>>,
    /// The control log's position that this is the state at.
    pub position: u64,
}

impl Snapshot {
    /// Puts organisations in place of those known.
    pub fn set_organisations(&mut self, organisations: Vec<Organisation>) {
        self.organisations = organisations.into_iter().map(|organisation| (organisation.id, organisation)).collect();
    }

    /// Adds a person or puts them in place.
    pub fn set_person(&mut self, person: PersonEntry) {
        self.people.insert(person.id, Arc::new(person));
    }

    /// One organisation.
    #[must_use]
    pub fn organisation(&self, id: u32) -> Option<&Organisation> {
        self.organisations.get(&id)
    }

    /// All, parents before their children, then by code.
    #[must_use]
    pub fn organisations(&self) -> Vec<Organisation> {
        let mut all: Vec<_> = self.organisations.values().cloned().collect();
        all.sort_by(|a, b| (a.level, &a.code).cmp(&(b.level, &b.code)));
        all
    }

    /// By the body's own code.
    #[must_use]
    pub fn organisation_by_code(&self, code: &str) -> Option<&Organisation> {
        self.organisations.values().find(|organisation| organisation.code == code)
    }

    /// An organisation and those above it, nearest first.
    #[must_use]
    pub fn path(&self, id: u32) -> SmallVec<[u32; 4]> {
        let mut path = SmallVec::new();
        let mut next = Some(id);
        while let Some(organisation) = next.and_then(|id| self.organisations.get(&id)) {
            // Levels end the walk even if somebody made a circle of them.
            if path.len() >= 16 {
                break;
            }
            path.push(organisation.id);
            next = (organisation.parent != 0).then_some(organisation.parent);
        }
        path
    }

    /// Whether `id` is `above` or below it.
    #[must_use]
    pub fn is_within(&self, id: u32, above: u32) -> bool {
        self.path(id).contains(&above)
    }

    /// One person.
    #[must_use]
    pub fn person(&self, id: u32) -> Option<&Arc<PersonEntry>> {
        self.people.get(&id)
    }

    /// Everybody, in no order.
    pub fn people(&self) -> impl Iterator<Item = &Arc<PersonEntry>> {
        self.people.values()
    }

    /// How many people.
    #[must_use]
    pub fn people_count(&self) -> usize {
        self.people.len()
    }

    /// People whose name holds `text`, within an organisation and those below it (0: anywhere), by name.
    #[must_use]
    pub fn search(&self, text: &str, organisation: u32, limit: usize) -> Vec<Arc<PersonEntry>> {
        let fits = |person: &&Arc<PersonEntry>| {
            person.name.contains(text) && (organisation == 0 || self.is_within(person.organisation, organisation))
        };
        let mut found: Vec<_> = self.people.values().filter(fits).cloned().collect();
        found.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        found.truncate(limit);
        found
    }
}

/// A small body, for tests of rules.
pub mod example {
    use super::{Organisation, PersonEntry, Role, Roles, Snapshot};

    /// 1 a province; 2 and 3 its cities; 4 a county of 2.
    #[must_use]
    pub fn tree() -> Snapshot {
        let mut snapshot = Snapshot::default();
        let organisation =
            |id: u32, parent, level| Organisation { id, code: id.to_string(), name: format!("organisation {id}"), parent, level };
        snapshot.set_organisations(vec![organisation(1, 0, 1), organisation(2, 1, 2), organisation(3, 1, 2), organisation(4, 2, 3)]);
        snapshot
    }

    /// Somebody of an organisation, with these roles.
    #[must_use]
    pub fn person(id: u32, organisation: u32, roles: &[Role]) -> PersonEntry {
        let roles = Roles::from_roles(roles.iter().copied());
        PersonEntry { id, name: format!("person {id}").into(), organisation, roles, disabled: false, card: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        example::{person, tree},
        *,
    };

    #[test]
    fn paths_lead_to_the_top() {
        let tree = tree();
        assert_eq!(tree.path(4).as_slice(), [4, 2, 1]);
        assert!(tree.is_within(4, 1) && tree.is_within(4, 4) && !tree.is_within(4, 3) && !tree.is_within(1, 4));
        assert!(tree.path(99).is_empty());
    }

    #[test]
    fn any_part_of_a_chinese_name_is_found() {
        let mut tree = tree();
        for (id, name, organisation) in [(1, "欧阳文静", 4), (2, "文天祥", 3), (3, "王静", 4)] {
            tree.set_person(PersonEntry { name: name.into(), ..person(id, organisation, &[Role::Member]) });
        }
        let found = |text, organisation| tree.search(text, organisation, 10).iter().map(|person| person.id).collect::<Vec<_>>();
        assert_eq!(found("文", 0), [2, 1]);
        assert_eq!(found("静", 2), [1, 3]);
        assert_eq!(found("阳文", 0), [1]);
    }
}
