use super::{super::whole_of, *};
use crate::directory::example::{person, tree};

fn set(phase: Phase) -> RuleSet {
    RuleSet {
        organisation: 2,
        phase,
        watch: whole_of(1),
        post: whole_of(2),
        moderate: Audience { people: vec![7], ..Audience::default() },
        ..RuleSet::default()
    }
}

fn rules(set: RuleSet) -> Rules {
    Rules::new(set, HashSet::new(), HashMap::new())
}

fn spoke(last_ms: i64) -> Option<Spoke> {
    Some(Spoke { last_ms, posts: 1 })
}

#[test]
fn who_may_do_what_in_a_consultation() {
    use Phase as S;
    use RefusalCode as C;
    let tree = tree();
    let member_below = person(1, 4, &[Role::Member]);
    let member_elsewhere = person(2, 3, &[Role::Member]);
    let staff = person(3, 2, &[Role::Staff]);
    let staff_elsewhere = person(4, 3, &[Role::Staff]);
    let administrator_above = person(5, 1, &[Role::Administrator]);
    let moderator = person(7, 3, &[Role::Member]);
    // (who, state, watch, post, moderate, manage): the code refused with, or none.
    let table = [
        (&member_below, S::Draft, Some(C::NotFound), Some(C::NotFound), Some(C::NotFound), Some(C::NotFound)),
        (&member_below, S::Scheduled, None, Some(C::NotOpen), Some(C::Forbidden), Some(C::Forbidden)),
        (&member_below, S::Open, None, None, Some(C::Forbidden), Some(C::Forbidden)),
        (&member_below, S::Paused, None, Some(C::Paused), Some(C::Forbidden), Some(C::Forbidden)),
        (&member_below, S::Closed, None, Some(C::Closed), Some(C::Forbidden), Some(C::Forbidden)),
        (&member_elsewhere, S::Open, None, Some(C::Forbidden), Some(C::Forbidden), Some(C::Forbidden)),
        (&staff, S::Draft, None, Some(C::NotOpen), None, None),
        (&staff, S::Open, None, None, None, None),
        (&staff_elsewhere, S::Open, None, Some(C::Forbidden), Some(C::Forbidden), Some(C::Forbidden)),
        (&staff_elsewhere, S::Draft, Some(C::NotFound), Some(C::NotFound), Some(C::NotFound), Some(C::NotFound)),
        (&administrator_above, S::Open, None, None, None, None),
        (&moderator, S::Open, None, None, None, Some(C::Forbidden)),
        (&moderator, S::Draft, None, Some(C::NotOpen), None, Some(C::Forbidden)),
    ];
    for (person, state, watch, post, moderate, manage) in table {
        let rules = rules(set(state));
        let asker = Asker { directory: &tree, person, now_ms: 0 };
        let code = |verdict: Result<(), Refusal>| verdict.err().map(|refusal| refusal.code());
        assert_eq!(code(rules.may_watch(asker)), watch, "watch {person:?} {state:?}");
        assert_eq!(code(rules.may_post(asker)), post, "post {person:?} {state:?}");
        assert_eq!(code(rules.may_moderate(asker)), moderate, "moderate {person:?} {state:?}");
        assert_eq!(code(rules.may_manage(asker)), manage, "manage {person:?} {state:?}");
    }
}

#[test]
fn nobody_posts_after_the_closing_time_even_if_the_closing_event_is_late() {
    let (tree, member) = (tree(), person(1, 4, &[Role::Member]));
    let rules = rules(RuleSet { closes_ms: 1_000, ..set(Phase::Open) });
    let at = |now_ms| Asker { directory: &tree, person: &member, now_ms };
    assert!(rules.may_post(at(999)).is_ok());
    assert_eq!(rules.may_post(at(1_000)).unwrap_err().code(), RefusalCode::Closed);
    assert_eq!(rules.holds_until_ms(at(999)), 1_000);
}

#[test]
fn slow_mode_says_how_long_to_wait_and_spares_those_who_run_the_meeting() {
    let tree = tree();
    let rules = rules(RuleSet { slow_mode_s: 30, ..set(Phase::Open) });
    let member = person(1, 4, &[Role::Member]);
    let at = |now_ms| Asker { directory: &tree, person: &member, now_ms };
    let refusal = rules.may_append(at(20_000), Right::Post { slow: true }, None, spoke(10_000)).unwrap_err();
    assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::SlowMode, 20_000));
    assert!(rules.may_append(at(40_000), Right::Post { slow: true }, None, spoke(10_000)).is_ok());
    assert!(rules.may_append(at(20_000), Right::Post { slow: true }, None, None).is_ok());
    // Mending a comment is not another comment.
    assert!(rules.may_append(at(20_000), Right::PostOwn, Some(1), spoke(19_000)).is_ok());
    let moderator = person(7, 3, &[Role::Member]);
    assert!(rules.may_append(Asker { person: &moderator, ..at(20_000) }, Right::Post { slow: true }, None, spoke(19_999)).is_ok());
}

