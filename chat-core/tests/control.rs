//! What the control log says of each thing that is done, on SQLite and on PostgreSQL: gateways read whom it concerns, and no kind.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use common::{Core, Database, SOON, by, by_session};
use proto::{
    internal::v1::{
        Concern, ControlEvent, SignInByDisplayRequest, SignInByLinkRequest, SignInRequest, SignInResponse, SignedIn, control_event::Kind,
        sign_in_response::Outcome,
    },
    v1::{
        Audience, CallConsultationRequest, Change, ChangeMembersRequest, ChangePasswordRequest, Consultation, ConsultationState,
        CreateConsultationRequest, CreateDisplayLinkRequest, CreateGroupRequest, CreateOrganisationRequest, CreatePersonRequest,
        CreateSignInLinkRequest, EndDisplayLinkRequest, EndOtherSessionsRequest, ImportRequest, MutePersonRequest, Person, Role,
        UpdateConsultationRequest, UpdatePersonRequest, change::Brief,
    },
};
use tokio::sync::mpsc;

/// The control log as it is written, and the core that writes it.
struct Told {
    core: Core,
    log: mpsc::UnboundedReceiver<ControlEvent>,
}

impl Told {
    async fn next(&mut self) -> ControlEvent {
        tokio::time::timeout(SOON, self.log.recv()).await.expect("an event in time").expect("the stream goes on")
    }

    /// The next event, which this person must have made; what it says and whom it concerns.
    async fn next_by(&mut self, person: u32) -> (Kind, Concern) {
        let event = self.next().await;
        assert_eq!(event.by, person, "{event:?}");
        (event.kind.expect("a kind"), event.concern.expect("whom it concerns"))
    }

    async fn set_state(&mut self, person: u32, id: &str, state: ConsultationState) {
        self.core.set_state(person, id, state).await;
    }
}

fn signed_in(answer: SignInResponse) -> SignedIn {
    match answer.outcome.unwrap() {
        Outcome::SignedIn(signed_in) => signed_in,
        Outcome::Refusal(refusal) => panic!("{refusal:?}"),
    }
}

fn secret(path: &str) -> String {
    path.split('#').nth(1).unwrap().to_owned()
}

/// All who may watch it ask again, and are shown it anew.
fn changed(made: &Consultation, before: Vec<Audience>) -> Concern {
    let brief = proto::v1::ConsultationBrief {
        id: made.id.clone(),
        organisation: made.organisation,
        title: made.title.clone(),
        state: made.state,
        opens_ms: made.opens_ms,
        closes_ms: made.closes_ms,
        version: made.version,
        called_ms: made.called_ms,
    };
    let change = Change {
        subject: "consultations".into(),
        id: made.id.clone(),
        version: made.version.into(),
        gone: false,
        urgent: false,
        brief: Some(Brief::Consultation(brief)),
    };
    Concern { conversation: made.id.clone(), rights: true, change: Some(change), before, ..Concern::default() }
}

/// All who may watch it are called.
fn called(made: &Consultation) -> Concern {
    let Concern { conversation, change, .. } = changed(made, Vec::new());
    let change = change.map(|change| Change { urgent: true, ..change });
    Concern { conversation, change, ..Concern::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_events_say_whom_they_concern() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let (operator, member) = (core.person("staff1").await, core.person("member1").await);
        let log = core.follow_control().await;
        let mut told = Told { core, log };
        of_people(&mut told, operator).await;
        of_sessions(&mut told).await;
        of_consultations(&mut told, operator).await;
        of_the_rest(&mut told, operator, member, &open).await;
        assert!(told.log.try_recv().is_err(), "nothing is told twice");
        told.core.stop().await;
    }
}

