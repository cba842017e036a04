//! Accounts, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::time::Duration;

use chat_core::seed;
use clock::Clock;
use common::{Core, Database, SOON, by, by_session};
use kernel::{
    execute, fetch_one,
    store::{Store, StoreOptions},
};
use proto::{
    internal::v1::{
        CheckSessionsRequest, FollowControlRequest, IssueTicketsRequest, RedeemTicketsRequest, SignInByLinkRequest, SignInRequest,
        SignedIn, TicketFor, TicketShown, control_event::Kind, sign_in_response::Outcome,
    },
    v1::{
        ChangePasswordRequest, CreateSignInLinkRequest, EndOtherSessionsRequest, ListSessionsRequest, Refusal, RefusalCode,
        UpdatePersonRequest,
    },
};

async fn try_sign_in(core: &mut Core, login: &str, password: &str, address: &str) -> Result<SignedIn, Refusal> {
    let request = SignInRequest {
        login: login.into(),
        password: password.into(),
        client: "test".into(),
        address: address.into(),
        loopback: address != "203.0.113.9",
    };
    match core.edge.sign_in(request).await.unwrap().into_inner().outcome.unwrap() {
        Outcome::SignedIn(signed_in) => Ok(signed_in),
        Outcome::Refusal(refusal) => Err(refusal),
    }
}

async fn by_link(core: &mut Core, link: &str, new_password: &str) -> Result<SignedIn, Refusal> {
    let request =
        SignInByLinkRequest { link: link.into(), new_password: new_password.into(), client: "test".into(), address: "127.0.0.1".into() };
    match core.edge.sign_in_by_link(request).await.unwrap().into_inner().outcome.unwrap() {
        Outcome::SignedIn(signed_in) => Ok(signed_in),
        Outcome::Refusal(refusal) => Err(refusal),
    }
}

