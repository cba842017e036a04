//! Rules of direct conversations and groups. Pure.

use std::collections::HashSet;

use kernel::rights::{Phase, RuleSet};
use proto::v1::{ConversationKind, Refusal, RefusalCode};

/// People of one group at most.
pub const PEOPLE_PER_GROUP: usize = 2_000;

/// Two people, alike.
#[must_use]
pub fn direct_rules() -> RuleSet {
    RuleSet { kind: ConversationKind::Direct.into(), members: true, phase: Phase::Open, ..RuleSet::default() }
}

/// Whoever made it keeps it.
#[must_use]
pub fn group_rules(keeper: u32) -> RuleSet {
    RuleSet { kind: ConversationKind::Group.into(), keeper, members: true, phase: Phase::Open, ..RuleSet::default() }
}

/// Who really comes and who really goes: each once, and none who is (or is not) there already; who is named for both comes.
///
/// # Errors
/// TOO_LARGE: more than [`PEOPLE_PER_GROUP`] would be in it.
pub fn sort_changes(members: &HashSet<u32>, add: &[u32], remove: &[u32]) -> Result<(Vec<u32>, Vec<u32>), Refusal> {
    let mut seen = HashSet::new();
    let added: Vec<u32> = add.iter().copied().filter(|id| !members.contains(id) && seen.insert(*id)).collect();
    let removed: Vec<u32> = remove.iter().copied().filter(|id| members.contains(id) && seen.insert(*id)).collect();
    if members.len() + added.len() - removed.len() > PEOPLE_PER_GROUP {
        return Err(Refusal::of(RefusalCode::TooLarge).field("add"));
    }
    Ok((added, removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_and_go_once_however_often_they_are_named() {
        let members: HashSet<u32> = [1, 2, 3].into();
        let sorted = |add: &[u32], remove: &[u32]| sort_changes(&members, add, remove).unwrap();
        assert_eq!(sorted(&[4, 4, 1], &[2, 2, 9]), (vec![4], vec![2]));
        assert_eq!(sorted(&[], &[]), (vec![], vec![]));
        assert_eq!(sorted(&[5], &[5]), (vec![5], vec![]));
    }

    #[test]
    fn a_group_is_bounded_however_its_change_is_written() {
        let members: HashSet<u32> = (1..=1_999).collect();
        assert!(sort_changes(&members, &[2_000], &[]).is_ok());
        assert_eq!(sort_changes(&members, &[2_000, 2_001], &[]).unwrap_err().code(), RefusalCode::TooLarge);
        assert_eq!(sort_changes(&members, &[2_000, 2_001], &[7_000, 7_001]).unwrap_err().code(), RefusalCode::TooLarge);
        let repeated = vec![1; 5_000];
        assert!(sort_changes(&members, &[2_000, 2_001], &repeated).is_ok());
    }
}
