//! A person as the contract shows them.

use kernel::directory::PersonEntry;
use proto::v1::Person;

/// As others see them; the login is for those who keep the directory, and for the person.
pub fn to_proto(person: &PersonEntry, login: String) -> Person {
    Person {
        id: person.id,
        name: person.name.to_string(),
        organisation: person.organisation,
        roles: person.roles.iter().map(Into::into).collect(),
        disabled: person.disabled,
        login,
    }
}

/// As a screen shows them beside what they said.
pub fn to_proto_for_guest(person: &PersonEntry) -> Person {
    Person { id: person.id, name: person.name.to_string(), organisation: person.organisation, ..Person::default() }
}
