use std::collections::{BTreeMap, BTreeSet};

use proto::{
    limits,
    v1::{
        ClientFrame, Comment, Edit, Event, Hide, MarkKind, Poll, PollClosed, Post, Recall, RefusalCode, Tombstone, Unhide, Vote,
        client_frame::Frame, event::Kind, post::Content,
    },
};

use super::{
    Gone, Mark, NewestText, Right, Target, all, all_posted, as_kind, as_posted, as_posted_mut, check_frame, check_post, event_kind,
};

const ID: &str = "0198c0de-0000-7000-8000-000000000001";

fn post(content: Content) -> Post {
    Post { conversation: ID.to_owned(), client_id: ID.to_owned(), content: Some(content) }
}

fn comment(text: &str) -> Content {
    Content::Comment(Comment { text: text.to_owned(), ..Comment::default() })
}

fn poll(question: &str, options: &[&str]) -> Content {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    Content::Poll(Poll { question: question.to_owned(), options })
}

/// One of each kind that people post, as its author may send it.
fn one_of_each() -> Vec<Content> {
    let reason = || "a reason".to_owned();
    vec![
        comment("a word"),
        Content::Edit(Edit { target: 3, text: "better".to_owned(), ..Edit::default() }),
        Content::Recall(Recall { target: 3, reason: reason() }),
        Content::Hide(Hide { target: 3, reason: reason() }),
        Content::Unhide(Unhide { target: 3, reason: reason(), ..Unhide::default() }),
        poll("Shall we?", &["yes", "no"]),
        Content::Vote(Vote { target: 3, option: 1 }),
        Content::PollClosed(PollClosed { target: 3 }),
    ]
}

#[test]
fn codes_are_unique_and_those_that_are_stored_stay() {
    let codes: BTreeMap<i64, Kind> = all().into_iter().map(|kind| (as_kind(&kind).code(), kind)).collect();
    assert_eq!(codes.len(), all().len(), "two kinds share a code");
    let named = |code| codes.get(&code).map(|kind| format!("{kind:?}")).unwrap_or_default();
    let stored = [
        (1, "Comment"),
        (2, "Edit"),
        (3, "Recall"),
        (4, "Hide"),
        (5, "Unhide"),
        (6, "Poll"),
        (7, "Vote"),
        (8, "PollClosed"),
        (20, "ConsultationChanged"),
        (21, "MembersChanged"),
        (22, "ConversationCreated"),
    ];
    for (code, name) in stored {
        assert!(named(code).starts_with(&format!("{name}(")), "{code} is {}", named(code));
    }
    assert_eq!((super::COMMENT, super::POLL), (1, 6));
    assert_eq!(super::rewriting_codes(), [2, 3, 4, 5]);
    assert_eq!(super::act_codes(), [4, 5, 8, 20, 21]);
    assert_eq!(super::codes_where(|kind| kind.makes_unread()), [1, 6]);
    assert_eq!(super::codes_where(|kind| kind.target().is_some()), [2, 3, 4, 5, 7, 8]);
    let deltas: BTreeMap<i64, i64> =
        all().iter().map(as_kind).map(|kind| (kind.code(), kind.comments_delta())).filter(|(_, delta)| *delta != 0).collect();
    assert_eq!(deltas, BTreeMap::from([(1, 1), (3, -1), (4, -1), (5, 1)]));
}

#[test]
fn every_kind_that_is_posted_is_checked_and_says_what_it_is_about() {
    let codes = |contents: Vec<Content>| -> BTreeSet<i64> { contents.iter().map(|content| as_posted(content).code()).collect() };
    assert_eq!(codes(one_of_each()), codes(all_posted()), "one of each, all of them");
    for content in one_of_each() {
        let posted = as_posted(&content);
        assert_eq!(posted.target().is_some(), !posted.target_kinds().is_empty(), "{content:?}");
        assert_eq!(as_kind(&event_kind(content.clone())).code(), posted.code());
        let mut sent = post(content.clone());
        assert_eq!(check_post(&mut sent), Ok(()));
        assert_eq!(sent.content.as_ref(), Some(&content), "what is in its normal form stays as it is");
        // Nothing is taken of a kind whose strings are not held to what may stand in one.
        let Ok(mut value) = serde_json::to_value(&sent) else { panic!("{content:?}") };
        for text in strings(&mut value) {
            *text = serde_json::Value::String("a\0b".to_owned());
        }
        let Ok(mut broken) = serde_json::from_value::<Post>(value) else { panic!("{content:?}") };
        (broken.conversation, broken.client_id) = (ID.to_owned(), ID.to_owned());
        let holds_text = posted.weight() > 0;
        assert_eq!(check_post(&mut broken).err().map(|refusal| refusal.code()), holds_text.then_some(RefusalCode::TextForbiddenCharacter));
    }
}

