//! Coming into rooms while much is on its way: nobody is SLOW for it, and nobody is deaf after it.

use std::sync::atomic::Ordering;

use proto::{
    Subprotocol,
    v1::{Verdict, sign_in::Credential},
};
use testkit::eventually;
use uuid::Uuid;

use crate::{
    Hall,
    client::{Client, WITHIN},
    core::comment,
    rooms::at,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resuming_many_rooms_at_once_never_ends_in_slow() {
    let hall = Hall::with(|options| options.hub.cores = 1).await;
    let mut positions = Vec::new();
    for _ in 0..20 {
        let room = hall.core.conversation();
        for _ in 0..110 {
            hall.core.commit(room, 1, comment(&"x".repeat(8_000)));
        }
        positions.extend(at(room, 7, 1));
    }
    let mut client = hall.connect(Subprotocol::Proto).await;
    let ticket = hall.core.ticket(1, "s", "");
    client.sign_in(Credential::Ticket(ticket), positions.clone()).await;
    // It reads nothing before all of its rooms have answered: seventeen megabytes are on their way to it. Rooms and the core
    // answer in order, so that whoever asks after it has its answers after it.
    let asked = || async { (hall.core.watches.load(Ordering::Relaxed) >= positions.len()).then_some(()) };
    eventually(WITHIN, "its rooms are asked for", asked).await;
    let mut after = hall.client(2).await;
    for position in &positions {
        after.subscribe(Uuid::try_parse(&position.conversation).unwrap(), None, 0).await.unwrap();
    }
    let (mut resumed, mut gaps) = (0, 0);
    for _ in &positions {
        let subscribed = client.answer(0).await.unwrap();
        let position = subscribed.position.clone().unwrap();
        match subscribed.verdict() {
            Verdict::Resumed => {
                resumed += 1;
                client.events(Uuid::try_parse(&position.conversation).unwrap(), 1, 110).await;
            }
            Verdict::Gap => {
                gaps += 1;
                assert_eq!(position.seq, 110);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(resumed > 0 && gaps > 0, "{resumed} resumed, {gaps} page");
    for position in positions {
        let room = Uuid::try_parse(&position.conversation).unwrap();
        hall.core.append(room, 1, comment("live")).await;
        client.events(room, 110, 111).await;
    }
}

/// It is counted out for the first answer and for the second: what comes then must reach it all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_asked_for_twice_with_much_on_its_way_is_still_heard() {
    let hall = Hall::with(|options| options.hub.outbox_bytes = 1 << 20).await;
    let room = hall.core.conversation();
    for _ in 0..60 {
        hall.core.commit(room, 2, comment(&"x".repeat(8_000)));
    }
    // Its window is so small that nearly all of the first answer waits in the gateway when the second is made.
    let line = tokio::net::TcpSocket::new_v4().unwrap();
    line.set_recv_buffer_size(4_096).unwrap();
    line.set_nodelay(true).unwrap();
    let line = line.connect(hall.address).await.unwrap();
    let mut client = Client::over(Box::new(line), hall.address, Subprotocol::Proto, "").await.unwrap();
    let ticket = hall.core.ticket(1, "s", "");
    client.sign_in(Credential::Ticket(ticket), Vec::new()).await;
    // And the room opens slowly, so that neither is in it when the other asks.
    hall.backbone.cut(true);
    let asked = || proto::v1::Subscribe { conversation: room.to_string(), after: at(room, 7, 1), tail: 0 };
    let first = client.send(proto::v1::client_frame::Frame::Subscribe(asked())).await;
    let second = client.send(proto::v1::client_frame::Frame::Subscribe(asked())).await;
    let asked = || async { (hall.core.watches.load(Ordering::Relaxed) >= 2).then_some(()) };
    eventually(WITHIN, "it was asked for twice", asked).await;
    hall.backbone.cut(false);
    assert_eq!(client.answer(first).await.unwrap().verdict(), Verdict::Resumed);
    assert_eq!(client.answer(second).await.unwrap().verdict(), Verdict::Gap, "the second did not fit beside the first");
    client.events(room, 1, 60).await;
    for number in 61..=63 {
        hall.core.append(room, 2, comment("live")).await;
        client.events(room, number - 1, number).await;
    }
}