async fn lives(core: &mut Core, token: &str) -> bool {
    core.edge
        .check_sessions(CheckSessionsRequest { tokens: vec![token.into()] })
        .await
        .unwrap()
        .into_inner()
        .sessions
        .remove(0)
        .identity
        .is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_and_demo_people_are_of_this_machine() {
    for database in Database::both() {
        let (mut core, _) = Core::seeded(&database.url()).await;
        let code = |result: Result<SignedIn, Refusal>| result.map(|_| ()).map_err(|refusal| refusal.code());
        assert_eq!(code(try_sign_in(&mut core, "Member1 ", seed::PASSWORD, "127.0.0.1").await), Ok(()), "logins are folded");
        assert_eq!(code(try_sign_in(&mut core, "member1", seed::PASSWORD, "203.0.113.9").await), Err(RefusalCode::Forbidden));
        // Whether there is such an account cannot be told from the answer.
        assert_eq!(code(try_sign_in(&mut core, "nobody", "wrong", "127.0.0.1").await), Err(RefusalCode::PasswordWrong));
        for _ in 0..8 {
            assert_eq!(code(try_sign_in(&mut core, "member2", "wrong", "127.0.0.1").await), Err(RefusalCode::PasswordWrong));
        }
        let limited = try_sign_in(&mut core, "member2", seed::PASSWORD, "127.0.0.1").await.unwrap_err();
        assert_eq!(limited.code(), RefusalCode::RateLimited);
        assert!((1..=30_000).contains(&limited.retry_after_ms), "{limited:?}");
        assert_eq!(code(try_sign_in(&mut core, "member3", seed::PASSWORD, "127.0.0.1").await), Ok(()), "others are not held up");
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once_for_its_origin_and_for_half_a_minute() {
    for database in Database::both() {
        let core = Core::start_with(&database.url(), std::sync::Arc::new(backbone::MemoryBackbone::new(64)), |options| {
            options.accounts.ticket_ms = 700
        })
        .await;
        seed::seed_demo(core.core.as_ref().unwrap()).await.unwrap();
        let mut core = core;
        let signed_in = try_sign_in(&mut core, "member1", seed::PASSWORD, "127.0.0.1").await.unwrap();
        let session = signed_in.identity.unwrap().session;
        let wanted = |session: &str, origin: &str| TicketFor { session: session.into(), origin: origin.into() };
        let asked =
            vec![wanted(&session, "http://a"), wanted(&uuid::Uuid::new_v4().to_string(), ""), wanted(&session, ""), wanted(&session, "")];
        let tickets = core.edge.issue_tickets(IssueTicketsRequest { wanted: asked }).await.unwrap().into_inner().tickets;
        assert!(tickets[1].is_empty() && !tickets[0].is_empty() && tickets[0] != tickets[2]);
        let shown = |ticket: &String, origin: &str| TicketShown { ticket: ticket.clone(), origin: origin.into() };
        let mut redeem = async |shown: Vec<TicketShown>| -> Vec<bool> {
            let answer = core.edge.redeem_tickets(RedeemTicketsRequest { shown }).await.unwrap().into_inner();
            answer.redeemed.into_iter().map(|one| one.identity.is_some()).collect()
        };
        // Of another origin: refused, and used up by it; twice in one batch: once.
        assert_eq!(
            redeem(vec![shown(&tickets[0], "http://b"), shown(&tickets[2], ""), shown(&tickets[2], "")]).await,
            [false, true, false]
        );
        assert_eq!(redeem(vec![shown(&tickets[0], "http://a"), shown(&tickets[2], "")]).await, [false, false]);
        tokio::time::sleep(Duration::from_millis(800)).await;
        assert_eq!(redeem(vec![shown(&tickets[3], "")]).await, [false], "too old");
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_good_once_and_sets_a_password() {
    for database in Database::both() {
        let mut core = Core::start(&database.url()).await;
        // Nobody is here: the first operator, by a link that is good once. Asked again, the first link is good no more.
        let first = core.core.as_ref().unwrap().first_operator_link().await.unwrap().unwrap();
        let second = core.core.as_ref().unwrap().first_operator_link().await.unwrap().unwrap();
        let secret = |path: &str| path.rsplit_once('#').unwrap().1.to_owned();
        assert_eq!(by_link(&mut core, &secret(&first.path), "").await.unwrap_err().code(), RefusalCode::LinkInvalid);
        assert_eq!(by_link(&mut core, &secret(&second.path), "short").await.unwrap_err().code(), RefusalCode::PasswordWeak);
        let operator = by_link(&mut core, &secret(&second.path), "a long enough secret").await.unwrap();
        assert_eq!(by_link(&mut core, &secret(&second.path), "").await.unwrap_err().code(), RefusalCode::LinkInvalid);
        assert!(core.core.as_ref().unwrap().first_operator_link().await.unwrap().is_none(), "somebody is here now");
        assert!(try_sign_in(&mut core, "operator", "a long enough secret", "203.0.113.9").await.is_ok());

        // The operator's hand for somebody else, and a password changed ends the other sessions.
        let identity = operator.identity.unwrap();
        let create = proto::v1::CreatePersonRequest { login: "wang".into(), name: "王芳".into(), organisation: 1, roles: vec![1] };
        let person = core.directory.create_person(by(identity.person, create.clone())).await.unwrap().into_inner();
        let again = core.directory.create_person(by(identity.person, create)).await.unwrap_err();
        assert_eq!(Refusal::from_status(&again).code(), RefusalCode::Conflict);
        let link = core
            .directory
            .create_sign_in_link(by(identity.person, CreateSignInLinkRequest { person: person.id }))
            .await
            .unwrap()
            .into_inner();
        let entered = by_link(&mut core, &secret(&link.path), "").await.unwrap();
        let mine = entered.identity.unwrap().session;
        let other = try_sign_in(&mut core, "operator", "a long enough secret", "127.0.0.1").await.unwrap();
        let set = ChangePasswordRequest { old_password: String::new(), new_password: "another good secret".into() };
        core.accounts.change_password(by_session(person.id, &mine, set)).await.unwrap();
        let wrong = ChangePasswordRequest { old_password: "wrong".into(), new_password: "yet another secret".into() };
        let refused = core.accounts.change_password(by_session(person.id, &mine, wrong)).await.unwrap_err();
        assert_eq!(Refusal::from_status(&refused).code(), RefusalCode::PasswordWrong);
        assert!(lives(&mut core, &entered.token).await && lives(&mut core, &other.token).await);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_everybody_who_follows_hears_of_it() {
    for database in Database::both() {
        let (mut core, _) = Core::seeded(&database.url()).await;
        let mut told = core.edge.follow_control(FollowControlRequest::default()).await.unwrap().into_inner();
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(try_sign_in(&mut core, "member9", seed::PASSWORD, "127.0.0.1").await.unwrap());
        }
        let mine = sessions[0].identity.clone().unwrap();
        let listed = core
            .accounts
            .list_sessions(by_session(mine.person, &mine.session, ListSessionsRequest {}))
            .await
            .unwrap()
            .into_inner()
            .sessions;
        assert_eq!((listed.len(), listed.iter().filter(|one| one.current).count()), (3, 1));
        let ended = core.accounts.end_other_sessions(by_session(mine.person, &mine.session, EndOtherSessionsRequest {})).await.unwrap();
        assert_eq!(ended.into_inner().ended, 2);
        assert!(lives(&mut core, &sessions[0].token).await);
        assert!(!lives(&mut core, &sessions[1].token).await && !lives(&mut core, &sessions[2].token).await);
        let mut heard = Vec::new();
        while heard.len() < 2 {
            let batch = tokio::time::timeout(SOON, told.message()).await.unwrap().unwrap().unwrap();
            for event in batch.events {
                if let Some(Kind::SessionEnded(ended)) = event.kind {
                    assert_eq!((event.by, ended.person), (mine.person, mine.person));
                    heard.push(ended.session);
                }
            }
        }
        assert!(sessions[1..].iter().all(|one| heard.contains(&one.identity.as_ref().unwrap().session)));

        // Who is disabled is out, and cannot come in again.
        let staff = core.person("staff1").await;
        let person = core
            .directory
            .get_people(by(staff, proto::v1::GetPeopleRequest { ids: vec![mine.person] }))
            .await
            .unwrap()
            .into_inner()
            .people
            .remove(0);
        let disable = UpdatePersonRequest {
            id: person.id,
            name: person.name.clone(),
            organisation: person.organisation,
            roles: person.roles.clone(),
            disabled: true,
        };
        core.directory.update_person(by(staff, disable)).await.unwrap();
        assert!(!lives(&mut core, &sessions[0].token).await);
        assert_eq!(try_sign_in(&mut core, "member9", seed::PASSWORD, "127.0.0.1").await.unwrap_err().code(), RefusalCode::AccountDisabled);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_with_a_password_while_it_is_changed_is_not_let_in() {
    let database = Database::postgres();
    let (mut core, _) = Core::seeded(&database.url()).await;
    let mut later = core.edge.clone();
    let store = Store::open(&StoreOptions { url: database.url(), lock_timeout_ms: 30_000, ..StoreOptions::default() }, Clock::default())
        .await
        .unwrap();
    let mut changing = store.begin().await.unwrap();
    // The new one is written, and not committed: whoever asks now still sees the old one.
    execute!(changing, "UPDATE people SET password = 'another' WHERE login = 'member1'").unwrap();
    let request = SignInRequest {
        login: "member1".into(),
        password: seed::PASSWORD.into(),
        client: "test".into(),
        address: "127.0.0.1".into(),
        loopback: true,
    };
    let signing_in = tokio::spawn(async move { later.sign_in(request).await.unwrap().into_inner().outcome.unwrap() });
    testkit::eventually(SOON, "it waits for who changes the password", || async {
        let (waiting,): (i64,) = fetch_one!(store, (i64,), "SELECT count(*) FROM pg_locks WHERE NOT granted").unwrap();
        (waiting > 0).then_some(())
    })
    .await;
    changing.commit().await.unwrap();
    let Outcome::Refusal(refusal) = signing_in.await.unwrap() else { panic!("let in") };
    assert_eq!(refusal.code(), RefusalCode::PasswordWrong);
    assert!(try_sign_in(&mut core, "member2", seed::PASSWORD, "127.0.0.1").await.is_ok());
    core.stop().await;
}
