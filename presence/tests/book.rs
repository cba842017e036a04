//! The book, without streams or clocks.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use presence::{Book, Options, SentCounts, StreamError, StreamId};
use proptest::prelude::*;
use proto::internal::v1::{Gone, Here, RoomCounts};

const ROOM: &str = "hall";

fn here(room: &str, person: u32, path: &[u32]) -> Here {
    Here { conversation: room.to_owned(), person, path: path.to_vec() }
}

fn gone(room: &str, person: u32) -> Gone {
    Gone { conversation: room.to_owned(), person }
}

/// A book whose start-up grace is over at 10,000.
fn book() -> Book {
    Book::new(Options::default(), 0)
}

/// Opens a stream and sends a full set.
fn report(book: &mut Book, gateway: &str, incarnation: u64, people: &[Here], now_ms: i64) -> StreamId {
    let stream = book.open_stream(gateway, incarnation, 0, now_ms).unwrap();
    book.apply_set(gateway, stream, people.to_vec(), true).unwrap();
    stream
}

fn organisations(counts: &RoomCounts) -> Vec<(u32, u32)> {
    counts.by_organisation.iter().map(|row| (row.organisation, row.people)).collect()
}

#[test]
fn counts_roll_up_from_county_to_city_to_province() {
    let mut book = book();
    let people = [here(ROOM, 1, &[90, 11, 1]), here(ROOM, 2, &[91, 11, 1]), here(ROOM, 3, &[12, 1]), here("other", 4, &[90, 11, 1])];
    report(&mut book, "a", 1, &people, 10_000);
    let counts = book.counts(ROOM, 10_000);
    assert_eq!((counts.people, counts.complete), (3, true));
    assert_eq!(organisations(&counts), [(1, 3), (11, 2), (12, 1), (90, 1), (91, 1)]);
    assert_eq!(book.counts("nobody", 10_000).people, 0);
}

#[test]
fn presence_two_devices_count_once() {
    let mut book = book();
    let a = report(&mut book, "a", 1, &[here(ROOM, 1, &[90, 1])], 10_000);
    let b = report(&mut book, "b", 1, &[here(ROOM, 1, &[90, 1]), here(ROOM, 1, &[90, 1])], 10_000);
    assert_eq!(book.counts(ROOM, 10_000).people, 1);
    book.apply_change("a", a, 1, vec![], vec![gone(ROOM, 1)]).unwrap();
    assert_eq!(organisations(&book.counts(ROOM, 10_000)), [(1, 1), (90, 1)]);
    book.apply_change("b", b, 1, vec![], vec![gone(ROOM, 1), gone(ROOM, 1)]).unwrap();
    assert_eq!(book.counts(ROOM, 10_000).people, 0);
}

#[test]
fn presence_a_restart_is_marked_incomplete_until_every_known_gateway_has_reported() {
    let mut book = Book::new(Options { start_grace_ms: 2_500, ..Options::default() }, 0);
    assert!(!book.is_complete(100), "nobody has come yet, which does not mean that nobody is here");
    let a = report(&mut book, "a", 1, &[here(ROOM, 1, &[1])], 100);
    assert!(!book.counts(ROOM, 200).complete, "others may come within the grace");
    let b = book.open_stream("b", 1, 0, 300).unwrap();
    assert!(!book.counts(ROOM, 3_000).complete, "b is known and has not sent its full set");
    book.apply_set("b", b, vec![here(ROOM, 2, &[1])], false).unwrap();
    assert_eq!(book.counts(ROOM, 3_000).people, 1, "half a set does not count");
    book.apply_set("b", b, vec![here(ROOM, 3, &[1])], true).unwrap();
    assert_eq!((book.counts(ROOM, 3_000).people, book.counts(ROOM, 3_000).complete), (3, true));
    book.close_stream("a", a, 4_000);
    assert!(!book.is_complete(4_100));
    assert_eq!(book.counts(ROOM, 4_100).people, 3, "it may only be the line");
    assert_eq!(book.expire(6_000), 1);
    assert_eq!((book.counts(ROOM, 6_000).people, book.is_complete(6_000)), (2, true));
}

#[test]
fn where_the_number_of_gateways_is_known_the_grace_ends_when_all_have_come() {
    let mut book = Book::new(Options::default(), 0);
    let a = book.open_stream("a", 1, 2, 10).unwrap();
    book.apply_set("a", a, vec![], true).unwrap();
    assert!(!book.is_complete(20));
    let b = book.open_stream("b", 1, 2, 30).unwrap();
    book.apply_set("b", b, vec![], true).unwrap();
    assert!(book.is_complete(40));
}

