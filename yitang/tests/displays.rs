//! Screens in a hall: they show their one consultation, do nothing else, and go dark within a second when they are to.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::time::Instant;

use bytes::Bytes;
use common::{A_SECOND, SOON, Service, Socket, field};
use http_body_util::{BodyExt as _, Full};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use proto::{
    CloseCode, Subprotocol,
    v1::{
        Comment, ConsultationState, CreateDisplayLinkRequest, DisplayLink, EndDisplayLinkRequest, FollowRequest, GetPeopleRequest,
        ListConsultationsRequest, MarkRead, PageRequest, Ping, Position, Post, Refresh, Refusal, RefusalCode, Role,
        SetConsultationStateRequest, Subscribe, Typing, UpdatePersonRequest, client_frame as asked, client_frame::Frame as Asked,
        consultation_service_client::ConsultationServiceClient, conversation_service_client::ConversationServiceClient,
        directory_service_client::DirectoryServiceClient, display_service_client::DisplayServiceClient, page_request::Where, post::Content,
        server_frame::Frame, state,
    },
};
use testkit::Redis;

type Displays = DisplayServiceClient<tonic::transport::Channel>;

async fn link(displays: &mut Displays, staff: &str, id: &str) -> DisplayLink {
    let asked = CreateDisplayLinkRequest { id: id.to_owned(), label: "hall".into(), expires_ms: 0 };
    displays.create_display_link(Service::with_token(staff, asked)).await.unwrap().into_inner()
}

