//! The call to all invited, lists that stay true and screens, over two gateways, two chat-cores, PostgreSQL and Redis, each a
//! process of its own.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use common::{A_SECOND, Service, Socket, field, http, sign_in};
use proto::{
    CloseCode, Subprotocol,
    v1::{
        Audience, CallConsultationRequest, Change, Changes, Comment, Consultation, ConsultationBrief, ConsultationState,
        CreateConsultationRequest, CreateDisplayLinkRequest, EndDisplayLinkRequest, GetConsultationRequest, ListConsultationsRequest, Ping,
        Post, RefusalCode, ServerFrame, SetConsultationStateRequest, SignIn, UpdateConsultationRequest, Verdict, change::Brief,
        client_frame::Frame as Asked, consultation_service_client::ConsultationServiceClient, display_service_client::DisplayServiceClient,
        post::Content, server_frame::Frame, sign_in::Credential,
    },
};
use testkit::topology::{RedisKind, Topology};

type Consultations = ConsultationServiceClient<tonic::transport::Channel>;

fn topology(name: &str) -> (Topology, [SocketAddr; 2]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let topology = Topology::start(Path::new(env!("CARGO_BIN_EXE_yitang")), RedisKind::Single, &folder, None).unwrap();
    let addresses = [0, 1].map(|index| topology.addresses.gateways[index].address.parse().unwrap());
    (topology, addresses)
}

async fn client(address: SocketAddr) -> Consultations {
    let channel = tonic::transport::Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    ConsultationServiceClient::new(channel)
}

/// A member's socket on a gateway.
struct Member {
    socket: Socket,
    person: u32,
}

impl Member {
    async fn on(address: SocketAddr, subprotocol: Subprotocol, login: &str) -> Self {
        let token = sign_in(address, login).await;
        let socket = Socket::signed_in(address, subprotocol, &token).await;
        let person = socket.welcome.as_ref().unwrap().person;
        Self { socket, person }
    }

    /// Every push until the call to this one.
    async fn until_called(&mut self, id: &str) -> Vec<Change> {
        let mut seen = Vec::new();
        self.socket
            .until("the call", |frame| {
                let pushed = pushed(frame);
                let called = pushed.iter().any(|change| change.urgent && change.id == id);
                seen.extend(pushed);
                called.then_some(())
            })
            .await;
        seen
    }

    /// The next change of lists, calls apart, that names this consultation.
    async fn next_change(&mut self, id: &str) -> Changes {
        self.socket
            .until("that the list has changed", |frame| match &frame.frame {
                Some(Frame::Changes(changes)) => {
                    changes.changed.iter().any(|change| !change.urgent && change.id == id).then(|| changes.clone())
                }
                _ => None,
            })
            .await
    }
}

fn pushed(frame: &ServerFrame) -> Vec<Change> {
    match &frame.frame {
        Some(Frame::Changes(changes)) => changes.changed.clone(),
        _ => Vec::new(),
    }
}

/// What is told of this consultation, where it is not that it is gone.
fn brief_of(changes: &Changes, id: &str) -> ConsultationBrief {
    brief(changes.changed.iter().find(|change| change.id == id && !change.gone).unwrap())
}

fn brief(change: &Change) -> ConsultationBrief {
    assert_eq!(change.subject, "consultations");
    let Some(Brief::Consultation(brief)) = &change.brief else { panic!("{change:?}") };
    assert_eq!(u64::from(brief.version), change.version);
    brief.clone()
}