#[test]
fn a_gateway_that_was_started_again_replaces_itself() {
    let mut book = book();
    report(&mut book, "a", 1, &[here(ROOM, 1, &[1]), here(ROOM, 2, &[1])], 10_000);
    let again = book.open_stream("a", 2, 0, 11_000).unwrap();
    assert_eq!(book.counts(ROOM, 11_000).people, 2, "no dip to zero");
    book.apply_set("a", again, vec![here(ROOM, 2, &[1])], true).unwrap();
    assert_eq!(book.counts(ROOM, 11_000).people, 1);
    // A third one that never sends its set: the dead one's people go after the grace, and the counts stay incomplete.
    book.open_stream("a", 3, 0, 12_000).unwrap();
    book.expire(13_999);
    assert_eq!(book.counts(ROOM, 13_999).people, 1);
    book.expire(14_000);
    assert_eq!((book.counts(ROOM, 14_000).people, book.is_complete(14_000)), (0, false));
}

#[test]
fn a_line_that_comes_back_within_the_grace_changes_no_count() {
    let mut book = book();
    let first = report(&mut book, "a", 1, &[here(ROOM, 1, &[1])], 10_000);
    book.close_stream("a", first, 11_000);
    let second = book.open_stream("a", 1, 0, 12_000).unwrap();
    assert_eq!(book.expire(12_500), 0);
    assert_eq!(book.counts(ROOM, 12_500).people, 1);
    book.apply_set("a", second, vec![here(ROOM, 1, &[1])], true).unwrap();
    book.close_stream("a", first, 12_600);
    assert_eq!(book.expire(60_000), 0, "what an old stream says does not count");
    assert!(book.is_complete(60_000));
}

#[test]
fn a_hole_in_the_changes_breaks_the_stream() {
    let mut book = book();
    let stream = book.open_stream("a", 1, 0, 10_000).unwrap();
    assert_eq!(book.apply_change("a", stream, 1, vec![], vec![]), Err(StreamError::OutOfTurn));
    book.apply_set("a", stream, vec![], true).unwrap();
    assert_eq!(book.apply_set("a", stream, vec![], true), Err(StreamError::OutOfTurn));
    book.apply_change("a", stream, 1, vec![here(ROOM, 1, &[1])], vec![]).unwrap();
    assert_eq!(book.apply_change("a", stream, 3, vec![], vec![]), Err(StreamError::Hole { wanted: 2, got: 3 }));
    let later = book.open_stream("a", 1, 0, 10_000).unwrap();
    assert_eq!(book.apply_change("a", stream, 2, vec![], vec![]), Err(StreamError::Replaced));
    book.apply_set("a", later, vec![], true).unwrap();
    assert_eq!(book.counts(ROOM, 10_000).people, 0);
}

#[test]
fn what_one_gateway_may_report_is_bounded() {
    let mut book = Book::new(Options { here_most: 2, gateways_most: 1, ..Options::default() }, 0);
    let stream = report(&mut book, "a", 1, &[here(ROOM, 1, &[1]), here(ROOM, 2, &[1])], 0);
    assert_eq!(book.apply_change("a", stream, 1, vec![here(ROOM, 3, &[1])], vec![]), Err(StreamError::TooMuch));
    let stream = book.open_stream("a", 1, 0, 0).unwrap();
    let three = (1..=3).map(|person| here(ROOM, person, &[1])).collect();
    assert_eq!(book.apply_set("a", stream, three, true), Err(StreamError::TooMuch));
    assert_eq!(book.open_stream("b", 1, 0, 0), Err(StreamError::TooMuch));
}

#[test]
fn a_gateway_is_sent_only_what_changed_in_its_own_rooms() {
    let mut book = book();
    let a = report(&mut book, "a", 1, &[here(ROOM, 1, &[1])], 10_000);
    let b = report(&mut book, "b", 1, &[here("b's", 2, &[1])], 10_000);
    let (mut sent_a, mut sent_b) = (SentCounts::default(), SentCounts::default());
    let rooms = |news: Vec<RoomCounts>| news.into_iter().map(|counts| (counts.conversation, counts.people)).collect::<Vec<_>>();
    assert_eq!(rooms(book.changed_counts("a", a, &mut sent_a, 10_000)), [(ROOM.to_owned(), 1)]);
    assert_eq!(rooms(book.changed_counts("a", a, &mut sent_a, 11_000)), []);
    book.apply_change("b", b, 1, vec![here(ROOM, 2, &[1])], vec![]).unwrap();
    assert_eq!(rooms(book.changed_counts("a", a, &mut sent_a, 12_000)), [(ROOM.to_owned(), 2)]);
    assert_eq!(book.changed_counts("b", b, &mut sent_b, 12_000).len(), 2);
    // b loses its own interest and has it again before the next counts: its counts are sent, though nothing changed in sum.
    book.apply_change("b", b, 2, vec![here(ROOM, 1, &[1])], vec![gone(ROOM, 2)]).unwrap();
    let _ = book.changed_counts("b", b, &mut sent_b, 13_000);
    book.apply_change("b", b, 3, vec![], vec![gone(ROOM, 1)]).unwrap();
    book.apply_change("b", b, 4, vec![here(ROOM, 1, &[1])], vec![]).unwrap();
    assert_eq!(rooms(book.changed_counts("b", b, &mut sent_b, 14_000)), [(ROOM.to_owned(), 1)]);
    // Everything is sent again when the counts are not complete any more.
    book.close_stream("a", a, 15_000);
    assert_eq!(book.changed_counts("b", b, &mut sent_b, 15_000).len(), 2);
}