/// Signs a screen in by its link; the answer's status and body.
async fn sign_in(service: &Service, link: &DisplayLink) -> (u16, String) {
    let secret = link.path.split('#').nth(1).unwrap();
    service.http("POST", "/api/v1/sign-in/display", &[], &format!(r#"{{"link":"{secret}","client":"hall"}}"#)).await
}

async fn token(service: &Service, link: &DisplayLink) -> String {
    let (status, answer) = sign_in(service, link).await;
    assert_eq!(status, 200, "{answer}");
    field(&answer, "token")
}

fn comment(conversation: &str) -> Post {
    Post {
        conversation: conversation.to_owned(),
        client_id: uuid::Uuid::now_v7().to_string(),
        content: Some(Content::Comment(Comment { text: "从大屏发言".into(), ..Comment::default() })),
    }
}

async fn refused(socket: &mut Socket, frame: asked::Frame) -> RefusalCode {
    match socket.answer(frame).await {
        Frame::Refusal(refusal) => refusal.code(),
        other => panic!("not refused: {other:?}"),
    }
}

/// The reason that a subscription ended with.
async fn unsubscribed(socket: &mut Socket) -> Refusal {
    socket
        .until("the end of the subscription", |frame| match &frame.frame {
            Some(Frame::Unsubscribed(ended)) => Some(ended.reason.clone().expect("a reason")),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_link_darkens_its_screens_within_a_second_also_while_redis_is_away() {
    let redis = Redis::start();
    let service = Service::start_over_redis(&redis).await;
    let staff = service.sign_in("staff1").await;
    let mut displays = DisplayServiceClient::new(service.channel().await);
    for away in [false, true] {
        if away {
            redis.stop();
        }
        let (made, other) = (link(&mut displays, &staff, &service.open).await, link(&mut displays, &staff, &service.open).await);
        let (screen, stays) = (token(&service, &made).await, token(&service, &other).await);
        let (mut socket, mut another) = (service.socket(&screen).await, service.socket(&stays).await);
        let welcome = socket.welcome.clone().unwrap();
        assert_eq!((welcome.person, welcome.display.as_ref().map(|scope| scope.link.as_str())), (0, Some(made.id.as_str())));
        let subscribed = socket.subscribe(&service.open, None).await;
        assert!(!subscribed.may_post && !subscribed.may_moderate && subscribed.tail.is_some());
        another.subscribe(&service.open, None).await;

        let started = Instant::now();
        let end = EndDisplayLinkRequest { id: made.id.clone() };
        displays.end_display_link(Service::with_token(&staff, end)).await.unwrap();
        assert_eq!(socket.closed().await, Some(CloseCode::SessionEnded.code()), "and it is not to come back");
        assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());

        // Neither its token, nor its resume token, nor the link itself opens anything any more.
        let (status, _) = service.http("POST", "/api/v1/ticket", &[("authorization", &format!("Bearer {screen}"))], "").await;
        assert_eq!(status, 401);
        let mut back = Socket::connect(service.address, Subprotocol::Proto, None).await.unwrap();
        let resume = proto::v1::sign_in::Credential::ResumeToken(welcome.resume_token);
        let asked = proto::v1::SignIn { credential: Some(resume), contract: proto::limits::CONTRACT, ..proto::v1::SignIn::default() };
        assert_eq!(refused(&mut back, Asked::SignIn(asked)).await, RefusalCode::SessionEnded);
        let (status, answer) = sign_in(&service, &made).await;
        assert!(status == 401 && answer.contains("LINK_INVALID"), "{status} {answer}");
        // The other link's screen goes on.
        assert!(matches!(another.answer(Asked::Ping(Ping {})).await, Frame::Pong(_)));
    }
    redis.cont();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_can_show_and_nothing_else_each_method_and_frame_tried() {
    let service = Service::start().await;
    let (staff, member) = (service.sign_in("staff1").await, service.sign_in("member1").await);
    let mut consultations = ConsultationServiceClient::new(service.channel().await);
    let mut displays = DisplayServiceClient::new(service.channel().await);
    let list = ListConsultationsRequest { states: vec![ConsultationState::Scheduled.into()], ..Default::default() };
    let other = consultations.list_consultations(Service::with_token(&staff, list)).await.unwrap().into_inner().consultations.remove(0).id;
    let made = link(&mut displays, &staff, &service.open).await;
    let (status, answer) = sign_in(&service, &made).await;
    assert!(status == 200 && answer.contains(r#""person":0"#) && field(&answer, "conversation") == service.open, "{answer}");
    let screen = field(&answer, "token");
    let bearer = format!("Bearer {screen}");
    let (status, answer) = service.http("GET", "/api/v1/session", &[("authorization", &bearer)], "").await;
    assert!(status == 200 && field(&answer, "link") == made.id, "{status} {answer}");

    // Every public method. Whoever adds one decides here whether a screen may call it.
    let may = [
        "ConsultationService/GetConsultation",
        "DirectoryService/GetCards",
        "DirectoryService/GetPeople",
        "DirectoryService/ListOrganisations",
    ];
    let set = FileDescriptorSet::decode(proto::PUBLIC_DESCRIPTORS).unwrap();
    let mut tried = 0;
    for file in &set.file {
        for one in &file.service {
            for method in &one.method {
                let path = format!("/{}.{}/{}", file.package(), one.name(), method.name());
                let status = grpc_web(&service, &path, &bearer).await;
                let expected: &[&str] = match path.trim_start_matches("/yitang.v1.") {
                    name if may.contains(&name) => &["0", "3"],
                    // Streams do not go to browsers at all; tried over gRPC below.
                    "ConversationService/Follow" => &["12"],
                    _ => &["7"],
                };
                assert!(expected.contains(&status.as_str()), "{path}: {status}");
                tried += 1;
            }
        }
    }
    assert!(tried >= 30, "{tried} methods");
    let mut conversations = ConversationServiceClient::new(service.channel().await);
    let follow = FollowRequest { after: Some(Position { conversation: service.open.clone(), epoch: 0, seq: 0 }) };
    let followed = conversations.follow(Service::with_token(&screen, follow)).await.map(|_| ());
    assert_eq!(followed.unwrap_err().code(), tonic::Code::PermissionDenied);

    // Every frame of the socket.
    let mut socket = service.socket(&screen).await;
    socket.subscribe(&service.open, None).await;
    assert_eq!(refused(&mut socket, Asked::Post(comment(&service.open))).await, RefusalCode::Forbidden);
    let mark = MarkRead { conversation: service.open.clone(), mseq: 1 };
    assert_eq!(refused(&mut socket, Asked::MarkRead(mark)).await, RefusalCode::Forbidden);
    assert_eq!(refused(&mut socket, Asked::Typing(Typing { conversation: service.open.clone() })).await, RefusalCode::Forbidden);
    let credential = Some(proto::v1::sign_in::Credential::Ticket("another".into()));
    let again = proto::v1::SignIn { credential, contract: proto::limits::CONTRACT, ..proto::v1::SignIn::default() };
    assert_eq!(refused(&mut socket, Asked::SignIn(again)).await, RefusalCode::Forbidden);
    let subscribe = Subscribe { conversation: other.clone(), ..Subscribe::default() };
    assert_eq!(refused(&mut socket, Asked::Subscribe(subscribe)).await, RefusalCode::NotFound);
    let page = |conversation: &str| PageRequest {
        conversation: conversation.to_owned(),
        r#where: Some(Where::Before(0)),
        ..PageRequest::default()
    };
    assert_eq!(refused(&mut socket, Asked::Page(page(&other))).await, RefusalCode::NotFound);
    let read = socket.answer(Asked::Page(page(&service.open))).await;
    assert!(matches!(&read, Frame::Page(page) if !page.events.is_empty()), "{read:?}");
    assert!(matches!(socket.answer(Asked::Refresh(Refresh {})).await, Frame::Welcome(welcome) if welcome.display.is_some()));

    // It shows who is here, and is not one of them.
    let mut people = service.socket(&member).await;
    people.subscribe(&service.open, None).await;
    let mut second = service.socket(&service.sign_in("member2").await).await;
    second.subscribe(&service.open, None).await;
    let mut most = 0;
    socket
        .until("two people here", |frame| match &frame.frame {
            Some(Frame::State(told)) => match &told.state {
                Some(state::State::Room(room)) => {
                    most = most.max(room.people_here);
                    (room.people_here == 2).then_some(())
                }
                _ => None,
            },
            _ => None,
        })
        .await;
    assert_eq!(most, 2);
    let receipt = people.answer(Asked::Post(comment(&service.open))).await;
    assert!(matches!(receipt, Frame::Receipt(_)), "{receipt:?}");
    socket.until("the comment", |frame| matches!(&frame.frame, Some(Frame::Batch(_))).then_some(())).await;
}

/// An empty message; gRPC's status.
async fn grpc_web(service: &Service, path: &str, bearer: &str) -> String {
    let client: hyper_util::client::legacy::Client<_, Full<Bytes>> =
        hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("http://{}{path}", service.address))
        .header("content-type", "application/grpc-web+proto")
        .header("authorization", bearer)
        .body(Full::from(Bytes::from_static(&[0, 0, 0, 0, 0])))
        .unwrap();
    let answer = client.request(request).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let header = answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    let body = String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned();
    let trailer = || body.split("grpc-status:").nth(1).map(|rest| rest.trim().chars().take_while(char::is_ascii_digit).collect());
    header.or_else(trailer).unwrap_or_else(|| panic!("{path}: no status"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_shows_no_draft_and_no_more_than_its_maker_may_run() {
    let service = Service::start().await;
    let (operator, staff) = (service.sign_in("staff1").await, service.sign_in("staff2").await);
    let mut consultations = ConsultationServiceClient::new(service.channel().await);
    let mut displays = DisplayServiceClient::new(service.channel().await);
    let mut directory = DirectoryServiceClient::new(service.channel().await);
    let list = ListConsultationsRequest { states: vec![ConsultationState::Scheduled.into()], ..Default::default() };
    let coming = consultations.list_consultations(Service::with_token(&staff, list)).await.unwrap().into_inner().consultations.remove(0).id;
    let made = link(&mut displays, &staff, &coming).await;
    let mut socket = service.socket(&token(&service, &made).await).await;
    socket.subscribe(&coming, None).await;

    // Put back into a draft, and announced again: the screen stays signed in and waits.
    let set = |state: ConsultationState| SetConsultationStateRequest { id: coming.clone(), state: state.into(), reason: String::new() };
    let started = Instant::now();
    consultations.set_consultation_state(Service::with_token(&staff, set(ConsultationState::Draft))).await.unwrap();
    let reason = unsubscribed(&mut socket).await;
    assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
    assert!(reason.code() == RefusalCode::NotOpen && reason.retry_after_ms > 0, "{reason:?}");
    let subscribe = Subscribe { conversation: coming.clone(), ..Subscribe::default() };
    assert_eq!(refused(&mut socket, Asked::Subscribe(subscribe.clone())).await, RefusalCode::NotOpen);
    consultations.set_consultation_state(Service::with_token(&staff, set(ConsultationState::Scheduled))).await.unwrap();
    socket.subscribe(&coming, None).await;

    // Whoever made it is not staff any more, and is again.
    let get = GetPeopleRequest { ids: vec![made.created_by] };
    let maker = directory.get_people(Service::with_token(&operator, get)).await.unwrap().into_inner().people.remove(0);
    let update = |roles: Vec<i32>| UpdatePersonRequest {
        id: maker.id,
        name: maker.name.clone(),
        organisation: maker.organisation,
        roles,
        disabled: false,
    };
    let started = Instant::now();
    directory.update_person(Service::with_token(&operator, update(vec![Role::Member.into()]))).await.unwrap();
    let reason = unsubscribed(&mut socket).await;
    assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
    assert_eq!(reason.code(), RefusalCode::Forbidden);
    directory.update_person(Service::with_token(&operator, update(maker.roles.clone()))).await.unwrap();
    socket.subscribe(&coming, None).await;

    // Its time is over: it is closed, though nobody ended it.
    let expires_ms = clock::Clock::default().now_ms() + 2_000;
    let brief = CreateDisplayLinkRequest { id: coming.clone(), label: String::new(), expires_ms };
    let brief = displays.create_display_link(Service::with_token(&staff, brief)).await.unwrap().into_inner();
    let mut passing = service.socket(&token(&service, &brief).await).await;
    passing.subscribe(&coming, None).await;
    let closed = tokio::time::timeout(SOON, passing.closed()).await.expect("closed in time");
    assert_eq!(closed, Some(CloseCode::SessionEnded.code()));
    assert!(matches!(socket.answer(Asked::Ping(Ping {})).await, Frame::Pong(_)), "the other link's screen goes on");
}
