//! The front proxy of `make up-local` and docker-compose.yml carries gRPC, over the topology as processes of its own.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{net::SocketAddr, path::Path};

use common::{SOON, Service, Socket, sign_in};
use futures::StreamExt as _;
use proto::{
    Subprotocol,
    v1::{
        Comment, ConsultationState, FollowRequest, GetMeRequest, ListConsultationsRequest, Position, Post,
        client_frame::Frame as ClientFrame, consultation_service_client::ConsultationServiceClient,
        conversation_service_client::ConversationServiceClient, directory_service_client::DirectoryServiceClient, post::Content,
        server_frame::Frame as ServerFrame,
    },
};
use testkit::{
    eventually,
    topology::{RedisKind, Topology},
};
use tonic::transport::Channel;

const NGINX: &str = "/usr/sbin/nginx";

#[tokio::test(flavor = "multi_thread")]
async fn grpc_calls_and_streams_go_through_the_front_proxy() {
    assert!(Path::new(NGINX).exists(), "install nginx-light: without it there is no front proxy to test");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("front");
    let topology = Topology::start(Path::new(env!("CARGO_BIN_EXE_yitang")), RedisKind::Single, &folder, None).unwrap();
    let ports = topology.addresses.front;
    let (web, grpc) = (SocketAddr::from(([127, 0, 0, 1], ports.http)), format!("http://127.0.0.1:{}", ports.grpc));
    let endpoint = Channel::from_shared(grpc).unwrap();
    let channel = eventually(SOON, "nginx listens", || async { endpoint.connect().await.ok() }).await;
    let staff = sign_in(web, "staff1").await;

    // One call, one answer; and who has no session is told so by the gateway's own status.
    let mut directory = DirectoryServiceClient::new(channel.clone());
    let me = directory.get_me(Service::with_token(&staff, GetMeRequest {})).await.unwrap().into_inner();
    assert!(me.person.is_some(), "{me:?}");
    let refused = directory.get_me(GetMeRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused:?}");

    // A stream of the server's: what was there, then what comes, while the stream stays open.
    let open = ListConsultationsRequest { states: vec![ConsultationState::Open.into()], ..Default::default() };
    let mut consultations = ConsultationServiceClient::new(channel.clone());
    let listed = consultations.list_consultations(Service::with_token(&staff, open)).await.unwrap().into_inner();
    let conversation = listed.consultations[0].id.clone();
    let after = Position { conversation: conversation.clone(), ..Position::default() };
    let follow = Service::with_token(&staff, FollowRequest { after: Some(after) });
    let mut stream = ConversationServiceClient::new(channel).follow(follow).await.unwrap().into_inner();
    let mut last_seq = 0;
    for text in ["第一条", "第二条"] {
        let mut member = Socket::signed_in(web, Subprotocol::Proto, &sign_in(web, "member1").await).await;
        let post = Post {
            conversation: conversation.clone(),
            client_id: uuid::Uuid::now_v7().to_string(),
            content: Some(Content::Comment(Comment { text: text.into(), ..Comment::default() })),
        };
        let answer = member.answer(ClientFrame::Post(post)).await;
        let ServerFrame::Receipt(receipt) = answer else { panic!("{answer:?}") };
        let posted = receipt.position.unwrap().seq;
        while last_seq < posted {
            let batch = tokio::time::timeout(SOON, stream.next()).await.expect("the comment in time").unwrap().unwrap();
            assert_eq!(batch.first_seq, last_seq + 1, "without a seam");
            last_seq = batch.first_seq + u64::from(batch.count) - 1;
        }
    }

    // gRPC-Web is plain HTTP, on the browsers' port: not taken for gRPC.
    let (status, answer) = grpc_web(web, "/yitang.v1.DirectoryService/GetMe", &staff).await;
    assert!(status == 200 && answer.contains("grpc-status:0"), "{status} {answer:?}");
}

/// An empty message by gRPC-Web over HTTP/1.1; the status of HTTP, and the body with its trailers.
async fn grpc_web(address: SocketAddr, path: &str, token: &str) -> (u16, String) {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{address}{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/grpc-web+proto")
        .body(Full::from(Bytes::from_static(&[0, 0, 0, 0, 0])))
        .unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    (status, String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned())
}
