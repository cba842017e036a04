//! Hostile input to the real executable: a clear refusal each, bounded memory, and the good clients hardly feel it.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use common::{SOON, Socket, field};
use proto::{
    CloseCode, Subprotocol,
    v1::{
        Comment, ConsultationState, ListConsultationsRequest, Position, Post, RefusalCode, SetConsultationStateRequest, SignIn, Subscribe,
        client_frame, consultation_service_client::ConsultationServiceClient, post::Content, server_frame, sign_in::Credential,
    },
};
use testkit::{Child, free_port};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

/// One `yitang all` as a process of its own, so that its memory is its own too.
struct Running {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_yitang"));
        command
            .args(["all", "--demo", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(folder.path())
            .args(["--set", &format!("listen.gateway_admin=127.0.0.1:{}", free_port())]);
        let child = Child::start(command, "yitang");
        let address = ([127, 0, 0, 1], port).into();
        testkit::eventually(Duration::from_secs(60), "the service listens", || async { TcpStream::connect(address).await.ok() }).await;
        Self { child, address, _folder: folder }
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    async fn http(&self, path: &str, token: &str, body: String) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let bearer = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\n{bearer}content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn sign_in(&self, login: &str) -> String {
        let body = format!(r#"{{"login":"{login}","password":"{}","token":true}}"#, chat_core::seed::PASSWORD);
        field(&self.http("/api/v1/sign-in", "", body).await, "token")
    }

    async fn ticket(&self, token: &str) -> String {
        field(&self.http("/api/v1/ticket", token, String::new()).await, "ticket")
    }

    async fn socket(&self, token: &str, subprotocol: Subprotocol) -> Socket {
        let ticket = self.ticket(token).await;
        let mut socket = Socket::connect(self.address, subprotocol, None).await.unwrap();
        socket.sign_in(Credential::Ticket(ticket)).await;
        socket
    }

    async fn open(&self, token: &str) -> String {
        let mut consultations = self.consultations().await;
        let mut request = tonic::Request::new(ListConsultationsRequest::default());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let listed = consultations.list_consultations(request).await.unwrap().into_inner().consultations;
        listed.into_iter().find(|one| one.may_post).expect("an open consultation").id
    }

    async fn consultations(&self) -> ConsultationServiceClient<tonic::transport::Channel> {
        let uri = format!("http://{}", self.address);
        ConsultationServiceClient::new(tonic::transport::Channel::from_shared(uri).unwrap().connect().await.unwrap())
    }

    /// A socket with the upgrade done by hand, to write on it what no library would.
    async fn raw(&self, subprotocol: Subprotocol) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(upgrade(self.address, subprotocol).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
        stream
    }
}

fn upgrade(address: SocketAddr, subprotocol: Subprotocol) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nhost: {address}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: {}\r\n\r\n",
        subprotocol.name()
    )
}

fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    // A mask of zeros leaves the payload as it is.
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The code of the Close that comes, whatever comes before it.
async fn close_code(stream: &mut TcpStream) -> u16 {
    let read = async {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        bytes
    };
    let bytes = tokio::time::timeout(SOON, read).await.expect("closed in time");
    let mut rest = bytes.as_slice();
    while rest.len() >= 4 {
        let (length, header) = match rest[1] & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
            length => (usize::from(length), 2),
        };
        if rest[0] & 0x0f == 8 {
            return u16::from_be_bytes([rest[header], rest[header + 1]]);
        }
        rest = &rest[(header + length).min(rest.len())..];
    }
    panic!("no Close in {bytes:x?}")
}

fn comment(conversation: &str, text: &str) -> client_frame::Frame {
    client_frame::Frame::Post(Post {
        conversation: conversation.to_owned(),
        client_id: uuid::Uuid::now_v7().to_string(),
        content: Some(Content::Comment(Comment { text: text.to_owned(), ..Comment::default() })),
    })
}

