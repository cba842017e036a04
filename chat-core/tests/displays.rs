//! Display links and the call to all invited, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::sync::Arc;

use backbone::MemoryBackbone;
use chat_core::seed;
use common::{Core, Database, SOON, by, code, comment};
use proto::{
    internal::v1::{
        CheckSessionsRequest, Concern, ControlEvent, EndSessionRequest, FindAudienceRequest, Identity, IssueTicketsRequest,
        MarkReadRequest, ReadMark, RedeemTicketsRequest, SignInByDisplayRequest, SignedIn, TicketFor, TicketShown, WatchAsk, WatchRequest,
        WatchVerdict, control_event::Kind, sign_in_response::Outcome,
    },
    metadata,
    v1::{
        Audience, CallConsultationRequest, Consultation, ConsultationBrief, ConsultationState, CreateConsultationRequest,
        CreateDisplayLinkRequest, DisplayLink, EndDisplayLinkRequest, GetConsultationRequest, GetPeopleRequest, ListConsultationsRequest,
        ListDisplayLinksRequest, ListOrganisationsRequest, Refusal, RefusalCode, Role, SearchPeopleRequest, UpdateConsultationRequest,
        UpdatePersonRequest, change::Brief,
    },
};
use tokio::sync::mpsc;
use tonic::Request;

fn now_ms() -> i64 {
    clock::Clock::default().now_ms()
}

async fn link(core: &mut Core, person: u32, id: &str) -> DisplayLink {
    let asked = CreateDisplayLinkRequest { id: id.into(), label: "主会场左侧".into(), expires_ms: 0 };
    core.displays.create_display_link(by(person, asked)).await.unwrap().into_inner()
}

fn secret(link: &DisplayLink) -> String {
    link.path.split('#').nth(1).unwrap().to_owned()
}

async fn sign_in(core: &mut Core, secret: &str) -> Result<SignedIn, Refusal> {
    let asked = SignInByDisplayRequest { link: secret.into(), client: "hall".into(), address: "127.0.0.1".into() };
    match core.edge.sign_in_by_display(asked).await.unwrap().into_inner().outcome.unwrap() {
        Outcome::SignedIn(signed_in) => Ok(signed_in),
        Outcome::Refusal(refusal) => Err(refusal),
    }
}

async fn who(core: &mut Core, token: &str) -> Option<Identity> {
    core.edge.check_sessions(CheckSessionsRequest { tokens: vec![token.into()] }).await.unwrap().into_inner().sessions.remove(0).identity
}

async fn ticket(core: &mut Core, session: &str) -> String {
    let wanted = vec![TicketFor { session: session.into(), origin: String::new() }];
    core.edge.issue_tickets(IssueTicketsRequest { wanted }).await.unwrap().into_inner().tickets.remove(0)
}

async fn redeem(core: &mut Core, ticket: &str) -> Option<Identity> {
    let shown = vec![TicketShown { ticket: ticket.into(), origin: String::new() }];
    core.edge.redeem_tickets(RedeemTicketsRequest { shown }).await.unwrap().into_inner().redeemed.remove(0).identity
}

/// As a gateway asks for the screen of this identity.
async fn watch(core: &mut Core, screen: &Identity, conversation: &str) -> WatchVerdict {
    let ask = WatchAsk {
        person: screen.person,
        session: screen.session.clone(),
        conversation: conversation.into(),
        display: screen.display.as_ref().unwrap().link.clone(),
    };
    core.edge.watch(WatchRequest { asks: vec![ask] }).await.unwrap().into_inner().verdicts.remove(0)
}

async fn refused(core: &mut Core, screen: &Identity, conversation: &str) -> Option<RefusalCode> {
    watch(core, screen, conversation).await.refusal.map(|refusal| refusal.code())
}

/// A public call as the edge sends it for a screen.
fn by_screen<T>(screen: &Identity, message: T) -> Request<T> {
    let mut request = common::by_session(screen.person, &screen.session, message);
    request.metadata_mut().insert(metadata::DISPLAY, screen.display.as_ref().unwrap().link.parse().unwrap());
    request
}

async fn next(control: &mut mpsc::UnboundedReceiver<ControlEvent>) -> ControlEvent {
    tokio::time::timeout(SOON, control.recv()).await.expect("an event in time").expect("the stream goes on")
}

