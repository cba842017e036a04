//! The wire itself: hostile frames, sockets that do not read, control frames between.

use std::time::Duration;

use futures::SinkExt as _;
use proto::{CloseCode, Subprotocol, v1::sign_in::Credential};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{Hall, client::WITHIN, core::comment};

/// An upgraded connection, and nothing else.
async fn raw(hall: &Hall) -> TcpStream {
    let mut stream = TcpStream::connect(hall.address).await.unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: yitang.v1.json\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            frame.push(0xFE);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0xFF);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Reads until the connection ends; gives the codes of the Close frames.
async fn closes(stream: &mut TcpStream) -> Vec<u16> {
    let mut all = Vec::new();
    let _ = timeout(WITHIN, stream.read_to_end(&mut all)).await.expect("the connection ends");
    let mut codes = Vec::new();
    let mut rest = &all[..];
    while rest.len() >= 2 {
        let (header, length) = match rest[1] {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            length => (2, usize::from(length)),
        };
        if rest[0] == 0x88 {
            codes.push(u16::from_be_bytes([rest[header], rest[header + 1]]));
        }
        rest = &rest[header + length..];
    }
    assert!(rest.is_empty(), "a frame was cut: {rest:x?}");
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_frames_get_one_close_with_the_right_code_and_nobody_else_is_harmed() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut bystander = hall.client(1).await;
    bystander.subscribe(room, None, 0).await.unwrap();
    let table: Vec<(Vec<u8>, CloseCode)> = vec![
        (vec![0x81, 1, b'x'], CloseCode::Protocol),
        (masked(0xC1, b"x"), CloseCode::Protocol),
        (masked(0x83, b"x"), CloseCode::Protocol),
        (masked(0x80, b"x"), CloseCode::Protocol),
        (masked(0x09, b"x"), CloseCode::Protocol),
        (masked(0x88, b"x"), CloseCode::Protocol),
        (masked(0x81, &[0xFF, 0xFE]), CloseCode::NotUtf8),
        (masked(0x81, &vec![b'x'; 70_000]), CloseCode::TooBig),
        (masked(0x82, b"{}"), CloseCode::Malformed),
        (masked(0x81, b"{}"), CloseCode::Malformed),
        (masked(0x81, br#"{"id":1,"ping":{}}"#), CloseCode::SignInExpected),
    ];
    for (bytes, code) in table {
        let mut stream = raw(&hall).await;
        // It may be closed before all is written.
        let _ = stream.write_all(&bytes).await;
        assert_eq!(closes(&mut stream).await, [code.code()], "{:x?}", &bytes[..bytes.len().min(10)]);
    }
    // Headers that announce much and bring nothing.
    let mut slow = raw(&hall).await;
    slow.write_all(&[0x81, 0xFF, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(closes(&mut slow).await, [CloseCode::TooBig.code()]);
    hall.core.append(room, 1, comment("still here")).await;
    bystander.events(room, 0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_is_answered_with_one_close() {
    let hall = Hall::start().await;
    let mut stream = raw(&hall).await;
    stream.write_all(&masked(0x88, &1_000_u16.to_be_bytes())).await.unwrap();
    assert_eq!(closes(&mut stream).await, [1_000]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ping_is_answered_before_signing_in() {
    let hall = Hall::start().await;
    let mut stream = raw(&hall).await;
    stream.write_all(&masked(0x89, b"abc")).await.unwrap();
    let mut pong = [0; 5];
    timeout(WITHIN, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong, b"\x8a\x03abc");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_nothing_but_ping_is_let_go() {
    let hall = Hall::with(|options| options.hub.cores = 1).await;
    let room = hall.core.conversation();
    let mut viewer = hall.client(2).await;
    viewer.subscribe(room, None, 0).await.unwrap();
    let mut before = raw(&hall).await;
    let mut after = hall.client(1).await;
    let pings: Vec<u8> = (0..20_000).flat_map(|_| masked(0x89, b"")).collect();
    let flood = tokio::spawn(async move {
        let _ = before.write_all(&pings).await;
        closes(&mut before).await
    });
    hall.core.append(room, 3, comment("meanwhile")).await;
    viewer.events(room, 0, 1).await;
    assert_eq!(flood.await.unwrap(), [CloseCode::Flooding.code()]);
    for _ in 0..2_000 {
        if after.socket.send(Message::Ping(bytes::Bytes::new())).await.is_err() {
            break;
        }
    }
    assert_eq!(after.closed().await, Some(CloseCode::Flooding.code()));
    hall.core.append(room, 3, comment("afterwards")).await;
    viewer.events(room, 1, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_socket_can_slow_another() {
    let hall = Hall::with(|options| options.hub.outbox_bytes = 1024 * 1024).await;
    let room = hall.core.conversation();
    let mut slow = hall.client(1).await;
    let position = slow.subscribe(room, None, 0).await.unwrap().position.unwrap();
    let mut quick = hall.client(2).await;
    quick.subscribe(room, None, 0).await.unwrap();
    let text = "x".repeat(8_000);
    let core = hall.core.clone();
    let flood = tokio::spawn(async move {
        for _ in 0..2_000 {
            core.append(room, 3, comment(&text)).await;
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
    });
    let events = quick.events(room, 0, 2_000).await;
    assert_eq!(events.len(), 2_000);
    flood.await.unwrap();
    // What was in the kernel comes whole and in order, then SLOW, which invites to come back.
    let code = slow.closed().await.unwrap();
    assert_eq!(code, CloseCode::Slow.code());
    assert!(CloseCode::Slow.invites_reconnect());
    let mut again = hall.connect(Subprotocol::Proto).await;
    let ticket = hall.core.ticket(1, "session-1", "");
    again.sign_in(Credential::Ticket(ticket), vec![position]).await;
    assert!(again.answer(0).await.is_ok());
}
