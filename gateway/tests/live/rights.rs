//! Rights and sessions: what chat-core's control log says takes effect on live sockets within a second.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use proto::{
    CloseCode, Subprotocol,
    internal::v1::Concern,
    v1::{RefusalCode, client_frame, server_frame, sign_in::Credential, state::State},
};

use crate::{Hall, client::Client, core::comment};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_stopped_while_a_session_is_ended() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    let mut other = hall.client(2).await;
    client.subscribe(room, None, 0).await.unwrap();
    other.subscribe(room, None, 0).await.unwrap();
    hall.backbone.cut(true);
    let ended = Instant::now();
    hall.core.end_session(1, "session-1");
    assert_eq!(client.closed().await, Some(CloseCode::SessionEnded.code()));
    assert!(ended.elapsed() < Duration::from_secs(1));
    hall.core.append(room, 2, comment("the other one stays")).await;
    other.events(room, 0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_is_lost_ends_the_subscription_within_a_second() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    let mut other = hall.client(2).await;
    client.subscribe(room, None, 0).await.unwrap();
    other.subscribe(room, None, 0).await.unwrap();
    hall.core.with(room, |log| log.denied.insert(1));
    let lost = Instant::now();
    hall.core.change_rights(&[1], None);
    let reason = client.wait(unsubscribed).await;
    assert!(lost.elapsed() < Duration::from_secs(1));
    assert_eq!(reason, RefusalCode::Forbidden);
    hall.core.append(room, 2, comment("not for one")).await;
    other.events(room, 0, 1).await;
    let id = client.send(client_frame::Frame::Ping(proto::v1::Ping {})).await;
    let next = client.wait(|frame| (!matches!(frame.frame, Some(server_frame::Frame::State(_)))).then(|| frame.clone())).await;
    assert_eq!(next.re, id, "nothing of the room came between: {next:?}");
    hall.core.with(room, |log| log.denied.insert(2));
    hall.core.change_rights(&[], Some(room));
    assert_eq!(other.wait(unsubscribed).await, RefusalCode::Forbidden);
}