async fn make(consultations: &mut Consultations, staff: &str, title: &str, watch: Option<Audience>) -> Consultation {
    let asked = CreateConsultationRequest {
        client_id: uuid::Uuid::now_v7().to_string(),
        organisation: 1,
        title: title.to_owned(),
        opens_ms: 4_000_000_000_000,
        post: watch.clone(),
        watch,
        ..CreateConsultationRequest::default()
    };
    consultations.create_consultation(Service::with_token(staff, asked)).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_reaches_all_invited_on_two_gateways_and_nobody_else() {
    let (mut topology, [one, two]) = topology("call");
    let staff = sign_in(one, "staff1").await;
    let mut consultations = client(one).await;
    let mut invited = Member::on(one, Subprotocol::Proto, "member1").await;
    let mut invited_elsewhere = Member::on(two, Subprotocol::Json, "member2").await;
    let mut others = [Member::on(one, Subprotocol::Json, "member3").await, Member::on(two, Subprotocol::Proto, "member4").await];
    let whom = Audience { people: vec![invited.person, invited_elsewhere.person], ..Audience::default() };
    let narrow = make(&mut consultations, &staff, "闭门协商", Some(whom)).await;
    let wide = make(&mut consultations, &staff, "大家都来", None).await;
    for member in [&mut invited, &mut invited_elsewhere] {
        let told = member.next_change(&narrow.id).await;
        let brief = brief_of(&told, &narrow.id);
        assert!(brief.title == "闭门协商" && brief.state() == ConsultationState::Scheduled && brief.version == narrow.version);
    }

    // Redis is no part of it.
    topology.redis.nodes().iter_mut().for_each(|node| node.stop());
    let started = Instant::now();
    let call = |id: &str| CallConsultationRequest { id: id.to_owned() };
    let answer = consultations.call_consultation(Service::with_token(&staff, call(&narrow.id))).await.unwrap().into_inner();
    for member in [&mut invited, &mut invited_elsewhere] {
        let seen = member.until_called(&narrow.id).await;
        let brief = brief(seen.iter().rfind(|change| change.urgent && change.id == narrow.id).unwrap());
        assert_eq!((brief.called_ms, brief.title.as_str(), brief.organisation), (answer.called_ms, "闭门协商", 1));
    }
    assert!(started.elapsed() < 2 * A_SECOND, "about a second: {:?}", started.elapsed());
    println!("a call over two gateways took {:?}", started.elapsed());
    // A later call for everybody: what the others heard up to it is all there was.
    consultations.call_consultation(Service::with_token(&staff, call(&wide.id))).await.unwrap();
    for other in &mut others {
        let seen = other.until_called(&wide.id).await;
        assert!(!seen.iter().any(|change| change.id == narrow.id), "told to somebody who may not watch it: {seen:?}");
    }
    // Whoever signs in a few minutes later finds it in the list; whoever may not watch it does not.
    for (login, called_ms) in [("member2", Some(answer.called_ms)), ("member4", None)] {
        let token = sign_in(two, login).await;
        let listed = client(two).await.list_consultations(Service::with_token(&token, ListConsultationsRequest::default())).await;
        let listed = listed.unwrap().into_inner().consultations;
        assert_eq!(listed.iter().find(|listed| listed.id == narrow.id).map(|listed| listed.called_ms), called_ms, "{login}");
    }
    topology.redis.nodes().iter_mut().for_each(|node| node.cont());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_stay_true_without_a_question_when_consultations_open_narrow_and_go() {
    let (_topology, [one, two]) = topology("lists");
    let staff = sign_in(one, "staff1").await;
    let mut consultations = client(one).await;
    let mut stays = Member::on(one, Subprotocol::Proto, "member1").await;
    let mut leaves = Member::on(two, Subprotocol::Proto, "member2").await;
    let made = make(&mut consultations, &staff, "一起商量", None).await;
    for member in [&mut stays, &mut leaves] {
        member.next_change(&made.id).await;
    }
    // Opened: the state without a question, and called.
    let set = |state: ConsultationState| SetConsultationStateRequest { id: made.id.clone(), state: state.into(), reason: String::new() };
    consultations.set_consultation_state(Service::with_token(&staff, set(ConsultationState::Open))).await.unwrap();
    for member in [&mut stays, &mut leaves] {
        member.until_called(&made.id).await;
        let told = member.next_change(&made.id).await;
        assert_eq!(brief_of(&told, &made.id).state(), ConsultationState::Open);
    }
    // Shown to fewer: those hear that it is gone, the others what it is now.
    let get = GetConsultationRequest { id: made.id.clone() };
    let now = consultations.get_consultation(Service::with_token(&staff, get)).await.unwrap().into_inner();
    let only = Some(Audience { people: vec![stays.person], ..Audience::default() });
    let update = UpdateConsultationRequest {
        id: made.id.clone(),
        version: now.version,
        title: "少数人商量".into(),
        watch: only.clone(),
        post: only,
        ..UpdateConsultationRequest::default()
    };
    consultations.update_consultation(Service::with_token(&staff, update)).await.unwrap();
    let told = stays.next_change(&made.id).await;
    assert_eq!(brief_of(&told, &made.id).title, "少数人商量");
    let told = leaves.next_change(&made.id).await;
    let gone: Vec<_> = told.changed.iter().map(|change| (change.id.as_str(), change.gone, change.brief.is_some())).collect();
    assert_eq!(gone, [(made.id.as_str(), true, false)]);
    assert!(!told.list_again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_outlives_its_gateway_and_ends_while_redis_is_away() {
    let (mut topology, [one, two]) = topology("screens");
    let staff = sign_in(two, "staff1").await;
    let mut consultations = client(two).await;
    let list = ListConsultationsRequest { states: vec![ConsultationState::Open.into()], ..Default::default() };
    let open = consultations.list_consultations(Service::with_token(&staff, list)).await.unwrap().into_inner().consultations.remove(0).id;
    let create = CreateDisplayLinkRequest { id: open.clone(), ..Default::default() };
    let channel = tonic::transport::Channel::from_shared(format!("http://{two}")).unwrap().connect().await.unwrap();
    let mut displays = DisplayServiceClient::new(channel);
    let link = displays.create_display_link(Service::with_token(&staff, create)).await.unwrap().into_inner();
    let secret = link.path.split('#').nth(1).unwrap().to_owned();
    let (status, answer) = http(one, "POST", "/api/v1/sign-in/display", &[], &format!(r#"{{"link":"{secret}"}}"#)).await;
    assert_eq!(status, 200, "{answer}");
    let mut screen = Socket::signed_in(one, Subprotocol::Proto, &field(&answer, "token")).await;
    let subscribed = screen.subscribe(&open, None).await;
    let position = subscribed.position.unwrap();
    let resume_token = screen.welcome.clone().unwrap().resume_token;

    // Its gateway dies; meanwhile somebody speaks.
    topology.gateways[0].kill();
    assert_eq!(screen.closed().await, None, "without a word");
    let mut member = Member::on(two, Subprotocol::Proto, "member1").await;
    let post = Post {
        conversation: open.clone(),
        client_id: uuid::Uuid::now_v7().to_string(),
        content: Some(Content::Comment(Comment { text: "断线期间的发言".into(), ..Comment::default() })),
    };
    let receipt = member.socket.answer(Asked::Post(post)).await;
    let Frame::Receipt(receipt) = receipt else { panic!("{receipt:?}") };

    // On the other gateway it is the same screen, and has missed nothing.
    let mut screen = Socket::connect(two, Subprotocol::Proto, None).await.unwrap();
    let asked = SignIn {
        credential: Some(Credential::ResumeToken(resume_token)),
        resume: vec![position],
        contract: proto::limits::CONTRACT,
        ..SignIn::default()
    };
    let welcome = screen.answer(Asked::SignIn(asked)).await;
    let Frame::Welcome(welcome) = welcome else { panic!("{welcome:?}") };
    assert_eq!((welcome.person, welcome.display.unwrap().link), (0, link.id.clone()));
    let seq = receipt.position.unwrap().seq;
    let mut resumed = false;
    screen
        .until("the comment it missed", |frame| match &frame.frame {
            Some(Frame::Subscribed(subscribed)) => {
                assert_eq!(subscribed.verdict(), Verdict::Resumed);
                resumed = true;
                None
            }
            Some(Frame::Batch(batch)) => (batch.first_seq..batch.first_seq + u64::from(batch.count)).contains(&seq).then_some(()),
            _ => None,
        })
        .await;
    assert!(resumed);
    let post = Asked::Post(Post { conversation: open.clone(), client_id: uuid::Uuid::now_v7().to_string(), content: None });
    assert!(matches!(screen.answer(post).await, Frame::Refusal(_)));

    // Ended while Redis is away, and its resume token with it.
    topology.redis.nodes().iter_mut().for_each(|node| node.stop());
    let started = Instant::now();
    let end = EndDisplayLinkRequest { id: link.id.clone() };
    displays.end_display_link(Service::with_token(&staff, end)).await.unwrap();
    assert_eq!(screen.closed().await, Some(CloseCode::SessionEnded.code()));
    assert!(started.elapsed() < A_SECOND, "{:?}", started.elapsed());
    println!("a screen was dark after {:?}", started.elapsed());
    let mut back = Socket::connect(two, Subprotocol::Proto, None).await.unwrap();
    let asked =
        SignIn { credential: Some(Credential::ResumeToken(welcome.resume_token)), contract: proto::limits::CONTRACT, ..SignIn::default() };
    let refused = back.answer(Asked::SignIn(asked)).await;
    assert!(matches!(&refused, Frame::Refusal(refusal) if refusal.code() == RefusalCode::SessionEnded), "{refused:?}");
    assert!(matches!(member.socket.answer(Asked::Ping(Ping {})).await, Frame::Pong(_)));
    topology.redis.nodes().iter_mut().for_each(|node| node.cont());
    tokio::time::timeout(Duration::from_secs(30), async { topology.gateways[0].launch().unwrap() }).await.unwrap();
}