async fn of_people(told: &mut Told, operator: u32) {
    // Who is new changes nobody's list.
    let create = CreatePersonRequest { login: "new".into(), name: "新人".into(), organisation: 1, roles: vec![Role::Member.into()] };
    let Person { id, name, organisation, roles, .. } = told.core.directory.create_person(by(operator, create)).await.unwrap().into_inner();
    let concern = |lists| Concern { people: vec![id], rights: true, lists, ..Concern::default() };
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(&kind, Kind::PeopleChanged(changed) if changed.what == "created" && changed.people == [id]), "{kind:?}");
    assert_eq!(told_to, concern(false));

    let update = UpdatePersonRequest { id, name, organisation, roles, disabled: false };
    let renamed = UpdatePersonRequest { name: "新名".into(), ..update.clone() };
    for (asked, what, lists) in [
        (renamed, "updated", true),
        (UpdatePersonRequest { disabled: true, ..update.clone() }, "disabled", false),
        (update.clone(), "updated", true),
    ] {
        told.core.directory.update_person(by(operator, asked)).await.unwrap();
        let (kind, told_to) = told.next_by(operator).await;
        assert!(matches!(&kind, Kind::PeopleChanged(changed) if changed.what == what), "{kind:?}");
        assert_eq!(told_to, concern(lists), "{what}");
    }

    let csv =
        "login,name,organisation_code,roles\nimported,张三,1,member\n".replace(",1,", &format!(",{},", own_code(told, operator).await));
    let report = told.core.directory.import_people(by(operator, ImportRequest { csv, dry_run: false })).await.unwrap().into_inner();
    assert_eq!((report.added, report.errors), (1, vec![]));
    let (kind, told_to) = told.next_by(operator).await;
    let Kind::PeopleChanged(changed) = kind else { panic!("{kind:?}") };
    assert_eq!(changed.what, "imported");
    assert_eq!(told_to, Concern { people: changed.people, rights: true, lists: true, ..Concern::default() });

    // Where an organisation stands decides what everybody below it may watch.
    let create = CreateOrganisationRequest { code: "new".into(), name: "新的".into(), parent: 1 };
    told.core.directory.create_organisation(by(operator, create)).await.unwrap();
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(kind, Kind::OrganisationsChanged(_)), "{kind:?}");
    assert_eq!(told_to, Concern { rights: true, lists: true, ..Concern::default() });

    // A link, a password set by it, and a session that begins with it.
    let link = told.core.directory.create_sign_in_link(by(operator, CreateSignInLinkRequest { person: id })).await.unwrap().into_inner();
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(&kind, Kind::PeopleChanged(changed) if changed.what == "link"), "{kind:?}");
    assert_eq!(told_to, concern(false));
    let asked = SignInByLinkRequest { link: secret(&link.path), new_password: "a long first password".into(), ..Default::default() };
    signed_in(told.core.edge.sign_in_by_link(asked).await.unwrap().into_inner());
    let (mut what, mut began) = (Vec::new(), 0);
    while began == 0 {
        match told.next().await {
            ControlEvent { kind: Some(Kind::SessionStarted(started)), concern: Some(told_to), .. } => {
                assert_eq!((started.person, told_to), (id, Concern::default()), "sessions that begin concern nobody");
                began += 1;
            }
            ControlEvent { kind: Some(Kind::PeopleChanged(changed)), concern: Some(told_to), .. } => {
                assert_eq!(told_to, concern(false));
                what.push(changed.what);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(what, ["password"]);
}

async fn own_code(told: &Told, operator: u32) -> String {
    let asked = by(operator, proto::v1::ListOrganisationsRequest {});
    let all = told.core.directory.clone().list_organisations(asked).await.unwrap().into_inner().organisations;
    all.into_iter().find(|one| one.id == 1).unwrap().code
}

async fn of_sessions(told: &mut Told) {
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let request = SignInRequest {
            login: "member9".into(),
            password: chat_core::seed::PASSWORD.into(),
            client: "test".into(),
            address: "127.0.0.1".into(),
            loopback: true,
        };
        sessions.push(signed_in(told.core.edge.sign_in(request).await.unwrap().into_inner()).identity.unwrap());
        let person = sessions[0].person;
        let (kind, told_to) = told.next_by(person).await;
        assert!(matches!(&kind, Kind::SessionStarted(started) if started.person == person), "{kind:?}");
        assert_eq!(told_to, Concern::default());
    }
    let mine = sessions[0].clone();
    let ends = |kind: &Kind| match kind {
        Kind::SessionEnded(ended) => ended.session.clone(),
        other => panic!("{other:?}"),
    };
    let concern = |session: String| Concern { people: vec![mine.person], session_ended: session, ..Concern::default() };
    let mut ended = Vec::new();
    told.core.accounts.end_other_sessions(by_session(mine.person, &mine.session, EndOtherSessionsRequest {})).await.unwrap();
    for _ in 0..2 {
        let (kind, told_to) = told.next_by(mine.person).await;
        assert_eq!(told_to, concern(ends(&kind)));
        ended.push(ends(&kind));
    }
    assert!(sessions[1..].iter().all(|session| ended.contains(&session.session)), "{ended:?}");
    let set = ChangePasswordRequest { old_password: chat_core::seed::PASSWORD.into(), new_password: "a long second password".into() };
    told.core.accounts.change_password(by_session(mine.person, &mine.session, set)).await.unwrap();
    let (kind, told_to) = told.next_by(mine.person).await;
    assert!(matches!(&kind, Kind::PeopleChanged(changed) if changed.what == "password"), "{kind:?}");
    assert_eq!(told_to, Concern { people: vec![mine.person], rights: true, ..Concern::default() });
    told.core.edge.end_session(proto::internal::v1::EndSessionRequest { session: mine.session.clone() }).await.unwrap();
    let (kind, told_to) = told.next_by(mine.person).await;
    assert_eq!((ends(&kind), told_to), (mine.session.clone(), concern(mine.session.clone())));
}

async fn of_consultations(told: &mut Told, operator: u32) {
    let opens_ms = told.core.clock.now_ms() + 3_600_000;
    let create = CreateConsultationRequest {
        client_id: "c".into(),
        organisation: 1,
        title: "议一议".into(),
        opens_ms,
        ..CreateConsultationRequest::default()
    };
    let made = told.core.consultations.create_consultation(by(operator, create)).await.unwrap().into_inner();
    let rules = |kind: &Kind| matches!(kind, Kind::RulesChanged(rules) if rules.conversation == made.id && rules.people.is_empty());
    let (kind, told_to) = told.next_by(operator).await;
    assert!(rules(&kind), "{kind:?}");
    assert_eq!(told_to, changed(&made, Vec::new()));

    // Narrowed: also those who may not watch it any more are told.
    let only = Audience { people: vec![operator], ..Audience::default() };
    let update = UpdateConsultationRequest {
        id: made.id.clone(),
        version: made.version,
        title: made.title.clone(),
        opens_ms,
        watch: Some(only.clone()),
        post: Some(only.clone()),
        ..UpdateConsultationRequest::default()
    };
    let narrowed = told.core.consultations.update_consultation(by(operator, update)).await.unwrap().into_inner();
    let (kind, told_to) = told.next_by(operator).await;
    assert!(rules(&kind), "{kind:?}");
    assert_eq!(told_to, changed(&narrowed, vec![made.watch.clone().unwrap(), made.post.clone().unwrap()]));

    let request = CallConsultationRequest { id: made.id.clone() };
    let now = told.core.consultations.call_consultation(by(operator, request)).await.unwrap().into_inner();
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(&kind, Kind::ConsultationCalled(event) if event.called_ms == now.called_ms), "{kind:?}");
    assert_eq!(told_to, called(&now));

    // Withdrawn, it is gone for all but those who run it.
    told.set_state(operator, &made.id, ConsultationState::Draft).await;
    let draft = told.core.consultations.get_consultation(by(operator, proto::v1::GetConsultationRequest { id: made.id.clone() })).await;
    let (kind, told_to) = told.next_by(operator).await;
    assert!(rules(&kind), "{kind:?}");
    assert_eq!(told_to, changed(&draft.unwrap().into_inner(), vec![only.clone(), only]));

    // Opening calls; pausing, closing and reopening do not.
    use ConsultationState as S;
    for (state, calls) in [(S::Open, true), (S::Paused, false), (S::Open, false), (S::Closed, false), (S::Open, false)] {
        told.set_state(operator, &made.id, state).await;
        let get = by(operator, proto::v1::GetConsultationRequest { id: made.id.clone() });
        let now = told.core.consultations.get_consultation(get).await.unwrap().into_inner();
        let (kind, told_to) = told.next_by(operator).await;
        assert!(rules(&kind), "{kind:?}");
        assert_eq!(told_to, changed(&now, Vec::new()), "{state:?}");
        if calls {
            let (kind, told_to) = told.next_by(operator).await;
            assert!(matches!(kind, Kind::ConsultationCalled(_)), "{kind:?}");
            assert_eq!(told_to, called(&now));
        }
    }
}

