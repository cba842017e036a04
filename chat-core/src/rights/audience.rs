//! Who: an audience of the contract, made ready to be asked quickly.

use std::collections::HashSet;

use proto::v1::{Audience, OrganisationScope};
use smallvec::SmallVec;

use crate::directory::{PersonEntry, Roles, Snapshot};

/// The people named, and those of the organisations named who have one of the roles (any role, if none is named).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circle {
    organisations: SmallVec<[(u32, bool); 2]>,
    roles: Roles,
    people: HashSet<u32>,
}

impl Circle {
    /// From the contract's message.
    #[must_use]
    pub fn of(audience: &Audience) -> Self {
        Self {
            organisations: audience.organisations.iter().map(|scope| (scope.organisation, scope.with_below)).collect(),
            roles: Roles::of(audience.roles()),
            people: audience.people.iter().copied().collect(),
        }
    }

    /// Whether this person is among them.
    #[must_use]
    pub fn holds(&self, directory: &Snapshot, person: &PersonEntry) -> bool {
        self.names(person.id)
            || (self.roles.is_empty() || self.roles.meets(person.roles))
                && self.organisations.iter().any(|(organisation, with_below)| {
                    person.organisation == *organisation || *with_below && directory.is_within(person.organisation, *organisation)
                })
    }

    /// Whether this person is named.
    #[must_use]
    pub fn names(&self, person: u32) -> bool {
        self.people.contains(&person)
    }
}

/// An organisation with all below it: whom a consultation is for where nothing else is said.
#[must_use]
pub fn whole_of(organisation: u32) -> Audience {
    Audience { organisations: vec![OrganisationScope { organisation, with_below: true }], ..Audience::default() }
}

#[cfg(test)]
mod tests {
    use proto::v1::Role;

    use super::*;
    use crate::directory::snapshot_tests::{person, tree};

    #[test]
    fn an_audience_is_a_rule_over_the_directory() {
        let tree = tree();
        let scope = |organisation, with_below| OrganisationScope { organisation, with_below };
        let members = [Role::Member as i32].to_vec();
        let table = [
            (Audience::default(), person(1, 1, &[Role::Member]), false),
            (whole_of(1), person(1, 4, &[Role::Member]), true),
            (whole_of(2), person(1, 3, &[Role::Member]), false),
            (Audience { organisations: vec![scope(2, false)], ..Audience::default() }, person(1, 4, &[Role::Member]), false),
            (Audience { organisations: vec![scope(2, false)], ..Audience::default() }, person(1, 2, &[]), true),
            (Audience { organisations: vec![scope(2, true)], roles: members.clone(), people: vec![] }, person(1, 4, &[Role::Staff]), false),
            (
                Audience { organisations: vec![scope(2, true)], roles: members.clone(), people: vec![] },
                person(1, 4, &[Role::Staff, Role::Member]),
                true,
            ),
            (Audience { organisations: vec![scope(2, true)], roles: members, people: vec![9] }, person(9, 3, &[Role::Staff]), true),
        ];
        for (audience, person, expected) in table {
            assert_eq!(Circle::of(&audience).holds(&tree, &person), expected, "{audience:?} {person:?}");
        }
    }
}
