//! Rights and sessions take effect on live sockets within a second, also while Redis is away: they are a control log
//! followed from chat-core, and not hints.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::time::Instant;

use common::{A_SECOND, Service};
use proto::{
    CloseCode,
    v1::{
        Audience, Comment, ConsultationState, GetConsultationRequest, MutePersonRequest, Post, RefusalCode, SetConsultationStateRequest,
        UpdateConsultationRequest, client_frame, consultation_service_client::ConsultationServiceClient,
        moderation_service_client::ModerationServiceClient, post::Content, server_frame, state,
    },
};
use testkit::Redis;

fn comment(conversation: &str, text: &str) -> client_frame::Frame {
    client_frame::Frame::Post(Post {
        conversation: conversation.to_owned(),
        client_id: uuid::Uuid::now_v7().to_string(),
        content: Some(Content::Comment(Comment { text: text.to_owned(), ..Comment::default() })),
    })
}

/// Each with Redis there, and with Redis stopped.
async fn with_and_without_redis<F: Future<Output = ()>>(test: impl Fn(std::sync::Arc<Service>) -> F) {
    let redis = Redis::start();
    let service = std::sync::Arc::new(Service::start_over_redis(&redis).await);
    test(service.clone()).await;
    redis.stop();
    test(service).await;
    redis.cont();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_closes_its_sockets_within_a_second() {
    with_and_without_redis(|service| async move {
        let token = service.sign_in("member1").await;
        let mut socket = service.socket(&token).await;
        let (other, mut others) = (service.sign_in("member1").await, Vec::new());
        others.push(service.socket(&other).await);
        let started = Instant::now();
        let (status, body) = service.http("POST", "/api/v1/sign-out", &[("authorization", &format!("Bearer {token}"))], "").await;
        assert!((200..300).contains(&status), "{status} {body}");
        assert_eq!(socket.closed().await, Some(CloseCode::SessionEnded.code()));
        assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
        // The token is good for nothing any more; the person's other session lives on.
        let (status, _) = service.http("POST", "/api/v1/ticket", &[("authorization", &format!("Bearer {token}"))], "").await;
        assert_eq!(status, 401);
        let pong = others[0].answer(client_frame::Frame::Ping(proto::v1::Ping {})).await;
        assert!(matches!(pong, server_frame::Frame::Pong(_)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_right_to_watch_is_out_within_a_second() {
    with_and_without_redis(|service| async move {
        let (staff, member) = (service.sign_in("staff1").await, service.sign_in("member2").await);
        let mut socket = service.socket(&member).await;
        let subscribed = socket.subscribe(&service.open, None).await;
        assert!(subscribed.may_post);
        let mut consultations = ConsultationServiceClient::new(service.channel().await);
        let get = GetConsultationRequest { id: service.open.clone() };
        let now = consultations.get_consultation(Service::with_token(&staff, get.clone())).await.unwrap().into_inner();
        let update = |version, watch: Option<Audience>, post: Option<Audience>| UpdateConsultationRequest {
            id: now.id.clone(),
            version,
            title: now.title.clone(),
            description: now.description.clone(),
            opens_ms: now.opens_ms,
            closes_ms: now.closes_ms,
            watch,
            post,
            moderators: now.moderators.clone(),
            slow_mode_s: now.slow_mode_s,
        };
        let nobody = Some(Audience { people: vec![1], ..Audience::default() });
        let started = Instant::now();
        let changed = update(now.version, nobody.clone(), nobody);
        let version = consultations.update_consultation(Service::with_token(&staff, changed)).await.unwrap().into_inner().version;
        let reason = socket
            .until("the end of the subscription", |frame| match &frame.frame {
                Some(server_frame::Frame::Unsubscribed(ended)) => Some(ended.reason.clone().expect("a reason")),
                _ => None,
            })
            .await;
        assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
        assert_eq!(reason.code(), RefusalCode::NotFound);
        assert!(matches!(socket.answer(comment(&service.open, "from outside")).await, server_frame::Frame::Refusal(_)));
        // And back again, for the next round.
        let restored = update(version, now.watch.clone(), now.post.clone());
        consultations.update_consultation(Service::with_token(&staff, restored)).await.unwrap();
        assert!(socket.subscribe(&service.open, None).await.may_post);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_and_a_close_are_felt_within_a_second() {
    let redis = Redis::start();
    let service = Service::start_over_redis(&redis).await;
    let (staff, member) = (service.sign_in("staff1").await, service.sign_in("member3").await);
    let mut consultations = ConsultationServiceClient::new(service.channel().await);
    let mut moderation = ModerationServiceClient::new(service.channel().await);
    let mut socket = service.socket(&member).await;
    let person = socket.welcome.as_ref().unwrap().person;
    socket.subscribe(&service.open, None).await;
    let post_state = |frame: &proto::v1::ServerFrame| match &frame.frame {
        Some(server_frame::Frame::State(state)) => match &state.state {
            Some(state::State::Post(post)) => Some(post.clone()),
            _ => None,
        },
        _ => None,
    };
    redis.stop();
    let in_an_hour = clock::Clock::default().now_ms() + 3_600_000;
    for (until_ms, may_post) in [(in_an_hour, false), (0, true)] {
        let started = Instant::now();
        let mute = MutePersonRequest { id: service.open.clone(), person, until_ms, reason: "shouting".into() };
        moderation.mute_person(Service::with_token(&staff, mute)).await.unwrap();
        let told = socket.until("the new right", post_state).await;
        assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
        assert_eq!(told.may_post, may_post);
        let answer = socket.answer(comment(&service.open, "may I")).await;
        match (may_post, answer) {
            (true, server_frame::Frame::Receipt(_)) => {}
            (false, server_frame::Frame::Refusal(refusal)) => assert_eq!(refusal.code(), RefusalCode::Muted),
            (_, other) => panic!("{other:?}"),
        }
    }
    let started = Instant::now();
    let close = SetConsultationStateRequest { id: service.open.clone(), state: ConsultationState::Closed.into(), reason: String::new() };
    consultations.set_consultation_state(Service::with_token(&staff, close)).await.unwrap();
    let told = socket.until("that it is closed", post_state).await;
    assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
    assert_eq!(told.refusal.unwrap().code(), RefusalCode::Closed);
    redis.cont();
}