#[test]
fn a_mute_ends_by_itself() {
    let (tree, member) = (tree(), person(1, 4, &[Role::Member]));
    let rules = Rules::new(set(Phase::Open), HashSet::new(), [(1, 5_000)].into());
    let at = |now_ms| Asker { directory: &tree, person: &member, now_ms };
    let refusal = rules.may_post(at(2_000)).unwrap_err();
    assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::Muted, 3_000));
    assert_eq!(rules.holds_until_ms(at(2_000)), 5_000);
    assert!(rules.may_post(at(5_000)).is_ok());
    // The muted may still take back what they said.
    assert!(rules.may_append(at(2_000), Right::TakeBackOwn, Some(1), None).is_ok());
}

#[test]
fn comments_are_edited_by_their_authors_and_hidden_by_moderators() {
    let tree = tree();
    let open = rules(set(Phase::Open));
    let member = person(1, 4, &[Role::Member]);
    let moderator = person(7, 3, &[Role::Member]);
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    for needs in [Right::PostOwn, Right::TakeBackOwn] {
        assert!(open.may_append(by(&member), needs, Some(1), None).is_ok());
        assert_eq!(open.may_append(by(&member), needs, Some(2), None).unwrap_err().code(), RefusalCode::Forbidden);
        assert_eq!(open.may_append(by(&moderator), needs, Some(1), None).unwrap_err().code(), RefusalCode::Forbidden);
    }
    assert_eq!(open.may_append(by(&member), Right::Moderate, Some(1), None).unwrap_err().code(), RefusalCode::Forbidden);
    assert!(open.may_append(by(&moderator), Right::Moderate, Some(1), None).is_ok());
    let closed = rules(set(Phase::Closed));
    assert_eq!(closed.may_append(by(&member), Right::TakeBackOwn, Some(1), None).unwrap_err().code(), RefusalCode::Closed);
}

#[test]
fn those_who_are_not_part_of_a_conversation_are_not_told_that_it_exists() {
    let tree = tree();
    let set = RuleSet { members: true, keeper: 1, phase: Phase::Open, ..RuleSet::default() };
    let rules = Rules::new(set, [1, 2].into(), HashMap::new());
    let (owner, member, other) = (person(1, 4, &[]), person(2, 4, &[]), person(3, 4, &[Role::Operator]));
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    assert!(rules.may_post(by(&owner)).is_ok() && rules.may_manage(by(&owner)).is_ok());
    assert!(rules.may_post(by(&member)).is_ok() && rules.may_manage(by(&member)).is_err());
    assert_eq!(rules.may_watch(by(&other)).unwrap_err().code(), RefusalCode::NotFound);
    let mut gone = person(2, 4, &[]);
    gone.disabled = true;
    assert_eq!(rules.may_watch(by(&gone)).unwrap_err().code(), RefusalCode::AccountDisabled);
}

#[test]
fn a_quota_counts_what_was_said_and_spares_those_who_run_the_meeting() {
    let tree = tree();
    let rules = rules(RuleSet { quota: 3, ..set(Phase::Open) });
    let (member, moderator) = (person(1, 4, &[Role::Member]), person(7, 3, &[Role::Member]));
    let said = |posts| Some(Spoke { last_ms: 0, posts });
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    assert!(rules.asks_spoke());
    assert!(rules.may_append(by(&member), Right::Post { slow: true }, None, said(2)).is_ok());
    assert_eq!(rules.may_append(by(&member), Right::Post { slow: true }, None, said(3)).unwrap_err().code(), RefusalCode::RateLimited);
    assert!(rules.may_append(by(&moderator), Right::Post { slow: true }, None, said(3)).is_ok());
}

#[test]
fn whoever_asked_or_moderates_ends_a_vote() {
    let tree = tree();
    let rules = rules(set(Phase::Open));
    let (member, other, moderator) = (person(1, 4, &[Role::Member]), person(2, 4, &[Role::Member]), person(7, 3, &[Role::Member]));
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    let end = |person| rules.may_append(by(person), Right::ModerateOrPostOwn, Some(1), None);
    assert!(end(&member).is_ok() && end(&moderator).is_ok());
    assert_eq!(end(&other).unwrap_err().code(), RefusalCode::Forbidden);
}

#[test]
fn stored_rules_are_read_again_and_a_field_that_is_missing_has_its_default() {
    let written = serde_json::to_string(&set(Phase::Paused)).unwrap();
    assert_eq!(serde_json::from_str::<RuleSet>(&written).unwrap(), set(Phase::Paused));
    let before = r#"{"kind":1,"organisation":2,"watch":"0a0408011001","phase":3}"#;
    let read: RuleSet = serde_json::from_str(before).unwrap();
    assert_eq!((read.watch.clone(), read.phase, read.quota), (whole_of(1), Phase::Open, 0));
    assert!(serde_json::from_str::<RuleSet>(r#"{"watch":"0a0"}"#).is_err());
}

#[test]
fn among_their_own_everybody_asks_and_where_an_organisation_invites_those_who_run_it() {
    let tree = tree();
    let (member, moderator) = (person(1, 4, &[Role::Member]), person(7, 3, &[Role::Member]));
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    let meeting = rules(set(Phase::Open));
    assert_eq!(meeting.may_append(by(&member), Right::Ask, None, None).unwrap_err().code(), RefusalCode::Forbidden);
    assert!(meeting.may_append(by(&moderator), Right::Ask, None, None).is_ok());
    let group = Rules::new(RuleSet { members: true, phase: Phase::Open, ..RuleSet::default() }, [1].into(), HashMap::new());
    assert!(group.may_append(by(&member), Right::Ask, None, None).is_ok());
}
