//! "Something of yours changed": who is sent what, by what a control event says that it concerns.

use std::sync::atomic::Ordering;

use proto::{
    Subprotocol,
    internal::v1::Concern,
    v1::{Audience, Change, Changes, ConversationBrief, change::Brief, client_frame, server_frame},
};
use uuid::Uuid;

use crate::{Hall, client::Client};

/// A gateway that gathers for a moment only.
async fn hall() -> Hall {
    Hall::with(|options| options.hub.lists_ms = 150).await
}

fn change(id: &str, version: u64) -> Change {
    let brief = Some(Brief::Conversation(ConversationBrief { kind: 2 }));
    Change { subject: "polls".to_owned(), id: id.to_owned(), version, brief, ..Change::default() }
}

fn gone(id: &str, version: u64) -> Change {
    Change { gone: true, brief: None, ..change(id, version) }
}

/// For all who may watch the room.
fn for_room(room: Uuid, change: Change) -> Concern {
    Concern { conversation: room.to_string(), change: Some(change), ..Concern::default() }
}

fn for_people(people: &[u32], change: Change) -> Concern {
    Concern { people: people.to_vec(), change: Some(change), ..Concern::default() }
}

async fn next_changes(client: &mut Client) -> Changes {
    client
        .wait(|frame| match &frame.frame {
            Some(server_frame::Frame::Changes(changes)) => Some(changes.clone()),
            _ => None,
        })
        .await
}

/// What was sent to a client, when nothing else is on its way to it: an answer comes behind it.
async fn expect_nothing(client: &mut Client) {
    let id = client.send(client_frame::Frame::Ping(proto::v1::Ping {})).await;
    assert_eq!(client.next().await.unwrap().re, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_urgent_change_goes_at_once_to_those_who_may_watch_and_to_nobody_else() {
    // What is gathered would never come.
    let hall = Hall::with(|options| options.hub.lists_ms = 3_600_000).await;
    let room = hall.core.conversation();
    hall.core.with(room, |log| log.denied.insert(3));
    let mut invited = [hall.client(1).await, hall.signed_in(2, Subprotocol::Json).await.0, hall.client(1).await];
    let mut other = hall.client(3).await;
    let call = Change { urgent: true, ..change("a", 7) };
    hall.core.control_at_once([for_room(room, change("gathered", 1)), for_room(room, call.clone())]);
    for client in &mut invited {
        // As it came, whatever subject it is of.
        assert_eq!(next_changes(client).await, Changes { changed: vec![call.clone()], ..Changes::default() });
    }
    expect_nothing(&mut other).await;
    assert_eq!(hall.core.audiences.load(Ordering::Relaxed), 2, "one question for each core's people");
    // Whoever signs in after it lists then.
    expect_nothing(&mut hall.client(1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_gathered_and_the_newest_of_each_goes() {
    let hall = hall().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    let events = [change("a", 1), change("b", 5), change("a", 3), change("a", 2), change("c", 0), gone("c", 0)];
    hall.core.control_at_once(events.map(|change| for_room(room, change)));
    let mut changes = next_changes(&mut client).await;
    changes.changed.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(changes.changed, [change("a", 3), change("b", 5), gone("c", 0)]);
    assert!(!changes.list_again);
    expect_nothing(&mut client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_could_watch_before_is_sent_that_it_is_gone_and_nothing_of_it() {
    let hall = hall().await;
    let room = hall.core.conversation();
    hall.core.with(room, |log| log.denied.insert(2));
    let mut stays = hall.client(1).await;
    let mut leaves = hall.client(2).await;
    let changed = for_room(room, change("a", 4));
    hall.core.control(Concern { before: vec![Audience::default()], ..changed });
    assert_eq!(next_changes(&mut stays).await.changed, [change("a", 4)]);
    assert_eq!(next_changes(&mut leaves).await.changed, [gone("a", 4)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_that_an_event_names_are_sent_it_without_a_question() {
    let hall = hall().await;
    let mut one = hall.client(1).await;
    let mut two = hall.client(2).await;
    let mut other = hall.client(3).await;
    // Of the same thing: one has left it, the other sees the change. Neither is sent what is the other's.
    hall.core.control_at_once([for_people(&[1, 2], change("a", 1)), for_people(&[1], gone("a", 2)), for_people(&[2], change("a", 2))]);
    assert_eq!(next_changes(&mut one).await.changed, [gone("a", 2)]);
    assert_eq!(next_changes(&mut two).await.changed, [change("a", 2)]);
    expect_nothing(&mut other).await;
    hall.core.control(for_people(&[2], Change { urgent: true, ..change("b", 1) }));
    assert_eq!(next_changes(&mut two).await.changed, [Change { urgent: true, ..change("b", 1) }]);
    expect_nothing(&mut one).await;
    assert_eq!(hall.core.audiences.load(Ordering::Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_by_name_and_by_an_audience_is_one_change() {
    let hall = hall().await;
    let room = hall.core.conversation();
    let mut named = hall.client(1).await;
    let mut other = hall.client(2).await;
    hall.core.control_at_once([for_people(&[1], change("a", 3)), for_room(room, change("a", 2)), for_people(&[1], change("b", 1))]);
    assert_eq!(next_changes(&mut named).await.changed, [change("a", 3), change("b", 1)]);
    assert_eq!(next_changes(&mut other).await.changed, [change("a", 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_changed_as_a_whole_are_listed_again() {
    let hall = hall().await;
    let mut one = hall.client(1).await;
    let mut two = hall.client(2).await;
    let again = Changes { list_again: true, spread_ms: 20_000, ..Changes::default() };
    hall.core.control(Concern { people: vec![1], lists: true, rights: true, ..Concern::default() });
    assert_eq!(next_changes(&mut one).await, again);
    expect_nothing(&mut two).await;
    hall.core.control(Concern { lists: true, rights: true, ..Concern::default() });
    for client in [&mut one, &mut two] {
        assert_eq!(next_changes(client).await, again);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_can_be_listed_is_listed_again() {
    let hall = hall().await;
    let room = hall.core.conversation();
    let mut one = hall.client(1).await;
    let mut two = hall.client(2).await;
    hall.core.control_at_once((0..65).map(|number| for_people(&[1], change(&number.to_string(), 1))));
    assert!(next_changes(&mut one).await.list_again);
    expect_nothing(&mut two).await;
    hall.core.control_at_once((0..64).map(|number| for_room(room, change(&number.to_string(), 1))));
    assert_eq!(next_changes(&mut two).await.changed.len(), 64);
    assert_eq!(next_changes(&mut one).await.changed.len(), 64);
    hall.core.control_at_once((0..65).map(|number| for_room(room, change(&number.to_string(), 1))));
    assert!(next_changes(&mut two).await.list_again);
    assert!(next_changes(&mut one).await.list_again);
    // Few, and too large for a frame.
    let large = |number: usize| for_people(&[1], Change { id: format!("{number} {}", "x".repeat(2_000)), ..change("", 1) });
    hall.core.control_at_once((0..60).map(large));
    assert!(next_changes(&mut one).await.list_again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_says_whom_it_concerns_people_look_for_themselves() {
    let hall = hall().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    hall.core.deaf.store(true, Ordering::Relaxed);
    hall.core.control(for_room(room, Change { urgent: true, ..change("a", 1) }));
    let changes = next_changes(&mut client).await;
    assert!(changes.list_again && changes.changed.is_empty());
}