async fn of_the_rest(told: &mut Told, operator: u32, member: u32, open: &str) {
    let until_ms = told.core.clock.now_ms() + 3_600_000;
    for until_ms in [until_ms, 0] {
        let mute = MutePersonRequest { id: open.to_owned(), person: member, until_ms, reason: "离题".into() };
        told.core.moderation.mute_person(by(operator, mute)).await.unwrap();
        let (kind, told_to) = told.next_by(operator).await;
        assert!(matches!(&kind, Kind::MuteChanged(mute) if mute.person == member && mute.until_ms == until_ms), "{kind:?}");
        assert_eq!(told_to, Concern { conversation: open.to_owned(), people: vec![member], rights: true, ..Concern::default() });
    }

    // Only those who came and went.
    let group = CreateGroupRequest { client_id: "g".into(), title: "读书群".into(), people: vec![500, 501] };
    let group = told.core.conversations.create_group(by(member, group)).await.unwrap().into_inner().id;
    let change = ChangeMembersRequest { id: group.clone(), add: vec![502], remove: vec![500] };
    told.core.conversations.change_members(by(member, change)).await.unwrap();
    let (kind, told_to) = told.next_by(member).await;
    assert!(matches!(&kind, Kind::RulesChanged(rules) if rules.conversation == group && rules.people == [502, 500]), "{kind:?}");
    assert_eq!(told_to, Concern { conversation: group, people: vec![502, 500], rights: true, ..Concern::default() });

    // Links concern nobody; the sessions that end with one do.
    let create = CreateDisplayLinkRequest { id: open.to_owned(), ..CreateDisplayLinkRequest::default() };
    let link = told.core.displays.create_display_link(by(operator, create)).await.unwrap().into_inner();
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(&kind, Kind::DisplayLinkCreated(created) if created.link == link.id), "{kind:?}");
    assert_eq!(told_to, Concern::default());
    let asked = SignInByDisplayRequest { link: secret(&link.path), client: "hall".into(), address: "127.0.0.1".into() };
    let screen = signed_in(told.core.edge.sign_in_by_display(asked).await.unwrap().into_inner()).identity.unwrap();
    assert!(matches!(told.next().await.kind, Some(Kind::SessionStarted(started)) if started.person == screen.person));
    told.core.displays.end_display_link(by(operator, EndDisplayLinkRequest { id: link.id.clone() })).await.unwrap();
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(&kind, Kind::SessionEnded(ended) if ended.session == screen.session), "{kind:?}");
    assert_eq!(told_to, Concern { people: vec![screen.person], session_ended: screen.session, ..Concern::default() });
    let (kind, told_to) = told.next_by(operator).await;
    assert!(matches!(&kind, Kind::DisplayLinkEnded(ended) if ended.link == link.id), "{kind:?}");
    assert_eq!(told_to, Concern::default());
}