#[test]
fn a_person_who_moves_to_another_organisation_is_counted_there() {
    let mut book = book();
    let a = report(&mut book, "a", 1, &[here(ROOM, 1, &[90, 1])], 10_000);
    book.apply_change("a", a, 1, vec![here(ROOM, 1, &[91, 1])], vec![]).unwrap();
    assert_eq!(organisations(&book.counts(ROOM, 10_000)), [(1, 1), (91, 1)]);
}

/// What happens to two gateways.
#[derive(Clone, Debug)]
enum Step {
    Join(usize, u8, u8),
    Leave(usize, u8, u8),
    /// The line breaks; the gateway opens another and sends its set again.
    Reconnect(usize),
    /// The process dies with all its people, and starts again, empty.
    Restart(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2_usize, 0..3_u8, 0..6_u8).prop_map(|(gateway, room, person)| Step::Join(gateway, room, person)),
        4 => (0..2_usize, 0..3_u8, 0..6_u8).prop_map(|(gateway, room, person)| Step::Leave(gateway, room, person)),
        1 => (0..2_usize).prop_map(Step::Reconnect),
        1 => (0..2_usize).prop_map(Step::Restart),
        1 => (0..5_000_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

fn path_of(person: u8) -> Vec<u32> {
    vec![100 + u32::from(person % 3), 10 + u32::from(person % 2), 1]
}

proptest! {
    #[test]
    fn whatever_happens_the_counts_are_those_of_the_union_of_people(steps in steps()) {
        let names = ["a", "b"];
        let mut book = Book::new(Options { start_grace_ms: 0, ..Options::default() }, 0);
        let mut now_ms = 0;
        let mut truth: [BTreeSet<(u8, u8)>; 2] = Default::default();
        let mut incarnations = [0_u64; 2];
        let mut numbers = [0_u64; 2];
        let mut streams = [0, 1].map(|n| report(&mut book, names[n], 0, &[], 0));
        let mut sent = [SentCounts::default(), SentCounts::default()];
        let mut heard: [HashMap<String, RoomCounts>; 2] = Default::default();
        for step in steps {
            match step {
                Step::Join(n, room, person) => {
                    numbers[n] += 1;
                    book.apply_change(names[n], streams[n], numbers[n], vec![here(&room.to_string(), person.into(), &path_of(person))], vec![]).unwrap();
                    truth[n].insert((room, person));
                }
                Step::Leave(n, room, person) => {
                    numbers[n] += 1;
                    book.apply_change(names[n], streams[n], numbers[n], vec![], vec![gone(&room.to_string(), person.into())]).unwrap();
                    truth[n].remove(&(room, person));
                }
                Step::Reconnect(n) | Step::Restart(n) => {
                    book.close_stream(names[n], streams[n], now_ms);
                    if matches!(step, Step::Restart(_)) {
                        truth[n].clear();
                        incarnations[n] += 1;
                    }
                    let set: Vec<Here> = truth[n].iter().map(|(room, person)| here(&room.to_string(), (*person).into(), &path_of(*person))).collect();
                    streams[n] = report(&mut book, names[n], incarnations[n], &set, now_ms);
                    (numbers[n], sent[n], heard[n]) = (0, SentCounts::default(), HashMap::new());
                }
                Step::Wait(ms) => {
                    now_ms += ms;
                    book.expire(now_ms);
                }
            }
            let mut rooms: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
            for (room, person) in truth.iter().flatten() {
                rooms.entry(*room).or_default().insert(*person);
            }
            for room in 0..3_u8 {
                let people = rooms.get(&room).cloned().unwrap_or_default();
                let mut expected: BTreeMap<u32, u32> = BTreeMap::new();
                people.iter().flat_map(|person| path_of(*person)).for_each(|organisation| *expected.entry(organisation).or_default() += 1);
                let counts = book.counts(&room.to_string(), now_ms);
                prop_assert_eq!(counts.people as usize, people.len());
                prop_assert_eq!(organisations(&counts), expected.into_iter().collect::<Vec<_>>());
                prop_assert!(counts.complete);
            }
            for n in [0, 1] {
                for counts in book.changed_counts(names[n], streams[n], &mut sent[n], now_ms) {
                    heard[n].insert(counts.conversation.clone(), counts);
                }
                for room in truth[n].iter().map(|(room, _)| room.to_string()) {
                    prop_assert_eq!(heard[n].get(&room), Some(&book.counts(&room, now_ms)), "gateway {} knows room {} as it is", n, room);
                }
            }
        }
    }
}