fn refused(frame: server_frame::Frame) -> RefusalCode {
    match frame {
        server_frame::Frame::Refusal(refusal) => {
            assert!(refusal.message_zh.ends_with('。') || refusal.message_zh.contains("JSON"), "{refusal:?}");
            assert!(!refusal.message_en.is_empty());
            refusal.code()
        }
        other => panic!("instead of a refusal: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_thing_has_its_clear_refusal() {
    let service = Running::start().await;
    let (token, staff) = (service.sign_in("member1").await, service.sign_in("staff1").await);
    let open = service.open(&token).await;

    // The frames themselves, on sockets that have not even signed in.
    for (bytes, code) in [
        (masked(2, &vec![0; 70_000]), CloseCode::TooBig),
        (masked(1, &[b'{', 0xff, b'}']), CloseCode::NotUtf8),
        (vec![0x82, 3, 1, 2, 3], CloseCode::Protocol),
        (masked(2, b"\xff\xff\xff"), CloseCode::Malformed),
    ] {
        let subprotocol = if bytes[0] == 0x81 { Subprotocol::Json } else { Subprotocol::Proto };
        let mut stream = service.raw(subprotocol).await;
        let _ = stream.write_all(&bytes).await;
        assert_eq!(close_code(&mut stream).await, code.code());
    }

    // No ticket, a used one, another first frame.
    let mut socket = Socket::connect(service.address, Subprotocol::Json, None).await.unwrap();
    socket.send(client_frame::Frame::SignIn(SignIn::default())).await;
    let Ok(proto::v1::ServerFrame { frame: Some(nothing), .. }) = socket.next().await else { panic!("closed without a word") };
    assert_eq!(refused(nothing), RefusalCode::Malformed);
    let mut socket = Socket::connect(service.address, Subprotocol::Json, None).await.unwrap();
    assert_eq!(refused(socket.answer(comment(&open, "before signing in")).await), RefusalCode::Unauthenticated);
    assert_eq!(socket.closed().await, Some(CloseCode::SignInExpected.code()));
    let ticket = service.ticket(&token).await;
    let signed_in = |ticket: &str| {
        client_frame::Frame::SignIn(SignIn {
            credential: Some(Credential::Ticket(ticket.to_owned())),
            contract: proto::limits::CONTRACT,
            ..SignIn::default()
        })
    };
    let mut first = Socket::connect(service.address, Subprotocol::Json, None).await.unwrap();
    assert!(matches!(first.answer(signed_in(&ticket)).await, server_frame::Frame::Welcome(_)));
    let mut second = Socket::connect(service.address, Subprotocol::Json, None).await.unwrap();
    assert_eq!(refused(second.answer(signed_in(&ticket)).await), RefusalCode::TicketInvalid);
    let foreign = Socket::connect(service.address, Subprotocol::Json, Some("https://elsewhere.example")).await;
    assert!(foreign.is_err_and(|error| error.contains("403")));

    // A field that nobody knows: refused in JSON, where it is a mistake; ignored in binary, for rolling upgrades.
    let mut stream = service.raw(Subprotocol::Json).await;
    stream.write_all(&masked(1, br#"{"id":1,"signIn":{"ticket":"x","wings":2}}"#)).await.unwrap();
    assert_eq!(close_code(&mut stream).await, CloseCode::Malformed.code());
    let mut binary = service.socket(&token, Subprotocol::Proto).await;
    binary.subscribe(&open, None).await;

    // Signed in: too long a text, a place that is not there, a position beyond the head, a log of another epoch.
    assert_eq!(refused(binary.answer(comment(&open, &"长".repeat(3_000))).await), RefusalCode::TextTooLong);
    assert_eq!(refused(binary.answer(comment(&open, "a\u{202E}b")).await), RefusalCode::TextForbiddenCharacter);
    assert_eq!(refused(binary.answer(comment(&uuid::Uuid::new_v4().to_string(), "x")).await), RefusalCode::NotFound);
    let head = binary.subscribe(&open, None).await.position.unwrap();
    for (position, reason) in [
        (Position { seq: head.seq + 1_000, ..head.clone() }, RefusalCode::PositionBeyondHead),
        (Position { epoch: head.epoch ^ 1, ..head.clone() }, RefusalCode::EpochChanged),
    ] {
        let asked = Subscribe { conversation: open.clone(), after: Some(position), tail: 0 };
        let server_frame::Frame::Subscribed(subscribed) = binary.answer(client_frame::Frame::Subscribe(asked)).await else {
            panic!("not subscribed")
        };
        assert_eq!(subscribed.verdict(), proto::v1::Verdict::Reset);
        assert_eq!(subscribed.reason.unwrap().code(), reason);
    }

    // After closing.
    let mut close = tonic::Request::new(SetConsultationStateRequest {
        id: open.clone(),
        state: ConsultationState::Closed.into(),
        reason: String::new(),
    });
    close.metadata_mut().insert("authorization", format!("Bearer {staff}").parse().unwrap());
    service.consultations().await.set_consultation_state(close).await.unwrap();
    assert_eq!(refused(binary.answer(comment(&open, "too late")).await), RefusalCode::Closed);
}

/// Posts `times` comments; the time of each from sending to the other client, sorted.
async fn talk(poster: &mut Socket, viewer: &mut Socket, open: &str, times: usize) -> Vec<Duration> {
    let mut taken = Vec::with_capacity(times);
    for number in 0..times {
        let text = format!("{}:{number}", uuid::Uuid::new_v4());
        let started = Instant::now();
        poster.send(comment(open, &text)).await;
        viewer
            .until("the comment on the other screen", |frame| match &frame.frame {
                Some(server_frame::Frame::Batch(batch)) => format!("{batch:?}").contains(&text).then_some(()),
                _ => None,
            })
            .await;
        taken.push(started.elapsed());
    }
    taken.sort_unstable();
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_opens_without_a_word_cost_little_and_others_hardly_feel_them() {
    let service = Running::start().await;
    let (one, two) = (service.sign_in("member1").await, service.sign_in("member2").await);
    let open = service.open(&one).await;
    let mut poster = service.socket(&one, Subprotocol::Proto).await;
    let mut viewer = service.socket(&two, Subprotocol::Proto).await;
    poster.subscribe(&open, None).await;
    viewer.subscribe(&open, None).await;
    let p99 = |taken: &[Duration]| taken[taken.len() * 99 / 100];
    talk(&mut poster, &mut viewer, &open, 20).await;
    let quiet = p99(&talk(&mut poster, &mut viewer, &open, 100).await);
    let before = service.resident_kib();

    let address = service.address;
    let silent = tokio::spawn(async move {
        let mut held = Vec::with_capacity(10_000);
        for number in 0..10_000_u32 {
            let socket = TcpSocket::new_v4().unwrap();
            // Several local addresses, and a pause now and then: a flood, not a single burst.
            socket.bind(([127, 0, 1, 1 + (number % 8) as u8], 0).into()).unwrap();
            let Ok(mut stream) = socket.connect(address).await else { continue };
            if stream.write_all(upgrade(address, Subprotocol::Proto).as_bytes()).await.is_ok() {
                held.push(stream);
            }
            if number % 100 == 99 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        held
    });
    let mut most = before;
    let mut flooded = Vec::new();
    while !silent.is_finished() {
        flooded.extend(talk(&mut poster, &mut viewer, &open, 20).await);
        most = most.max(service.resident_kib());
    }
    let held = silent.await.unwrap();
    most = most.max(service.resident_kib());
    flooded.sort_unstable();
    let loud = p99(&flooded);
    println!("good clients' p99: {quiet:?} quiet, {loud:?} in the flood; memory {} KiB more", most.saturating_sub(before));
    assert!(most.saturating_sub(before) <= 64 * 1024, "{} KiB more", most - before);
    // Half a coalescing window of 50 ms is below what a viewer notices.
    assert!(loud <= 2 * quiet.max(Duration::from_millis(25)), "p99 {quiet:?} became {loud:?}");
    assert!(held.len() > 9_000, "{}", held.len());
    // Sockets that never signed in are closed when their time is over; the good ones are still here.
    let mut last = held.into_iter().next_back().unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(2 * SOON, last.read_to_end(&mut rest)).await.expect("closed").ok();
    talk(&mut poster, &mut viewer, &open, 5).await;
}
