//! What can be reached from outside, and what cannot.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use common::{Service, Socket};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use proto::{
    CloseCode, Subprotocol,
    v1::{RefusalCode, client_frame, server_frame, sign_in::Credential},
};

/// Every method of a set of descriptors, as its path.
fn methods(set: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(set).unwrap();
    let of_file = |file: prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let name = format!("/{package}.{}", service.name());
            service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
        })
    };
    set.file.into_iter().flat_map(of_file).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_between_roles_can_be_named_from_outside() {
    let service = Service::start().await;
    let token = service.sign_in("staff1").await;
    let bearer = format!("Bearer {token}");
    let public = methods(proto::PUBLIC_DESCRIPTORS);
    let internal: Vec<String> = methods(proto::ALL_DESCRIPTORS).into_iter().filter(|path| !public.contains(path)).collect();
    assert!(internal.len() >= 14 && internal.iter().all(|path| path.starts_with("/yitang.internal.v1.")), "{internal:?}");
    let forged = |content: &'static str| {
        [
            ("content-type", content),
            ("x-yitang-person", "1"),
            ("x-yitang-session", "00000000-0000-0000-0000-000000000000"),
            ("x-yitang-key", ""),
        ]
    };
    for path in &internal {
        for content in ["application/grpc-web+proto", "application/grpc-web-text", "application/grpc"] {
            let mut headers = forged(content).to_vec();
            headers.push(("authorization", &bearer));
            let (status, body) = grpc(&service, path, &headers).await;
            assert!(status == "12" || status == "5" || status.starts_with("http 4"), "{path} {content}: {status} {body:?}");
        }
    }
    // Percent signs, doubled slashes and case do not help.
    for path in [
        "//yitang.internal.v1.EdgeService/SignIn",
        "/yitang.v1./../yitang.internal.v1.EdgeService/Heads",
        "/yitang%2Einternal.v1.EdgeService/Heads",
    ] {
        let (status, _) = grpc(&service, path, &forged("application/grpc-web+proto")).await;
        assert!(status != "0", "{path}");
    }
    // A forged identity on a public method is nobody.
    let (status, _) = grpc(&service, "/yitang.v1.DirectoryService/GetMe", &forged("application/grpc-web+proto")).await;
    assert_eq!(status, "16", "a session is what identifies");
}

/// An empty message to a method; gRPC's status, or HTTP's where it is not 200.
async fn grpc(service: &Service, path: &str, headers: &[(&str, &str)]) -> (String, String) {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    let client: hyper_util::client::legacy::Client<_, Full<Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let mut request = http::Request::builder().method("POST").uri(format!("http://{}{path}", service.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(Bytes::from_static(&[0, 0, 0, 0, 0]))).unwrap();
    let answer = client.request(request).await.unwrap();
    let http = answer.status().as_u16();
    let status = answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    let body = String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned();
    let in_body = body.split("grpc-status:").nth(1).map(|rest| rest.trim().chars().take_while(char::is_ascii_digit).collect());
    let status = status.or(in_body).unwrap_or_else(|| format!("http {http}"));
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once_and_for_its_own_origin() {
    let service = Service::start().await;
    let token = service.sign_in("member5").await;
    let ticket = service.ticket(&token).await;
    let mut first = Socket::connect(service.address, Subprotocol::Proto, None).await.unwrap();
    first.sign_in(Credential::Ticket(ticket.clone())).await;
    let refused = |ticket: String, origin: Option<String>| {
        let address = service.address;
        async move {
            let mut socket = Socket::connect(address, Subprotocol::Json, origin.as_deref()).await.unwrap();
            let asked = proto::v1::SignIn {
                credential: Some(Credential::Ticket(ticket)),
                contract: proto::limits::CONTRACT,
                ..proto::v1::SignIn::default()
            };
            let answer = socket.answer(client_frame::Frame::SignIn(asked)).await;
            let server_frame::Frame::Refusal(refusal) = answer else { panic!("{answer:?}") };
            assert_eq!(refusal.code(), RefusalCode::TicketInvalid);
            assert_eq!(socket.closed().await, Some(CloseCode::CredentialRefused.code()));
        }
    };
    refused(ticket, None).await;
    // Made without an Origin, shown with one.
    refused(service.ticket(&token).await, Some(format!("http://{}", service.address))).await;
    refused("never heard of".into(), None).await;
    // Another site does not even get as far.
    let foreign = Socket::connect(service.address, Subprotocol::Json, Some("https://elsewhere.example")).await;
    assert!(foreign.is_err_and(|error| error.contains("403")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_needs_an_origin_and_a_ticket_does_not() {
    let service = Service::start().await;
    let token = service.sign_in("member6").await;
    let cookie = format!("yitang_session={token}");
    let (status, _) = service.http("POST", "/api/v1/ticket", &[("cookie", &cookie)], "").await;
    assert!((400..500).contains(&status), "a cookie without an Origin: {status}");
    let (status, _) = service.http("POST", "/api/v1/ticket", &[("authorization", &format!("Bearer {token}"))], "").await;
    assert_eq!(status, 200);
}
