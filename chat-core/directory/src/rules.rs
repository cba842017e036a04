//! Who keeps which part of the directory (分级管理): an administrator the own organisation and those below it, an
//! operator all; and nobody grants what is not theirs to give.

use kernel::directory::{PersonEntry, Roles, Snapshot};
use proto::v1::{Refusal, RefusalCode, Role};

/// INVALID, naming the field.
pub fn invalid(field: &str) -> Refusal {
    Refusal::of(RefusalCode::Invalid).field(field)
}

/// Whether anybody's directory is this person's to keep: asked before anything is read for them.
#[must_use]
pub fn is_administrator(person: &PersonEntry) -> bool {
    !person.disabled && (person.roles.has(Role::Administrator) || person.roles.has(Role::Operator))
}

/// May this person keep the directory of that organisation.
///
/// # Errors
/// FORBIDDEN.
pub fn may_administer(snapshot: &Snapshot, person: &PersonEntry, organisation: u32) -> Result<(), Refusal> {
    let administers = person.roles.has(Role::Administrator) && snapshot.is_within(organisation, person.organisation);
    if !person.disabled && (administers || person.roles.has(Role::Operator)) {
        return Ok(());
    }
    Err(Refusal::of(RefusalCode::Forbidden)
        .words("您只能管理本单位及下级单位的通讯录。", "You keep the directory of your own organisation and those below it only."))
}

/// May this person give somebody there these roles (or change somebody who has them).
///
/// # Errors
/// FORBIDDEN.
pub fn may_grant(snapshot: &Snapshot, person: &PersonEntry, organisation: u32, roles: Roles) -> Result<(), Refusal> {
    may_administer(snapshot, person, organisation)?;
    if roles.has(Role::Operator) && !person.roles.has(Role::Operator) {
        return Err(Refusal::of(RefusalCode::Forbidden)
            .field("roles")
            .words("只有运维人员可以授予运维角色。", "Only an operator makes operators."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use kernel::directory::example::{person, tree};

    use super::*;

    #[test]
    fn an_administrator_keeps_the_own_organisation_and_those_below() {
        let tree = tree();
        let table = [
            (&[Role::Administrator][..], 2, 2, true),
            (&[Role::Administrator], 2, 4, true),
            (&[Role::Administrator], 2, 1, false),
            (&[Role::Administrator], 2, 3, false),
            (&[Role::Staff], 2, 2, false),
            (&[Role::Member], 1, 4, false),
            (&[Role::Operator], 4, 1, true),
        ];
        for (roles, of, organisation, may) in table {
            assert_eq!(may_administer(&tree, &person(1, of, roles), organisation).is_ok(), may, "{roles:?} of {of} for {organisation}");
        }
        let mut disabled = person(1, 1, &[Role::Operator]);
        disabled.disabled = true;
        assert!(may_administer(&tree, &disabled, 1).is_err());
    }

    #[test]
    fn nobody_grants_more_than_they_hold() {
        let tree = tree();
        let administrator = person(1, 1, &[Role::Administrator]);
        assert!(may_grant(&tree, &administrator, 2, Roles::from_roles([Role::Administrator, Role::Staff])).is_ok());
        assert!(may_grant(&tree, &administrator, 2, Roles::from_roles([Role::Operator])).is_err());
        assert!(may_grant(&tree, &person(1, 1, &[Role::Operator]), 2, Roles::from_roles([Role::Operator])).is_ok());
    }
}