fn unsubscribed(frame: &proto::v1::ServerFrame) -> Option<RefusalCode> {
    match &frame.frame {
        Some(server_frame::Frame::Unsubscribed(ended)) if frame.re == 0 => ended.reason.as_ref().map(|reason| reason.code()),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn muting_is_told_as_a_post_state() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    assert!(client.subscribe(room, None, 0).await.unwrap().may_post);
    for muted in [true, false] {
        hall.core.with(room, |log| if muted { log.muted.insert(1) } else { log.muted.remove(&1) });
        hall.core.change_rights(&[1], Some(room));
        let told = client
            .wait(|frame| match &frame.frame {
                Some(server_frame::Frame::State(state)) => match &state.state {
                    Some(State::Post(told)) => Some(told.clone()),
                    _ => None,
                },
                _ => None,
            })
            .await;
        assert_eq!(told.may_post, !muted);
        assert_eq!(told.refusal.map(|refusal| refusal.code()), muted.then_some(RefusalCode::Muted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_ticket_and_a_ticket_of_another_origin_are_refused() {
    let hall = Hall::start().await;
    let ticket = hall.core.ticket(1, "s", "");
    let mut first = hall.connect(Subprotocol::Proto).await;
    first.sign_in(Credential::Ticket(ticket.clone()), Vec::new()).await;
    let bound = hall.core.ticket(1, "s", "http://127.0.0.1:8080");
    for ticket in [ticket, bound] {
        let mut client = hall.connect(Subprotocol::Proto).await;
        let sign_in = proto::v1::SignIn {
            credential: Some(Credential::Ticket(ticket)),
            contract: proto::limits::CONTRACT,
            ..proto::v1::SignIn::default()
        };
        client.send(client_frame::Frame::SignIn(sign_in)).await;
        assert_eq!(client.closed().await, Some(CloseCode::CredentialRefused.code()));
    }
    assert!(Client::connect(hall.address, Subprotocol::Proto, "http://elsewhere.example").await.is_err(), "a foreign Origin");
    let bound = hall.core.ticket(1, "s", "http://127.0.0.1:8080");
    let mut client = Client::connect(hall.address, Subprotocol::Proto, "http://127.0.0.1:8080").await.unwrap();
    client.sign_in(Credential::Ticket(bound), Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_for_each_reconnect_is_not_needed_on_any_gateway() {
    let hall = Hall::start().await;
    let other = Hall::over(hall.core.clone(), hall.backbone.clone(), |_| {}).await;
    let room = hall.core.conversation();
    let (mut client, welcome) = hall.signed_in(1, Subprotocol::Proto).await;
    let position = client.subscribe(room, None, 0).await.unwrap().position.unwrap();
    drop(client);
    hall.core.append(room, 2, comment("meanwhile")).await;
    let mut again = other.connect(Subprotocol::Proto).await;
    again.sign_in(Credential::ResumeToken(welcome.resume_token.clone()), vec![position]).await;
    assert_eq!(again.answer(0).await.unwrap().verdict(), proto::v1::Verdict::Resumed);
    again.events(room, 0, 1).await;
    hall.core.end_session(1, "session-1");
    assert_eq!(again.closed().await, Some(CloseCode::SessionEnded.code()));
    let mut ended = other.connect(Subprotocol::Proto).await;
    let sign_in = proto::v1::SignIn {
        credential: Some(Credential::ResumeToken(welcome.resume_token)),
        contract: proto::limits::CONTRACT,
        ..proto::v1::SignIn::default()
    };
    ended.send(client_frame::Frame::SignIn(sign_in)).await;
    assert_eq!(ended.closed().await, Some(CloseCode::SessionEnded.code()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_ends_by_time_is_asked_for_again() {
    let hall = Hall::with(|options| options.hub.heartbeat_ms = 2_000).await;
    let hour = Duration::from_secs(3_600);
    for valid_for in [Duration::from_millis(1), hour] {
        hall.core.valid_ms.store(valid_for.as_millis() as u64, Ordering::Relaxed);
        let room = hall.core.conversation();
        let mut client = hall.client(1).await;
        client.subscribe(room, None, 0).await.unwrap();
        // No event of any log says so.
        hall.core.with(room, |log| log.denied.insert(1));
        if valid_for == hour {
            hall.core.clock.advance(hour);
        }
        assert_eq!(client.wait(unsubscribed).await, RefusalCode::Forbidden);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_older_than_what_the_gateway_knows_is_not_believed() {
    let hall = Hall::start().await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    hall.core.with(room, |log| log.muted.insert(1));
    hall.core.change_rights(&[1], Some(room));
    client.wait(|frame| matches!(frame.frame, Some(server_frame::Frame::State(_))).then_some(())).await;
    let watches = hall.core.watches.load(Ordering::Relaxed);
    hall.core.lags.store(1, Ordering::Relaxed);
    let other = hall.core.conversation();
    let id = client
        .send(client_frame::Frame::Subscribe(proto::v1::Subscribe { conversation: other.to_string(), ..proto::v1::Subscribe::default() }))
        .await;
    let asked_often = || async { (hall.core.watches.load(Ordering::Relaxed) > watches + 2).then_some(()) };
    testkit::eventually(Duration::from_secs(5), "the chat-core that is behind is asked again", asked_often).await;
    hall.core.lags.store(0, Ordering::Relaxed);
    client.answer(id).await.unwrap();
    // Somebody signing in makes nobody's verdict too old.
    let watches = hall.core.watches.load(Ordering::Relaxed);
    hall.core.control(Concern { people: vec![5], ..Concern::default() });
    hall.core.lags.store(1, Ordering::Relaxed);
    let third = hall.core.conversation();
    client.subscribe(third, None, 0).await.unwrap();
    assert_eq!(hall.core.watches.load(Ordering::Relaxed), watches + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_chat_core_nothing_new_is_delivered() {
    let hall = Hall::with(|options| {
        options.hub.trust_silence_s = 1;
        // The same silence, and to be seen from outside.
        options.edge.ready_silence_ms = 1_000;
    })
    .await;
    let room = hall.core.conversation();
    let mut client = hall.client(1).await;
    client.subscribe(room, None, 0).await.unwrap();
    hall.core.append(room, 2, comment("before")).await;
    client.events(room, 0, 1).await;
    hall.core.mute.store(true, Ordering::Relaxed);
    testkit::eventually(Duration::from_secs(5), "no chat-core is heard", || async { (!hall.gateway.ready()).then_some(()) }).await;
    hall.core.append(room, 2, comment("meanwhile")).await;
    let early = tokio::time::timeout(Duration::from_millis(400), client.events(room, 1, 2)).await;
    assert!(early.is_err(), "its rights may be gone");
    hall.core.mute.store(false, Ordering::Relaxed);
    client.events(room, 1, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sockets_of_one_person_are_bounded() {
    let hall = Hall::with(|options| {
        options.hub.cores = 1;
        options.hub.person_sockets_most = 2;
    })
    .await;
    let _first = hall.client(1).await;
    let second = hall.client(1).await;
    let mut third = hall.connect(Subprotocol::Proto).await;
    let credential = Some(Credential::Ticket(hall.core.ticket(1, "s", "")));
    third
        .send(client_frame::Frame::SignIn(proto::v1::SignIn {
            credential,
            contract: proto::limits::CONTRACT,
            ..proto::v1::SignIn::default()
        }))
        .await;
    assert_eq!(third.closed().await, Some(CloseCode::TooManySockets.code()));
    drop(second);
    hall.client(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_concerns_a_person_reaches_all_their_devices() {
    use backbone::Backbone as _;
    use prost::Message as _;
    use proto::{
        internal::v1::{Hint, PersonHint, ReadMark, hint, person_hint::What},
        v1::{Change, Changes},
    };
    let hall = Hall::start().await;
    let mut devices = [hall.client(1).await, hall.signed_in(1, Subprotocol::Json).await.0];
    let mut other = hall.client(2).await;
    let room = hall.core.conversation().to_string();
    let change = Change { subject: "conversations".to_owned(), id: room.clone(), version: 1, ..Change::default() };
    for what in [What::Read(ReadMark { person: 1, conversation: room, mseq: 4 }), What::Change(change.clone())] {
        let hint = Hint { hint: Some(hint::Hint::Person(PersonHint { person: 1, what: Some(what) })) };
        hall.backbone.publish(proto::partition_of_person(1), hint.encode_to_vec().into()).await.unwrap();
    }
    let expected = Changes { changed: vec![change], ..Changes::default() };
    for device in &mut devices {
        device.wait(|frame| matches!(&frame.frame, Some(server_frame::Frame::ReadMoved(moved)) if moved.mseq == 4).then_some(())).await;
        device
            .wait(|frame| matches!(&frame.frame, Some(server_frame::Frame::Changes(changes)) if *changes == expected).then_some(()))
            .await;
    }
    let id = other.send(client_frame::Frame::Ping(proto::v1::Ping {})).await;
    assert_eq!(other.next().await.unwrap().re, id);
}
