//! One fold for all who hold events: rings, pages and readers' timelines, whatever is posted and however it arrives.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod server;

use proptest::prelude::*;
use proto::v1::{Comment, Edit, Event, Hide, Poll, PollClosed, Recall, Unhide, Vote, post::Content};
use sequence::{Timeline, fold_event, fold_page, target_of};
use server::{Server, is_late};

const COMMENTS: u64 = 3;
const POLLS: u64 = 2;

/// Three comments, two polls, and then what these numbers say: what is done, to which, by whom. What the server would refuse stands in
/// no log.
fn log(acts: &[(u8, u64, u32)]) -> Server {
    let mut server = Server::default();
    for number in 1..=COMMENTS {
        server.post(7, Content::Comment(Comment { text: format!("text {number}"), ..Comment::default() })).unwrap();
    }
    for number in 1..=POLLS {
        let options = ["a", "b", "c"].map(str::to_owned).to_vec();
        server.post(7, Content::Poll(Poll { question: format!("poll {number}"), options })).unwrap();
    }
    for (act, on, author) in acts {
        let number = server.head() + 1;
        let (comment, poll) = (1 + on % COMMENTS, 1 + COMMENTS + on % POLLS);
        let reason = String::new();
        let content = match act {
            0 | 1 => Content::Edit(Edit { target: comment, version: 0, text: format!("edit {number}") }),
            2 => Content::Recall(Recall { target: comment, reason }),
            3 | 4 => Content::Hide(Hide { target: comment, reason: "rude".into() }),
            5 | 6 => Content::Unhide(Unhide { target: comment, reason, ..Unhide::default() }),
            7..=9 => Content::Vote(Vote { target: poll, option: number as u32 % 3 }),
            10 => Content::PollClosed(PollClosed { target: poll }),
            _ => Content::Comment(Comment { text: format!("text {number}"), ..Comment::default() }),
        };
        if let Err(refusal) = server.post(*author, content) {
            assert!(is_late(&refusal), "{refusal:?}");
        }
    }
    server
}

fn acts() -> impl Strategy<Value = Vec<(u8, u64, u32)>> {
    prop::collection::vec((0_u8..12, 0_u64..6, 1_u32..5), 0..60)
}

/// The same for the same seed.
fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for index in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(index, (seed >> 33) as usize % (index + 1));
    }
}

/// A ring: each event acts on those before it as it comes, and what came before acts on it.
fn push(ring: &mut Vec<Event>, event: &Event) {
    let mut newcomer = event.clone();
    for earlier in ring.iter_mut() {
        fold_event(earlier, event);
        if target_of(earlier).is_some() {
            fold_event(&mut newcomer, earlier);
        }
    }
    ring.push(newcomer);
}

proptest! {
    /// A ring folds as events come; a page folds all at once, with its changes in any order; chat-core's page folds only what rewrites,
    /// and takes marks from its table. All must show the same.
    #[test]
    fn ring_and_page_obey_one_fold(acts in acts(), seed in any::<u64>()) {
        let server = log(&acts);
        let mut ring: Vec<Event> = Vec::new();
        server.events.iter().for_each(|event| push(&mut ring, event));
        let mut changes = server.events.clone();
        shuffle(&mut changes, seed);
        let mut page = server.events.clone();
        fold_page(&mut page, &changes);
        prop_assert_eq!(&ring, &page);
        prop_assert_eq!(&page, &server.page(1, server.head(), server.head()));
        // Acting twice is acting once.
        fold_page(&mut page, &server.events);
        prop_assert_eq!(ring, page);
    }

    /// A ring that is begun in the middle, and is given a page before it that was read later, shows what one begun at the start does.
    #[test]
    fn a_ring_begun_in_the_middle_shows_the_same(acts in acts(), cut in 0_u64..64, read_at in 0_u64..64) {
        let server = log(&acts);
        let head = server.head();
        let cut = 1 + cut % head;
        let mut ring: Vec<Event> = Vec::new();
        server.events[cut as usize..].iter().for_each(|event| push(&mut ring, event));
        let mut before = server.page(1, cut, cut + read_at % (head - cut + 1));
        let changes: Vec<Event> = ring.iter().filter(|event| target_of(event).is_some()).cloned().collect();
        fold_page(&mut before, &changes);
        before.extend(ring);
        prop_assert_eq!(before, server.page(1, head, head));
    }

    /// A snapshot at s and the events after s give what the whole log gives, in whatever order the events come, and twice.
    #[test]
    fn a_snapshot_and_what_follows_it_give_the_whole(acts in acts(), cut in 0_u64..64, read_at in 0_u64..64, seed in any::<u64>()) {
        let server = log(&acts);
        let head = server.head();
        let cut = cut.min(head);
        let older = if cut == 0 { Vec::new() } else { server.page(1, cut, cut) };
        let newer = if cut == 0 { Vec::new() } else { server.page(1, cut, cut + read_at % (head - cut + 1)) };
        let live = &server.events[cut as usize..];
        let mut sent: Vec<&Event> = live.iter().chain(live.iter().step_by(3)).chain(&older).chain(&newer).collect();
        shuffle(&mut sent, seed);
        let mut pieced = Timeline::default();
        sent.into_iter().for_each(|event| pieced.apply(event));
        let pieced: Vec<Event> = pieced.entries().map(|entry| entry.event.clone()).collect();
        prop_assert_eq!(pieced, server.page(1, head, head));
    }
}
