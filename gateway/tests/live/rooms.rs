//! Rooms: each event once, in order, none missing; positions and their verdicts; what the backbone loses is made up for.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::{
    Subprotocol,
    internal::v1::Announcement,
    v1::{Capability, Hide, Position, RefusalCode, Verdict, event::Kind, server_frame, sign_in::Credential, state::State},
};
use testkit::eventually;
use uuid::Uuid;

use crate::{
    Hall,
    client::{Client, WITHIN},
    core::comment,
};

pub fn at(room: Uuid, epoch: u32, seq: u64) -> Option<Position> {
    Some(Position { conversation: room.to_string(), epoch, seq })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_reaches_every_screen_in_both_subprotocols() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut author = hall.client(1).await;
    let (mut json, _) = hall.signed_in(2, Subprotocol::Json).await;
    for client in [&mut author, &mut json] {
        let subscribed = client.subscribe(room, None, 10).await.unwrap();
        assert_eq!((subscribed.verdict(), subscribed.position.unwrap().seq), (Verdict::Fresh, 0));
    }
    let id = author.post(room, "你好").await;
    let receipt = author
        .wait(|frame| match &frame.frame {
            Some(server_frame::Frame::Receipt(receipt)) if frame.re == id => Some(receipt.clone()),
            _ => None,
        })
        .await;
    assert_eq!(receipt.position.unwrap().seq, 1);
    for client in [&mut author, &mut json] {
        let events = client.events(room, 0, 1).await;
        assert!(matches!(&events[0].kind, Some(Kind::Comment(said)) if said.text == "你好"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_position_has_an_immediate_verdict() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    for number in 1..=500 {
        hall.core.commit(room, 1, comment(&format!("{number} {}", "x".repeat(4_000))));
    }
    let mut client = hall.client(2).await;
    let fresh = client.subscribe(room, None, 20).await.unwrap();
    assert_eq!((fresh.verdict(), fresh.position.unwrap().seq, fresh.head_seq), (Verdict::Fresh, 500, 500));
    let tail = fresh.tail.unwrap();
    assert_eq!(tail.events.iter().map(|event| event.seq).collect::<Vec<_>>(), (481..=500).collect::<Vec<_>>());
    assert!(tail.complete_after && !tail.complete_before);

    let resumed = client.subscribe(room, at(room, 7, 450), 0).await.unwrap();
    assert_eq!((resumed.verdict(), resumed.position.unwrap().seq), (Verdict::Resumed, 450));
    client.events(room, 450, 500).await;

    let gap = client.subscribe(room, at(room, 7, 3), 0).await.unwrap();
    assert_eq!((gap.verdict(), gap.position.unwrap().seq), (Verdict::Gap, 500), "two megabytes are paged, not replayed");

    let beyond = client.subscribe(room, at(room, 7, 501), 5).await.unwrap();
    assert_eq!((beyond.verdict(), beyond.reason.unwrap().code()), (Verdict::Reset, RefusalCode::PositionBeyondHead));
    assert_eq!(beyond.tail.unwrap().events.len(), 5);

    let other = client.subscribe(room, at(room, 8, 3), 0).await.unwrap();
    assert_eq!((other.verdict(), other.reason.unwrap().code()), (Verdict::Reset, RefusalCode::EpochChanged));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn head_before_subscription_loses_no_events() {
    let hall = Hall::start().await;
    for _ in 0..10 {
        let room = hall.core.conversation();
        let core = hall.core.clone();
        let saying = tokio::spawn(async move {
            for number in 0..200 {
                core.append(room, 1, comment(&number.to_string())).await;
                tokio::task::yield_now().await;
            }
        });
        let mut client = hall.client(2).await;
        let subscribed = client.subscribe(room, None, 0).await.unwrap();
        client.events(room, subscribed.position.unwrap().seq, 200).await;
        saying.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_gathered_into_windows_and_nothing_is_lost() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut clients: Vec<Client> = Vec::new();
    for person in 1..=8 {
        let subprotocol = if person % 4 == 0 { Subprotocol::Json } else { Subprotocol::Proto };
        let mut client = hall.connect(subprotocol).await;
        if person % 2 == 0 {
            client.capabilities = vec![Capability::DeflateRaw.into()];
        }
        let ticket = hall.core.ticket(person, &format!("session-{person}"), "");
        client.sign_in(Credential::Ticket(ticket), Vec::new()).await;
        client.subscribe(room, None, 0).await.unwrap();
        clients.push(client);
    }
    for number in 0..2_000 {
        hall.core.append(room, 1, comment(&number.to_string())).await;
        if number % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for (person, client) in (1..).zip(&mut clients) {
        client.events(room, 0, 2_000).await;
        assert_eq!(client.deflated > 0, person % 2 == 0 && person % 4 != 0, "deflated for those who said so, and not in JSON");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_a_hole_ends_with_one_page() {
    let hall = Hall::with(|options| options.hub.repair_ms = 60_000).await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    let reads = hall.core.reads.load(Ordering::Relaxed);
    let mut later = Vec::new();
    for number in 1..=10 {
        let announcement = hall.core.commit(room, 2, comment(&number.to_string()));
        if number != 4 {
            later.push(announcement);
        }
    }
    later.reverse();
    for announcement in later {
        hall.core.announce(room, announcement).await;
    }
    client.events(room, 0, 10).await;
    assert!(hall.core.reads.load(Ordering::Relaxed) - reads <= 1, "one page for one hole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_nowhere_is_looked_for_less_and_less_often() {
    let hall = Hall::with(|options| options.hub.repair_ms = 60_000).await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    let announced = hall.core.commit(room, 2, comment("taken back"));
    hall.core.with(room, |log| log.events.clear());
    let reads = hall.core.reads.load(Ordering::Relaxed);
    hall.core.announce(room, Announcement { events: Vec::new(), ..announced }).await;
    let started = Instant::now();
    let looked = || async { (hall.core.reads.load(Ordering::Relaxed) >= reads + 5).then_some(()) };
    eventually(WITHIN, "it is looked for five times", looked).await;
    // 50 ms apart it would take a quarter of a second.
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    hall.core.commit(room, 2, comment("there it is"));
    client.events(room, 0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_backbone_loses_silently_is_found_by_comparing_heads() {
    let hall = Hall::with(|options| options.hub.repair_ms = 300).await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    hall.backbone.loses_next.store(true, Ordering::Release);
    hall.core.append(room, 2, comment("lost on its way")).await;
    client.events(room, 0, 1).await;
}

/// A commit that took effect long after the time it carries: no comparison by time finds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_watermark_reaches_is_found_by_name() {
    let hall = Hall::with(|options| options.hub.repair_ms = 50).await;
    let rooms: Vec<Uuid> = (0..30).map(|_| hall.core.conversation()).collect();
    let mut client = hall.client(1).await;
    for room in &rooms {
        client.subscribe(*room, None, 0).await.unwrap();
    }
    hall.core.late.store(true, Ordering::Release);
    for room in [rooms[0], rooms[29]] {
        hall.core.commit(room, 2, comment("late"));
        client.events(room, 0, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_gone_is_not_a_message_gone() {
    let hall = Hall::with(|options| options.hub.repair_ms = 60_000).await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    hall.core.append(room, 2, comment("before")).await;
    client.events(room, 0, 1).await;
    hall.backbone.cut(true);
    for number in 2..=40 {
        hall.core.append(room, 2, comment(&number.to_string())).await;
    }
    client.events(room, 1, 40).await;
    // A room that nobody here followed yet opens without the backbone too.
    let other = hall.core.conversation();
    hall.core.append(other, 2, comment("already there")).await;
    assert_eq!(client.subscribe(other, None, 10).await.unwrap().tail.unwrap().events.len(), 1);
    hall.core.append(other, 2, comment("later")).await;
    client.events(other, 1, 2).await;
    hall.backbone.cut(false);
    hall.core.append(room, 2, comment("after")).await;
    client.events(room, 40, 41).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_comparison_of_heads_hides_nothing_that_came_before_it() {
    let hall = Hall::with(|options| options.hub.repair_ms = 60_000).await;
    hall.backbone.cut(true);
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    hall.core.append(room, 2, comment("at once")).await;
    client.events(room, 0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ring_leaks_no_hidden_text() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    for number in 1..=20 {
        hall.core.append(room, 2, comment(&format!("secret {number}"))).await;
    }
    client.events(room, 0, 20).await;
    hall.core.append(room, 9, Kind::Hide(Hide { target: 10, reason: String::new() })).await;
    client.events(room, 20, 21).await;
    let mut other = hall.client(3).await;
    other.subscribe(room, at(room, 7, 5), 0).await.unwrap();
    let seen = format!("{:?}", other.events(room, 5, 21).await);
    assert!(seen.contains("secret 9") && !seen.contains("secret 10\""), "{seen}");
    let tail = format!("{:?}", other.subscribe(room, None, 100).await.unwrap().tail);
    assert!(tail.contains("secret 9") && !tail.contains("secret 10\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_from_backup_resets_every_screen() {
    let hall = Hall::with(|options| options.hub.repair_ms = 200).await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    for number in 1..=5 {
        hall.core.append(room, 2, comment(&number.to_string())).await;
    }
    client.events(room, 0, 5).await;
    hall.core.with(room, |log| {
        log.epoch = 8;
        log.events.truncate(3);
    });
    let reset = client.answer(0).await.unwrap();
    assert_eq!((reset.verdict(), reset.reason.clone().unwrap().code()), (Verdict::Reset, RefusalCode::EpochChanged));
    let position = reset.position.unwrap();
    assert_eq!((position.epoch, position.seq), (8, 3));
    hall.core.append(room, 2, comment("goes on")).await;
    client.events(room, 3, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_reconnects_are_few_reads_of_the_database() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    for number in 1..=2_000 {
        hall.core.commit(room, 1, comment(&number.to_string()));
    }
    let mut clients = Vec::new();
    for person in 1..=50 {
        clients.push(hall.client(person).await);
    }
    let reads = hall.core.reads.load(Ordering::Relaxed);
    for (number, client) in clients.iter_mut().enumerate() {
        let after = 700 + number as u64;
        let resumed = client.subscribe(room, at(room, 7, after), 0).await.unwrap();
        assert_eq!(resumed.verdict(), Verdict::Resumed, "after {after}");
        client.events(room, after, 2_000).await;
    }
    let reads = hall.core.reads.load(Ordering::Relaxed) - reads;
    assert!(reads <= 10, "{reads} reads for 50 reconnects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_resumes_in_a_flood_costs_no_frames_beyond_the_windows() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut watcher = hall.client(1).await;
    watcher.subscribe(room, None, 0).await.unwrap();
    let mut clients = Vec::new();
    for person in 2..=60 {
        clients.push(hall.client(person).await);
    }
    let core = hall.core.clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let flood = tokio::spawn(async move {
        let (mut number, started) = (0, Instant::now());
        while stopped.is_empty() {
            number += 1;
            core.append(room, 1, comment(&number.to_string())).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (number, started.elapsed())
    });
    for client in &mut clients {
        let subscribed = client.subscribe(room, None, 5).await.unwrap();
        client.events(room, subscribed.position.unwrap().seq, subscribed.head_seq + 1).await;
    }
    stop.send(()).unwrap();
    let (said, took) = flood.await.unwrap();
    let mut batches = 0;
    let mut seen = 0;
    while seen < said {
        let (first, count) = watcher
            .wait(|frame| match &frame.frame {
                Some(server_frame::Frame::Batch(batch)) => Some((batch.first_seq, u64::from(batch.count))),
                _ => None,
            })
            .await;
        assert_eq!(first, seen + 1);
        (seen, batches) = (seen + count, batches + 1);
    }
    let most = took.as_millis() / 50 + 10;
    assert!(batches <= most, "{batches} frames for {said} events in {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_stay_below_256_kib_whatever_the_texts() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    for _ in 0..150 {
        hall.core.commit(room, 1, comment(&"\"".repeat(8_000)));
    }
    for subprotocol in [Subprotocol::Proto, Subprotocol::Json] {
        let (mut client, _) = hall.signed_in(2, subprotocol).await;
        let subscribed = client.subscribe(room, None, 100).await.unwrap();
        assert!(subprotocol.encode(&wrap(server_frame::Frame::Subscribed(subscribed.clone()))).len() <= proto::limits::FRAME_OUT_BYTES);
        let tail = subscribed.tail.unwrap();
        assert_eq!(tail.events.last().unwrap().seq, 150);
        assert!(!tail.complete_before);
        for (place, first, last) in
            [(proto::v1::page_request::Where::Before(0), None, Some(150)), (proto::v1::page_request::Where::After(3), Some(4), None)]
        {
            let asked = proto::v1::PageRequest { conversation: room.to_string(), epoch: 7, r#where: Some(place), limit: 100 };
            let id = client.send(proto::v1::client_frame::Frame::Page(asked)).await;
            let page = client
                .wait(|frame| match &frame.frame {
                    Some(server_frame::Frame::Page(page)) if frame.re == id => Some(page.clone()),
                    _ => None,
                })
                .await;
            assert!(subprotocol.encode(&wrap(server_frame::Frame::Page(page.clone()))).len() <= proto::limits::FRAME_OUT_BYTES);
            assert!(first.is_none_or(|seq| page.events[0].seq == seq));
            assert!(last.is_none_or(|seq| page.events.last().unwrap().seq == seq));
            assert!(!(page.complete_before && page.complete_after));
        }
    }
}

fn wrap(frame: server_frame::Frame) -> proto::v1::ServerFrame {
    proto::v1::ServerFrame { re: 9, frame: Some(frame) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_room_tells_its_state_and_who_is_writing() {
    let hall = Hall::with(|options| options.hub.state_ms = 50).await;
    let room = hall.core.conversation();
    let mut one = hall.client(1).await;
    let mut two = hall.client(2).await;
    one.subscribe(room, None, 0).await.unwrap();
    two.subscribe(room, None, 0).await.unwrap();
    let people = |people: u32| {
        move |frame: &proto::v1::ServerFrame| match &frame.frame {
            Some(server_frame::Frame::State(state)) => match &state.state {
                Some(State::Room(told)) if told.people_here == people => Some(told.complete),
                _ => None,
            },
            _ => None,
        }
    };
    assert!(!one.wait(people(2)).await, "without presence the count is marked incomplete");
    two.send(proto::v1::client_frame::Frame::Typing(proto::v1::Typing { conversation: room.to_string() })).await;
    one.wait(|frame| match &frame.frame {
        Some(server_frame::Frame::State(state)) => match &state.state {
            Some(State::Typing(typing)) if typing.people == [2] => Some(()),
            _ => None,
        },
        _ => None,
    })
    .await;
    two.socket.close(None).await.unwrap();
    one.wait(people(1)).await;
}

/// Events in each frame that came to a screen, when three were announced together.
async fn frames_of_three(hall: &Hall, subprotocol: Subprotocol) -> Vec<usize> {
    let room = hall.core.conversation();
    let (mut client, _) = hall.signed_in(2, subprotocol).await;
    client.subscribe(room, None, 0).await.unwrap();
    let mut together = hall.core.commit(room, 1, comment("one"));
    for text in ["two", "three"] {
        let next = hall.core.commit(room, 1, comment(text));
        together.head = next.head;
        together.events.extend(next.events);
    }
    hall.core.announce(room, together).await;
    let mut frames = Vec::new();
    while frames.iter().sum::<usize>() < 3 {
        let seen = frames.iter().sum::<usize>() as u64;
        let batch =
            client.wait(|frame| if let Some(server_frame::Frame::Batch(batch)) = &frame.frame { Some(batch.clone()) } else { None });
        let batch = batch.await;
        assert_eq!(batch.first_seq, seen + 1);
        frames.push(batch.count as usize);
    }
    frames
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_together_is_one_frame_or_with_no_window_one_each() {
    let (gathering, one_by_one) = (Hall::start().await, Hall::with(|options| options.hub.window_ms = 0).await);
    for subprotocol in [Subprotocol::Proto, Subprotocol::Json] {
        assert_eq!(frames_of_three(&gathering, subprotocol).await, [3]);
        assert_eq!(frames_of_three(&one_by_one, subprotocol).await, [1, 1, 1]);
    }
}
