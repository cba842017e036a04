//! These people: an audience of the contract, made ready to be asked quickly.

use std::collections::HashSet;

use proto::v1::{Audience, OrganisationScope};
use smallvec::SmallVec;

use crate::directory::{PersonEntry, Roles, Snapshot};

/// The people named, and those of the organisations named who have one of the roles (any role, if none is named).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    organisations: SmallVec<[(u32, bool); 2]>,
    roles: Roles,
    people: HashSet<u32>,
}

impl Selector {
    /// From the contract's message.
    #[must_use]
    pub fn from_audience(audience: &Audience) -> Self {
        Self {
            organisations: audience.organisations.iter().map(|scope| (scope.organisation, scope.with_below)).collect(),
            roles: Roles::from_roles(audience.roles()),
            people: audience.people.iter().copied().collect(),
        }
    }

    /// Whether this person is among them.
    #[must_use]
    pub fn selects(&self, directory: &Snapshot, person: &PersonEntry) -> bool {
        self.people.contains(&person.id)
            || (self.roles.is_empty() || self.roles.meets(person.roles))
                && self.organisations.iter().any(|(organisation, with_below)| {
                    person.organisation == *organisation || *with_below && directory.is_within(person.organisation, *organisation)
                })
    }
}

/// An organisation with all below it: whom a conversation of an organisation is for where nothing else is said.
#[must_use]
pub fn whole_of(organisation: u32) -> Audience {
    Audience { organisations: vec![OrganisationScope { organisation, with_below: true }], ..Audience::default() }
}

/// An audience in stored rules: the encoded message, in hexadecimal digits, which both databases' SQL can write.
pub mod as_hex {
    use prost::Message as _;
    use proto::v1::Audience;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(audience: &Audience, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = audience.encode_to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Audience, D::Error> {
        let digits = String::deserialize(deserializer)?;
        let byte = |place: usize| digits.get(place..place + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        let bytes = bytes.ok_or_else(|| D::Error::custom("not hexadecimal"))?;
        Audience::decode(bytes.as_slice()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::Role;

    use super::*;
    use crate::directory::example::{person, tree};

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
            assert_eq!(Selector::from_audience(&audience).selects(&tree, &person), expected, "{audience:?} {person:?}");
        }
    }
}
