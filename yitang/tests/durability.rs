//! That a receipt comes after the disk has it is shown by what the process asks of the system, not by what it says.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{path::Path, process::Command, time::Duration};

use common::{Socket, field};
use proto::{
    Subprotocol,
    v1::{Comment, Post, client_frame, post::Content, server_frame, sign_in::Credential},
};
use testkit::{Child, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn the_sync_comes_before_the_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let port = free_port();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-ttt", "-s", "400", "-e", "trace=fsync,fdatasync,write,writev,sendto,sendmsg", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_yitang"))
        .args(["all", "--demo", "--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(folder.path().join("data"))
        .args(["--set", &format!("listen.gateway_admin=127.0.0.1:{}", free_port())]);
    let mut child = Child::start(command, "strace");
    let address = ([127, 0, 0, 1], port).into();
    testkit::eventually(Duration::from_secs(60), "the service listens", || async { tokio::net::TcpStream::connect(address).await.ok() })
        .await;

    let http = |path: &'static str, headers: Vec<(&'static str, String)>, body: String| async move {
        use bytes::Bytes;
        use http_body_util::{BodyExt as _, Full};
        let client: hyper_util::client::legacy::Client<_, Full<Bytes>> =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
        let mut request = http::Request::post(format!("http://127.0.0.1:{port}{path}")).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = client.request(request.body(Full::from(body)).unwrap()).await.unwrap();
        String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned()
    };
    let body = format!(r#"{{"login":"member1","password":"{}","token":true}}"#, chat_core::seed::PASSWORD);
    let token = field(&http("/api/v1/sign-in", vec![], body).await, "token");
    let ticket = field(&http("/api/v1/ticket", vec![("authorization", format!("Bearer {token}"))], String::new()).await, "ticket");
    let mut socket = Socket::connect(address, Subprotocol::Json, None).await.unwrap();
    socket.sign_in(Credential::Ticket(ticket)).await;
    let mut request = tonic::Request::new(proto::v1::ListConsultationsRequest::default());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let channel = tonic::transport::Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
    let listed = proto::v1::consultation_service_client::ConsultationServiceClient::new(channel).list_consultations(request).await.unwrap();
    let open = listed.into_inner().consultations.into_iter().find(|one| one.may_post).expect("an open consultation").id;

    for number in 0..10 {
        let client_id = format!("0000000{number}-1111-4222-8333-444444444444");
        let content = Some(Content::Comment(Comment { text: format!("durable word {number}"), ..Comment::default() }));
        let answer = socket.answer(client_frame::Frame::Post(Post { conversation: open.clone(), client_id, content })).await;
        assert!(matches!(answer, server_frame::Frame::Receipt(_)), "{answer:?}");
    }
    child.end(libc::SIGTERM);
    judge(&trace);
}

/// Between any write of a comment into the database's log and the receipt that names it stands a sync of that log.
fn judge(trace: &Path) {
    let lines: Vec<String> = std::fs::read_to_string(trace).unwrap().lines().map(str::to_owned).collect();
    let mut shown = 0;
    for number in 0..10 {
        let id = format!("0000000{number}-1111-4222-8333-444444444444");
        let receipt = lines
            .iter()
            .position(|line| line.contains("receipt") && line.contains(&id))
            .unwrap_or_else(|| panic!("no receipt for {id} among {} lines", lines.len()));
        // The sync nearest before it, and that the one before is another one: each receipt has its own.
        let sync = lines[..receipt].iter().rposition(|line| is_sync(line)).expect("a sync before the receipt");
        let earlier = lines[..receipt].iter().rposition(|line| line.contains("receipt"));
        assert!(earlier.is_none_or(|earlier| earlier < sync), "no sync between the receipt before and that of {id}");
        shown += 1;
    }
    assert_eq!(shown, 10);
}

/// By fdatasync, as SQLite is built here (`.cargo/config.toml`).
fn is_sync(line: &str) -> bool {
    (line.contains("fdatasync(") || line.contains("fdatasync resumed"))
        && (line.contains("yitang.db") || line.contains("resumed"))
        && line.trim_end().ends_with("= 0")
}