/// Who changed rules by this event.
fn who_changed(event: &ControlEvent) -> Option<u32> {
    matches!(event.kind, Some(Kind::RulesChanged(_))).then_some(event.by)
}

/// Who called whom to what by this event.
fn who_called(event: &ControlEvent) -> Option<(u32, String)> {
    match &event.kind {
        Some(Kind::ConsultationCalled(called)) if called.called_ms > 0 => Some((event.by, called.conversation.clone())),
        _ => None,
    }
}

/// What is told unasked of a consultation.
fn brief(concern: &Concern) -> Option<&ConsultationBrief> {
    match concern.change.as_ref()?.brief.as_ref()? {
        Brief::Consultation(brief) => Some(brief),
        Brief::Conversation(_) => None,
    }
}

async fn coming(core: &mut Core, person: u32) -> Consultation {
    let asked = ListConsultationsRequest { states: vec![ConsultationState::Scheduled.into()], ..Default::default() };
    core.consultations.list_consultations(by(person, asked)).await.unwrap().into_inner().consultations.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_link_is_good_again_and_again_until_it_is_ended() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let (staff, member) = (core.person("staff1").await, core.person("member1").await);
        let mut log = core.follow_control().await;
        let create = CreateDisplayLinkRequest { id: open.clone(), ..Default::default() };
        assert_eq!(code(core.displays.create_display_link(by(member, create)).await.unwrap_err()), RefusalCode::Forbidden);
        let made = link(&mut core, staff, &open).await;
        assert!(made.path.starts_with(&format!("/hall/{open}#")) && secret(&made).len() == 43, "{made:?}");
        let day_and_more = 24 * 3_600_000..=15 * 24 * 3_600_000;
        assert!(day_and_more.contains(&(made.expires_ms - now_ms())), "{made:?}");
        let created = next(&mut log).await;
        assert_eq!(created.by, staff);
        assert!(matches!(&created.kind, Some(Kind::DisplayLinkCreated(created)) if created.link == made.id), "{created:?}");

        // A screen is switched on, off, and on again.
        let first = sign_in(&mut core, &secret(&made)).await.unwrap();
        let second = sign_in(&mut core, &secret(&made)).await.unwrap();
        let screen = first.identity.clone().unwrap();
        let scope = screen.display.clone().unwrap();
        assert_eq!((scope.link, scope.conversation), (made.id.clone(), open.clone()));
        assert!(proto::display::is_screen(screen.person) && screen.path.is_empty());
        assert_ne!(first.token, second.token);
        for token in [&first.token, &second.token] {
            assert!(who(&mut core, token).await.unwrap().display.is_some());
        }
        let shown = ticket(&mut core, &screen.session).await;
        assert_eq!(redeem(&mut core, &shown).await.unwrap().display, screen.display);
        assert!(redeem(&mut core, &shown).await.is_none(), "a ticket is good once");

        // It shows its one consultation, and nothing else there is.
        let verdict = watch(&mut core, &screen, &open).await;
        assert!(verdict.refusal.is_none() && !verdict.may_post && !verdict.may_moderate && verdict.read_mseq == 0, "{verdict:?}");
        assert!(verdict.valid_until_ms > now_ms() && verdict.valid_until_ms <= made.expires_ms);
        let other = coming(&mut core, staff).await.id;
        assert_eq!(refused(&mut core, &screen, &other).await, Some(RefusalCode::NotFound));
        assert_eq!(refused(&mut core, &screen, kernel::control::CONTROL.to_string().as_str()).await, Some(RefusalCode::NotFound));
        let list = ListDisplayLinksRequest { id: open.clone() };
        let listed = testkit::eventually(SOON, "that it was seen", || {
            let (mut displays, list) = (core.displays.clone(), list.clone());
            async move {
                let links = displays.list_display_links(by(staff, list)).await.unwrap().into_inner().links;
                (links[0].last_seen_ms > 0).then(|| links[0].clone())
            }
        })
        .await;
        assert_eq!((listed.path.as_str(), listed.label.as_str(), listed.created_by), ("", "主会场左侧", staff));
        assert_eq!(code(core.displays.list_display_links(by(member, list.clone())).await.unwrap_err()), RefusalCode::Forbidden);

        // Ended: nothing it gave is good for anything any more.
        let kept = ticket(&mut core, &screen.session).await;
        let end = EndDisplayLinkRequest { id: made.id.clone() };
        assert_eq!(code(core.displays.end_display_link(by(member, end.clone())).await.unwrap_err()), RefusalCode::Forbidden);
        let ended = core.displays.end_display_link(by(staff, end.clone())).await.unwrap().into_inner();
        assert!(ended.ended_ms > 0 && ended.ended_by == staff);
        let again = core.displays.end_display_link(by(staff, end)).await.unwrap().into_inner();
        assert_eq!(again, ended, "ended once");
        let mut gone = Vec::new();
        loop {
            let event = next(&mut log).await;
            match event.kind.unwrap() {
                Kind::SessionEnded(session) => gone.push(session.session),
                Kind::DisplayLinkEnded(link) => {
                    assert_eq!((event.by, link.link.as_str()), (staff, made.id.as_str()));
                    break;
                }
                _ => {}
            }
        }
        gone.sort();
        let mut both = [screen.session.clone(), second.identity.unwrap().session];
        both.sort();
        assert_eq!(gone, both);
        assert_eq!(sign_in(&mut core, &secret(&made)).await.unwrap_err().code(), RefusalCode::LinkInvalid);
        assert!(who(&mut core, &first.token).await.is_none() && who(&mut core, &second.token).await.is_none());
        assert!(ticket(&mut core, &screen.session).await.is_empty());
        assert!(redeem(&mut core, &kept).await.is_none());
        assert_eq!(refused(&mut core, &screen, &open).await, Some(RefusalCode::SessionEnded));
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_reads_names_and_its_consultation_and_does_nothing() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let staff = core.person("staff1").await;
        let (speaker, silent) = (core.person("member1").await, core.person("member2").await);
        core.submit(speaker, comment(&open, "a word")).await.unwrap();
        let made = link(&mut core, staff, &open).await;
        let screen = sign_in(&mut core, &secret(&made)).await.unwrap().identity.unwrap();

        let shown = core.consultations.get_consultation(by_screen(&screen, GetConsultationRequest { id: open.clone() })).await;
        let shown = shown.unwrap().into_inner();
        assert!(!shown.title.is_empty() && shown.comments == 1 && shown.people_spoke == 1);
        assert!(shown.watch.is_none() && shown.post.is_none() && shown.moderators.is_empty() && shown.created_by == 0 && !shown.may_manage);
        let other = GetConsultationRequest { id: coming(&mut core, staff).await.id };
        assert_eq!(code(core.consultations.get_consultation(by_screen(&screen, other)).await.unwrap_err()), RefusalCode::NotFound);
        let names = GetPeopleRequest { ids: vec![speaker, silent, staff, screen.person] };
        let people = core.directory.get_people(by_screen(&screen, names)).await.unwrap().into_inner().people;
        assert_eq!(people.len(), 1, "the names to what it shows, and not the directory: {people:?}");
        assert!(people[0].id == speaker && !people[0].name.is_empty() && people[0].roles.is_empty() && people[0].login.is_empty());
        let tree = core.directory.list_organisations(by_screen(&screen, ListOrganisationsRequest {})).await.unwrap().into_inner();
        assert!(tree.organisations.len() > 100);

        // Everything else is for people; the whole list is tried from outside in yitang/tests/displays.rs.
        let search = SearchPeopleRequest { text: "王".into(), ..Default::default() };
        assert_eq!(code(core.directory.search_people(by_screen(&screen, search)).await.unwrap_err()), RefusalCode::Forbidden);
        let call = CallConsultationRequest { id: open.clone() };
        assert_eq!(code(core.consultations.call_consultation(by_screen(&screen, call)).await.unwrap_err()), RefusalCode::Forbidden);
        let more = CreateDisplayLinkRequest { id: open.clone(), ..Default::default() };
        assert_eq!(code(core.displays.create_display_link(by_screen(&screen, more)).await.unwrap_err()), RefusalCode::Forbidden);
        // Nor does its number open anything where a gateway forgot to say that it is a screen.
        assert_eq!(core.submit(screen.person, comment(&open, "from the wall")).await.unwrap_err().code(), RefusalCode::NotFound);
        let ask = WatchAsk { person: screen.person, conversation: open.clone(), ..WatchAsk::default() };
        let verdict = core.edge.watch(WatchRequest { asks: vec![ask] }).await.unwrap().into_inner().verdicts.remove(0);
        assert_eq!(verdict.refusal.unwrap().code(), RefusalCode::Unauthenticated);
        let mark = ReadMark { person: screen.person, conversation: open.clone(), mseq: 1 };
        assert_eq!(core.edge.mark_read(MarkReadRequest { marks: vec![mark] }).await.unwrap().into_inner().mseq, [0]);

        // A screen may sign out; others of its link go on.
        let more = sign_in(&mut core, &secret(&made)).await.unwrap();
        core.edge.end_session(EndSessionRequest { session: screen.session.clone() }).await.unwrap();
        assert!(ticket(&mut core, &screen.session).await.is_empty());
        assert!(who(&mut core, &more.token).await.is_some());
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_as_good_as_its_makers_right_and_its_time() {
    for database in Database::both() {
        let backbone = Arc::new(MemoryBackbone::new(1_024));
        let mut core = Core::start_with(&database.url(), backbone, |options| {
            options.displays.links_per_consultation = 3;
            options.accounts.sessions_per_link = 2;
            options.displays.link_most_s = 3_600;
        })
        .await;
        let open = seed::seed_demo(core.core.as_ref().unwrap()).await.unwrap().open;
        let (staff, operator) = (core.person("staff2").await, core.person("staff1").await);
        let made = link(&mut core, staff, &open).await;
        assert!((made.expires_ms - now_ms()) <= 3_600_000, "the default is bounded too: {made:?}");
        let screen = sign_in(&mut core, &secret(&made)).await.unwrap().identity.unwrap();
        assert_eq!(refused(&mut core, &screen, &open).await, None);

        // Its maker is not staff any more, for a while.
        let me =
            core.directory.get_people(by(operator, GetPeopleRequest { ids: vec![staff] })).await.unwrap().into_inner().people.remove(0);
        let update = |roles: Vec<i32>| UpdatePersonRequest {
            id: staff,
            name: me.name.clone(),
            organisation: me.organisation,
            roles,
            disabled: false,
        };
        core.directory.update_person(by(operator, update(vec![Role::Member.into()]))).await.unwrap();
        assert_eq!(refused(&mut core, &screen, &open).await, Some(RefusalCode::Forbidden));
        let names = GetPeopleRequest { ids: vec![staff] };
        assert_eq!(code(core.directory.get_people(by_screen(&screen, names)).await.unwrap_err()), RefusalCode::Forbidden);
        core.directory.update_person(by(operator, update(me.roles.clone()))).await.unwrap();
        assert_eq!(refused(&mut core, &screen, &open).await, None);

        // Made for a draft, it is signed in before there is anything to show.
        let draft = CreateConsultationRequest { client_id: "d".into(), organisation: 1, title: "草稿".into(), ..Default::default() };
        let draft = core.consultations.create_consultation(by(staff, draft)).await.unwrap().into_inner().id;
        let soon = link(&mut core, staff, &draft).await;
        let early = sign_in(&mut core, &secret(&soon)).await.unwrap().identity.unwrap();
        let verdict = watch(&mut core, &early, &draft).await.refusal.unwrap();
        assert!(verdict.code() == RefusalCode::NotOpen && verdict.retry_after_ms > 0, "{verdict:?}");
        core.set_state(staff, &draft, ConsultationState::Open).await;
        assert_eq!(refused(&mut core, &early, &draft).await, None);
        core.set_state(staff, &draft, ConsultationState::Closed).await;
        assert_eq!(refused(&mut core, &early, &draft).await, None, "what was said stands on the wall after the end");

        // Bounds: times, links of a consultation, sessions of a link.
        for expires_ms in [1, now_ms() - 1, now_ms() + 2 * 3_600_000] {
            let asked = CreateDisplayLinkRequest { id: open.clone(), label: String::new(), expires_ms };
            let refusal = Refusal::from_status(&core.displays.create_display_link(by(staff, asked)).await.unwrap_err());
            assert_eq!((refusal.code(), refusal.field.as_str()), (RefusalCode::Invalid, "expires_ms"));
        }
        let brief = CreateDisplayLinkRequest { id: open.clone(), label: String::new(), expires_ms: now_ms() + 1_500 };
        let brief = core.displays.create_display_link(by(staff, brief)).await.unwrap().into_inner();
        let passing = sign_in(&mut core, &secret(&brief)).await.unwrap();
        assert_eq!(passing.identity.as_ref().unwrap().session_expires_ms, brief.expires_ms);
        let verdict = watch(&mut core, passing.identity.as_ref().unwrap(), &open).await;
        assert_eq!(verdict.valid_until_ms, brief.expires_ms, "the gateway asks again when it expires");
        link(&mut core, staff, &open).await;
        let more = CreateDisplayLinkRequest { id: open.clone(), ..Default::default() };
        assert_eq!(code(core.displays.create_display_link(by(staff, more)).await.unwrap_err()), RefusalCode::TooLarge);
        testkit::eventually(SOON, "the end of its time", || async { (now_ms() > brief.expires_ms).then_some(()) }).await;
        assert!(who(&mut core, &passing.token).await.is_none());
        assert_eq!(refused(&mut core, passing.identity.as_ref().unwrap(), &open).await, Some(RefusalCode::SessionEnded));
        assert_eq!(sign_in(&mut core, &secret(&brief)).await.unwrap_err().code(), RefusalCode::LinkInvalid);
        link(&mut core, staff, &open).await;
        let tokens = [sign_in(&mut core, &secret(&made)).await.unwrap().token, sign_in(&mut core, &secret(&made)).await.unwrap().token];
        assert!(ticket(&mut core, &screen.session).await.is_empty(), "one more than may be: the oldest ends");
        assert!(who(&mut core, &tokens[0]).await.is_some() && who(&mut core, &tokens[1]).await.is_some());
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_display_links_is_slowed() {
    let database = Database::sqlite();
    let backbone = Arc::new(MemoryBackbone::new(1_024));
    let mut core = Core::start_with(&database.url(), backbone, |options| options.accounts.failures_per_address = 3).await;
    seed::seed_demo(core.core.as_ref().unwrap()).await.unwrap();
    let guess = "x".repeat(43);
    for _ in 0..3 {
        assert_eq!(sign_in(&mut core, &guess).await.unwrap_err().code(), RefusalCode::LinkInvalid);
    }
    let refusal = sign_in(&mut core, &guess).await.unwrap_err();
    assert!(refusal.code() == RefusalCode::RateLimited && refusal.retry_after_ms > 0);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_is_an_event_of_whoever_runs_the_meeting_and_not_more_often_than_allowed() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let (staff, member) = (core.person("staff1").await, core.person("member1").await);
        let coming = coming(&mut core, staff).await;
        assert_eq!(coming.called_ms, 0);
        let mut log = core.follow_control().await;
        let call = |id: &str| CallConsultationRequest { id: id.into() };
        assert_eq!(code(core.consultations.call_consultation(by(member, call(&coming.id))).await.unwrap_err()), RefusalCode::Forbidden);
        let called = core.consultations.call_consultation(by(staff, call(&coming.id))).await.unwrap().into_inner();
        assert!((called.called_ms - now_ms()).abs() < 10_000 && called.version == coming.version, "{called:?}");
        let event = next(&mut log).await;
        assert_eq!(event.by, staff);
        assert!(matches!(&event.kind, Some(Kind::ConsultationCalled(event)) if event.called_ms == called.called_ms), "{event:?}");
        let refusal = Refusal::from_status(&core.consultations.call_consultation(by(staff, call(&coming.id))).await.unwrap_err());
        assert_eq!(refusal.code(), RefusalCode::RateLimited);
        assert!((50_000..=60_000).contains(&refusal.retry_after_ms), "{refusal:?}");
        // Whoever signs in later finds it in the list.
        let listed = core.consultations.list_consultations(by(member, ListConsultationsRequest::default())).await.unwrap().into_inner();
        assert_eq!(listed.consultations.iter().find(|one| one.id == coming.id).unwrap().called_ms, called.called_ms);

        // Opening calls by itself, by hand and by the clock; a pause and its end do not.
        core.set_state(staff, &coming.id, ConsultationState::Open).await;
        let opened = next(&mut log).await;
        assert!(matches!(opened.kind, Some(Kind::RulesChanged(_))), "{opened:?}");
        let concern = opened.concern.unwrap();
        assert!(brief(&concern).is_some_and(|brief| brief.state() == ConsultationState::Open) && concern.before.is_empty(), "{concern:?}");
        assert_eq!(who_called(&next(&mut log).await), Some((staff, coming.id.clone())));
        for state in [ConsultationState::Paused, ConsultationState::Open] {
            core.set_state(staff, &coming.id, state).await;
            assert_eq!(who_changed(&next(&mut log).await), Some(staff));
        }
        let soon = CreateConsultationRequest {
            client_id: "soon".into(),
            organisation: 1,
            title: "按时".into(),
            opens_ms: now_ms() + 300,
            ..Default::default()
        };
        let soon = core.consultations.create_consultation(by(staff, soon)).await.unwrap().into_inner();
        assert_eq!(who_changed(&next(&mut log).await), Some(staff));
        assert_eq!(who_changed(&next(&mut log).await), Some(0));
        assert_eq!(who_called(&next(&mut log).await), Some((0, soon.id.clone())));

        // A draft is shown to nobody, and what is closed does not begin.
        let draft = CreateConsultationRequest { client_id: "d".into(), organisation: 1, title: "草稿".into(), ..Default::default() };
        let draft = core.consultations.create_consultation(by(staff, draft)).await.unwrap().into_inner().id;
        assert_eq!(code(core.consultations.call_consultation(by(staff, call(&draft))).await.unwrap_err()), RefusalCode::NotOpen);
        assert_eq!(code(core.consultations.call_consultation(by(member, call(&draft))).await.unwrap_err()), RefusalCode::NotFound);
        core.set_state(staff, &open, ConsultationState::Closed).await;
        assert_eq!(code(core.consultations.call_consultation(by(staff, call(&open))).await.unwrap_err()), RefusalCode::Closed);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_to_hear_is_judged_by_the_rules_that_stand_and_those_before() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let (staff, a, b) = (core.person("staff1").await, core.person("member1").await, core.person("member2").await);
        let mut log = core.follow_control().await;
        let people = vec![staff, a, b, 4_000_000, proto::display::FROM];
        let asked = FindAudienceRequest { conversation: open.clone(), people: people.clone(), ..Default::default() };
        let answer = core.edge.find_audience(asked.clone()).await.unwrap().into_inner();
        assert_eq!((answer.may_watch, answer.gone), (vec![staff, a, b], vec![]));

        // Narrowed to one: the event carries whom it was shown to, so that they can be told that it is gone.
        let now = core.consultations.get_consultation(by(staff, GetConsultationRequest { id: open.clone() })).await.unwrap().into_inner();
        let only = Some(Audience { people: vec![a], ..Audience::default() });
        let update = UpdateConsultationRequest {
            id: open.clone(),
            version: now.version,
            title: now.title.clone(),
            watch: only.clone(),
            post: only,
            moderators: now.moderators.clone(),
            ..Default::default()
        };
        core.consultations.update_consultation(by(staff, update)).await.unwrap();
        let changed = next(&mut log).await;
        assert_eq!(who_changed(&changed), Some(staff), "{changed:?}");
        let concern = changed.concern.unwrap();
        let told = brief(&concern).expect("what a list shows of it");
        assert!(told.id == open && told.state() == ConsultationState::Open && !told.title.is_empty() && told.version == now.version + 1);
        assert_eq!(concern.before, [now.watch.unwrap(), now.post.unwrap()]);
        let answer = core.edge.find_audience(FindAudienceRequest { before: concern.before, ..asked.clone() }).await.unwrap().into_inner();
        assert_eq!((answer.may_watch, answer.gone), (vec![staff, a], vec![b]));
        let unknown = FindAudienceRequest { conversation: uuid::Uuid::new_v4().to_string(), people, ..Default::default() };
        let answer = core.edge.find_audience(unknown).await.unwrap().into_inner();
        assert!(answer.may_watch.is_empty() && answer.gone.is_empty());
        core.stop().await;
    }
}
