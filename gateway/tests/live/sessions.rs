//! Sessions: order of posts, bounds, draining, heartbeats.

use std::sync::atomic::Ordering;

use gateway::Placement;
use proto::{
    CloseCode, Subprotocol,
    v1::{ClientFrame, RefusalCode, client_frame, server_frame},
};
use tokio::task::LocalSet;
use uuid::Uuid;

use crate::{
    Hall,
    core::{Core, comment},
    lossy::Lossy,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_posts_of_one_socket_stand_in_the_order_they_were_sent() {
    let hall = Hall::with(|options| options.hub.posts_waiting = 128).await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    for number in 0..100 {
        client.post(room, &number.to_string()).await;
    }
    let events = client.events(room, 0, 100).await;
    for (number, event) in events.iter().enumerate() {
        assert!(matches!(&event.kind, Some(proto::v1::event::Kind::Comment(said)) if said.text == number.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_posts_are_refused_and_told_when_to_come_again() {
    let hall = Hall::with(|options| options.hub.posts_waiting = 4).await;
    hall.core.submit_ms.store(300, Ordering::Relaxed);
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    for number in 0..20 {
        client.post(room, &number.to_string()).await;
    }
    let refusal = client.wait(refusal).await;
    assert_eq!(refusal.code(), RefusalCode::RateLimited);
    assert!(refusal.retry_after_ms > 0);
}

fn refusal(frame: &proto::v1::ServerFrame) -> Option<proto::v1::Refusal> {
    match &frame.frame {
        Some(server_frame::Frame::Refusal(refusal)) => Some(refusal.clone()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_finishes_receipts_in_flight() {
    drain(Hall::start().await).await;
}

#[tokio::test]
async fn so_does_draining_a_gateway_of_one_thread() {
    let backbone = Lossy::new();
    let hall = Hall::at(Placement::ThisThread, Core::new(backbone.clone()), backbone, None, |_| {});
    LocalSet::new().run_until(async { drain(hall.await).await }).await;
}

async fn drain(hall: Hall) {
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    hall.core.submit_ms.store(700, Ordering::Relaxed);
    let id = client.post(room, "on its way").await;
    client.events(room, 0, 1).await;
    let gateway = hall.gateway.clone();
    let draining = tokio::spawn(async move { gateway.drain().await });
    let (mut receipt, mut retry) = (false, false);
    let code = loop {
        match client.next().await {
            Ok(frame) => match frame.frame {
                Some(server_frame::Frame::Receipt(_)) if frame.re == id => receipt = true,
                Some(server_frame::Frame::Retry(_)) => retry = true,
                _ => {}
            },
            Err(close) => break close.map(|close| u16::from(close.code)),
        }
    };
    assert!(receipt && retry, "receipt {receipt}, retry {retry}");
    assert_eq!(code, Some(CloseCode::Draining.code()));
    draining.await.unwrap();
    assert!(!hall.gateway.ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_else_goes_the_tops_are_told() {
    let hall = Hall::with(|options| options.hub.heartbeat_ms = 1_500).await;
    let room = hall.core.conversation();
    hall.core.commit(room, 1, comment("one"));
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    for _ in 0..2 {
        let top = client
            .wait(|frame| match &frame.frame {
                Some(server_frame::Frame::Tops(tops)) => Some(tops.tops[0].clone()),
                _ => None,
            })
            .await;
        let position = top.position.unwrap();
        assert_eq!((position.conversation, position.seq, top.mseq), (room.to_string(), 1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_opens_without_a_word_are_closed_in_time() {
    let hall = Hall::with(|options| {
        options.hub.sign_in_ms = 800;
        options.hub.unsigned_most = 20;
    })
    .await;
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(hall.connect(Subprotocol::Proto).await);
    }
    let mut codes = Vec::new();
    for client in &mut clients {
        codes.push(client.closed().await.unwrap());
    }
    assert!(codes.contains(&CloseCode::Overloaded.code()), "more than may wait are turned away at once");
    assert!(codes.contains(&CloseCode::SignInTimeout.code()));
    assert!(codes.iter().all(|code| [CloseCode::Overloaded.code(), CloseCode::SignInTimeout.code()].contains(code)));
    hall.client(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_move_forward_and_pages_need_the_right_to_watch() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    hall.core.commit(room, 2, comment("one"));
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    let mark = proto::v1::MarkRead { conversation: room.to_string(), mseq: 1 };
    let id = client.send(client_frame::Frame::MarkRead(mark)).await;
    let moved = client
        .wait(|frame| match &frame.frame {
            Some(server_frame::Frame::ReadMoved(moved)) if frame.re == id => Some(moved.mseq),
            _ => None,
        })
        .await;
    assert_eq!(moved, 1);
    let closed = hall.core.conversation();
    hall.core.with(closed, |log| log.denied.insert(1));
    for room in [closed, Uuid::now_v7()] {
        let asked = proto::v1::PageRequest {
            conversation: room.to_string(),
            r#where: Some(proto::v1::page_request::Where::Before(0)),
            ..proto::v1::PageRequest::default()
        };
        let id = client.send(client_frame::Frame::Page(asked)).await;
        let code = client.wait(|frame| refusal(frame).filter(|_| frame.re == id)).await.code();
        assert!(matches!(code, RefusalCode::Forbidden | RefusalCode::NotFound), "{code:?}");
        assert!(client.subscribe(room, None, 0).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_cannot_be_understood_is_refused_and_many_end_the_socket() {
    let hall = Hall::start().await;
    let (mut client, _) = hall.signed_in(1, Subprotocol::Json).await;
    use futures::SinkExt as _;
    use tokio_tungstenite::tungstenite::Message;
    client.socket.send(Message::text(r#"{"id":7,"ping":{},"surprise":1}"#)).await.unwrap();
    assert_eq!(client.wait(refusal).await.code(), RefusalCode::Malformed);
    for _ in 0..20 {
        if client.socket.send(Message::text("{")).await.is_err() {
            break;
        }
    }
    assert_eq!(client.closed().await, Some(CloseCode::Malformed.code()));

    let (mut proto, _) = hall.signed_in(2, Subprotocol::Proto).await;
    let mut bytes =
        Subprotocol::Proto.encode_client(&ClientFrame { id: 9, frame: Some(client_frame::Frame::Ping(proto::v1::Ping {})) }).to_vec();
    bytes.extend([0xF8, 0x07, 1]);
    proto.socket.send(Message::binary(bytes)).await.unwrap();
    proto.wait(|frame| matches!(frame.frame, Some(server_frame::Frame::Pong(_))).then_some(())).await;
}
