use proto::v1::{Comment, Edit, Hide, Recall};

use super::{super::whole_of, *};
use crate::directory::snapshot_tests::{person, tree};

fn consultation(state: ConsultationState) -> ConsultationRules {
    ConsultationRules {
        organisation: 2,
        state,
        watch: Circle::of(&whole_of(1)),
        post: Circle::of(&whole_of(2)),
        moderate: Circle::of(&proto::v1::Audience { people: vec![7], ..Default::default() }),
        ..ConsultationRules::default()
    }
}

fn comment() -> Content {
    Content::Comment(Comment { text: "a word".into(), ..Comment::default() })
}

#[test]
fn who_may_do_what_in_a_consultation() {
    use ConsultationState as S;
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
        let rules = Rules::Consultation(consultation(state));
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
    let rules = Rules::Consultation(ConsultationRules { closes_ms: 1_000, ..consultation(ConsultationState::Open) });
    let at = |now_ms| Asker { directory: &tree, person: &member, now_ms };
    assert!(rules.may_post(at(999)).is_ok());
    assert_eq!(rules.may_post(at(1_000)).unwrap_err().code(), RefusalCode::Closed);
    assert_eq!(rules.holds_until_ms(at(999)), 1_000);
}

#[test]
fn slow_mode_says_how_long_to_wait_and_spares_those_who_run_the_meeting() {
    let tree = tree();
    let rules = Rules::Consultation(ConsultationRules { slow_mode_s: 30, ..consultation(ConsultationState::Open) });
    let member = person(1, 4, &[Role::Member]);
    let at = |now_ms| Asker { directory: &tree, person: &member, now_ms };
    let refusal = rules.may_append(at(20_000), &comment(), None, Some(10_000)).unwrap_err();
    assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::SlowMode, 20_000));
    assert!(rules.may_append(at(40_000), &comment(), None, Some(10_000)).is_ok());
    assert!(rules.may_append(at(20_000), &comment(), None, None).is_ok());
    // Mending a comment is not another comment.
    assert!(rules.may_append(at(20_000), &Content::Edit(Edit::default()), Some(1), Some(19_000)).is_ok());
    let moderator = person(7, 3, &[Role::Member]);
    assert!(rules.may_append(Asker { person: &moderator, ..at(20_000) }, &comment(), None, Some(19_999)).is_ok());
}

#[test]
fn a_mute_ends_by_itself() {
    let (tree, member) = (tree(), person(1, 4, &[Role::Member]));
    let rules = Rules::Consultation(ConsultationRules { mutes: [(1, 5_000)].into(), ..consultation(ConsultationState::Open) });
    let at = |now_ms| Asker { directory: &tree, person: &member, now_ms };
    let refusal = rules.may_post(at(2_000)).unwrap_err();
    assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::Muted, 3_000));
    assert_eq!(rules.holds_until_ms(at(2_000)), 5_000);
    assert!(rules.may_post(at(5_000)).is_ok());
    // The muted may still take back what they said.
    assert!(rules.may_append(at(2_000), &Content::Recall(Recall::default()), Some(1), None).is_ok());
}

#[test]
fn comments_are_edited_by_their_authors_and_hidden_by_moderators() {
    let tree = tree();
    let rules = Rules::Consultation(consultation(ConsultationState::Open));
    let member = person(1, 4, &[Role::Member]);
    let moderator = person(7, 3, &[Role::Member]);
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    let (edit, recall, hide) = (Content::Edit(Edit::default()), Content::Recall(Recall::default()), Content::Hide(Hide::default()));
    for content in [&edit, &recall] {
        assert!(rules.may_append(by(&member), content, Some(1), None).is_ok());
        assert_eq!(rules.may_append(by(&member), content, Some(2), None).unwrap_err().code(), RefusalCode::Forbidden);
        assert_eq!(rules.may_append(by(&moderator), content, Some(1), None).unwrap_err().code(), RefusalCode::Forbidden);
    }
    assert_eq!(rules.may_append(by(&member), &hide, Some(1), None).unwrap_err().code(), RefusalCode::Forbidden);
    assert!(rules.may_append(by(&moderator), &hide, Some(1), None).is_ok());
    let closed = Rules::Consultation(consultation(ConsultationState::Closed));
    assert_eq!(closed.may_append(by(&member), &recall, Some(1), None).unwrap_err().code(), RefusalCode::Closed);
}

#[test]
fn those_who_are_not_part_of_a_conversation_are_not_told_that_it_exists() {
    let tree = tree();
    let rules = Rules::Members(MembersRules { kind: ConversationKind::Group, owner: 1, people: [1, 2].into() });
    let (owner, member, other) = (person(1, 4, &[]), person(2, 4, &[]), person(3, 4, &[Role::Operator]));
    let by = |person| Asker { directory: &tree, person, now_ms: 0 };
    assert!(rules.may_post(by(&owner)).is_ok() && rules.may_manage(by(&owner)).is_ok());
    assert!(rules.may_post(by(&member)).is_ok() && rules.may_manage(by(&member)).is_err());
    assert_eq!(rules.may_watch(by(&other)).unwrap_err().code(), RefusalCode::NotFound);
    let mut gone = person(2, 4, &[]);
    gone.disabled = true;
    assert_eq!(rules.may_watch(by(&gone)).unwrap_err().code(), RefusalCode::AccountDisabled);
}