/// All strings in a JSON value, but numbers written as strings.
fn strings(value: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    match value {
        serde_json::Value::String(text) if text.parse::<u64>().is_err() => vec![value],
        serde_json::Value::Array(items) => items.iter_mut().flat_map(strings).collect(),
        serde_json::Value::Object(fields) => fields.values_mut().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_breaks_a_bound_is_refused_with_its_field() {
    use RefusalCode as C;
    let reason = "r".repeat(limits::REASON_BYTES + 1);
    let long = |chars: usize| "好".repeat(chars);
    let table = [
        (comment(""), C::TextEmpty, "text"),
        (comment(&"x".repeat(limits::TEXT_BYTES + 1)), C::TextTooLong, "text"),
        (Content::Edit(Edit { target: 1, ..Edit::default() }), C::TextEmpty, "text"),
        (Content::Recall(Recall { target: 1, reason: reason.clone() }), C::TooLarge, "reason"),
        (Content::Hide(Hide { target: 1, reason: reason.clone() }), C::TooLarge, "reason"),
        (Content::Unhide(Unhide { target: 1, reason, ..Unhide::default() }), C::TooLarge, "reason"),
        (poll(" ", &["a", "b"]), C::TextEmpty, "question"),
        (poll(&long(201), &["a", "b"]), C::TextTooLong, "question"),
        (poll("q", &["a"]), C::Invalid, "options"),
        (poll("q", &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"]), C::Invalid, "options"),
        (poll("q", &["a", "\u{200b}"]), C::TextEmpty, "options"),
        (poll("q", &["a", &long(81)]), C::TextTooLong, "options"),
        (poll("q", &["a", " a"]), C::Invalid, "options"),
        (Content::Vote(Vote { target: 1, option: 10 }), C::Invalid, "option"),
    ];
    for (content, code, field) in table {
        let refusal = check_post(&mut post(content.clone())).expect_err("out of bounds");
        assert_eq!((refusal.code(), refusal.field.as_str()), (code, field), "{content:?}");
    }
    assert_eq!(check_post(&mut post(poll(&long(200), &["a", &long(80)]))), Ok(()));
    let mut nothing = Post { content: None, ..post(comment("x")) };
    assert_eq!(check_post(&mut nothing).expect_err("no content").field, "content");
    for field in ["conversation", "client_id"] {
        let mut wrong = post(comment("x"));
        let id = if field == "conversation" { &mut wrong.conversation } else { &mut wrong.client_id };
        id.push('x');
        let refusal = check_post(&mut wrong).expect_err("no UUID");
        assert_eq!((refusal.code(), refusal.field.as_str()), (C::Malformed, field));
    }
    let mut frame = ClientFrame { id: 1, frame: Some(Frame::Post(post(comment("a\0b")))) };
    assert_eq!(check_frame(&mut frame).expect_err("NUL").code(), C::TextForbiddenCharacter);
    frame.id = 0;
    assert_eq!(check_frame(&mut frame).expect_err("no id").field, "id");
}

#[test]
fn what_only_the_server_says_is_not_taken_from_a_client() {
    let gone = Some(Tombstone { by: 9, ..Tombstone::default() });
    let claimed = [
        Content::Comment(Comment { text: "x".to_owned(), reply_to: 2, version: 4, gone, restored: 8 }),
        Content::Edit(Edit { target: 3, version: 4, text: "x".to_owned() }),
        Content::Unhide(Unhide { target: 3, reason: "x".to_owned(), text: "made up".to_owned(), version: 4 }),
        poll(" Shall we? ", &["yes\n", " no"]),
    ];
    let taken = [
        Content::Comment(Comment { text: "x".to_owned(), reply_to: 2, ..Comment::default() }),
        Content::Edit(Edit { target: 3, version: 0, text: "x".to_owned() }),
        Content::Unhide(Unhide { target: 3, reason: "x".to_owned(), ..Unhide::default() }),
        poll("Shall we?", &["yes", "no"]),
    ];
    for (claimed, taken) in claimed.into_iter().zip(taken) {
        let mut sent = post(claimed);
        assert_eq!(check_post(&mut sent), Ok(()));
        assert_eq!(sent.content, Some(taken));
    }
}

#[test]
fn each_kind_needs_its_right_and_acts_on_its_target() {
    use Right as R;
    let standing = |kind, version| Target { kind, version, gone: Gone::Stands };
    let gone = |gone| Target { gone, ..standing(1, 2) };
    let conflict = Some(RefusalCode::Conflict);
    let (not_found, target_gone) = (Some(RefusalCode::NotFound), Some(RefusalCode::TargetGone));
    // The right; what is said of a comment that stands, is recalled, is hidden, of a poll, of nothing; and the target afterwards.
    let table = [
        (R::Post { slow: true }, [None; 5], standing(1, 2)),
        (R::PostOwn, [None, target_gone, target_gone, not_found, not_found], standing(1, 3)),
        (R::TakeBackOwn, [None, target_gone, target_gone, not_found, not_found], gone(Gone::Recalled)),
        (R::Moderate, [None, target_gone, target_gone, not_found, not_found], gone(Gone::Hidden)),
        (R::Moderate, [conflict, target_gone, None, not_found, not_found], standing(1, 2)),
        (R::Ask, [None; 5], standing(1, 2)),
        (R::Post { slow: false }, [not_found, not_found, not_found, None, not_found], standing(1, 2)),
        (R::ModerateOrPostOwn, [not_found, not_found, not_found, None, not_found], standing(1, 2)),
    ];
    for (mut content, (right, said, after)) in one_of_each().into_iter().zip(table) {
        let posted = as_posted_mut(&mut content);
        assert_eq!(posted.needs(), right);
        let targets = [Some(standing(1, 2)), Some(gone(Gone::Recalled)), Some(gone(Gone::Hidden)), Some(standing(6, 0)), None];
        for (target, said) in targets.iter().zip(said) {
            let refused = posted.judge_target(target.as_ref()).err().map(|refusal| refusal.code());
            assert_eq!(refused, said, "kind {} on {target:?}", posted.code());
        }
        let mut target = if posted.needs_newest_text() { gone(Gone::Hidden) } else { standing(1, 2) };
        let newest = posted.needs_newest_text().then(|| NewestText { text: "newest".to_owned(), version: 2 });
        posted.apply(&mut target, newest);
        assert_eq!(target, after, "{content:?}");
        match content {
            Content::Edit(edit) => assert_eq!(edit.version, 3),
            Content::Unhide(unhide) => assert_eq!((unhide.text.as_str(), unhide.version), ("newest", 2)),
            _ => {}
        }
    }
    for state in [Gone::Stands, Gone::Recalled, Gone::Hidden] {
        assert_eq!(Gone::from_code(state.code()), state);
    }
}

#[test]
fn a_vote_must_choose_what_is_there_while_the_poll_is_open() {
    let asked = Event { seq: 3, kind: Some(event_kind(poll("Shall we?", &["yes", "no"]))), ..Event::default() };
    let closed = Mark { mark: MarkKind::Closed, person: 0, value: "1".to_owned() };
    let before = Mark { mark: MarkKind::Vote, person: 7, value: "0".to_owned() };
    let vote = |option| Content::Vote(Vote { target: 3, option });
    let end = Content::PollClosed(PollClosed { target: 3 });
    let table = [
        (vote(1), vec![], None),
        (vote(1), vec![before.clone()], None),
        (vote(2), vec![], Some(RefusalCode::Invalid)),
        (vote(1), vec![before, closed.clone()], Some(RefusalCode::Closed)),
        (end.clone(), vec![], None),
        (end.clone(), vec![closed], Some(RefusalCode::Closed)),
    ];
    for (content, marks, said) in table {
        let refused = as_posted(&content).judge(Some(&asked), &marks).err().map(|refusal| refusal.code());
        assert_eq!(refused, said, "{content:?} {marks:?}");
    }
    assert_eq!(as_posted(&vote(1)).mark(7), Some(Mark { mark: MarkKind::Vote, person: 7, value: "1".to_owned() }));
    assert_eq!(as_posted(&vote(1)).needs_marks(7), [(MarkKind::Vote, 7), (MarkKind::Closed, 0)]);
    assert_eq!(as_posted(&end).mark(7).map(|mark| mark.person), Some(0));
    for content in one_of_each() {
        let value = as_posted(&content).mark(7).map(|mark| mark.value).unwrap_or_default();
        assert!(value.len() <= limits::MARK_VALUE_BYTES, "{content:?}");
    }
}

#[test]
fn each_kind_has_a_short_file_of_its_own() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/kinds");
    for kind in all() {
        let name = format!("{kind:?}");
        let name: String =
            name.chars().take_while(|c| *c != '(').flat_map(|c| if c.is_uppercase() { vec!['_', c] } else { vec![c] }).collect();
        let path = format!("{folder}/{}.rs", name.trim_start_matches('_').to_lowercase());
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(source.lines().count() < 120, "{path} has {} lines", source.lines().count());
    }
}
