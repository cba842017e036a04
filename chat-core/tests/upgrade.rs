//! Databases that an earlier executable made are opened by this one: everything that was said, counted, allowed and forbidden in them
//! is as it was, and goes on from there. What they hold is in `fixtures/README.md`.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

#[path = "upgrade/answers.rs"]
mod answers;
mod common;
#[path = "upgrade/opened.rs"]
mod opened;

use std::collections::BTreeSet;

use answers::ask;
use common::{Core, seq};
use opened::{Fixture, Opened, code, services, whose};
use proto::{
    internal::v1::{
        CheckSessionsRequest, EndSessionRequest, IssueTicketsRequest, RedeemTicketsRequest, SignInByDisplayRequest, SignInByLinkRequest,
        TicketFor, TicketShown, sign_in_response::Outcome,
    },
    v1::{
        ConsultationState, CreateConsultationRequest, Edit, EndDisplayLinkRequest, GetConsultationRequest, GetConversationRequest, Hide,
        ListDisplayLinksRequest, MarkRead, MutePersonRequest, OpenDirectRequest, Recall, RefusalCode, UpdateConsultationRequest,
        post::Content, tombstone::Why,
    },
};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_stood_before_an_upgrade_stands_after_it() {
    for (fixture, database) in Fixture::all() {
        // Opened twice: nothing is to be brought up to date the second time, and nothing comes back.
        Core::start(&database.url()).await.stop().await;
        let core = Core::start(&database.url()).await;
        let answers = ask(&mut services(&core), &fixture.known).await;
        let mut differences = Vec::new();
        for (what, then) in &fixture.answers {
            compare(what, then, answers.get(what).unwrap_or(&Value::Null), &fixture.fields, &mut differences);
        }
        assert!(
            differences.is_empty(),
            "{} differences on {}:\n{}",
            differences.len(),
            database.url(),
            differences[..differences.len().min(40)].join("\n")
        );
        assert_eq!(answers.len(), fixture.answers.len());
        core.stop().await;
    }
}

/// Finds where an answer is not what it was. What is new in the contract may be there too.
fn compare(place: &str, then: &Value, now: &Value, fields: &BTreeSet<String>, differences: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            for (name, value) in then {
                compare(&format!("{place}.{name}"), value, now.get(name).unwrap_or(&Value::Null), fields, differences);
            }
            // A tombstone says since then which event set it, by a name that other messages had before.
            let is_new = |name: &str| name == "seq" && place.ends_with(".gone");
            let appeared = now.iter().filter(|(name, _)| !then.contains_key(*name) && fields.contains(*name) && !is_new(name));
            differences.extend(appeared.map(|(name, value)| format!("{place}.{name}: was at its default, is {value}")));
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            for (number, (then, now)) in then.iter().zip(now).enumerate() {
                compare(&format!("{place}[{number}]"), then, now, fields, differences);
            }
        }
        _ if then == now => {}
        _ => differences.push(format!("{place}: was {then}, is {now}")),
    }
}

#[test]
fn a_difference_is_found_and_what_is_new_is_none() {
    let fields = BTreeSet::from(["seq".to_owned(), "gone".to_owned()]);
    let then = serde_json::json!({ "seq": "3", "list": [1, { "seq": "4" }] });
    let differences = |now: Value| {
        let mut found = Vec::new();
        compare("", &then, &now, &fields, &mut found);
        found.len()
    };
    assert_eq!(differences(serde_json::json!({ "seq": "3", "list": [1, { "seq": "4", "marks": {} }], "more": 1 })), 0);
    assert_eq!(differences(serde_json::json!({ "seq": "4", "list": [1, { "seq": "4" }] })), 1);
    assert_eq!(differences(serde_json::json!({ "seq": "3", "list": [1, { "seq": "4", "gone": {} }] })), 1);
    assert_eq!(differences(serde_json::json!({ "seq": "3", "list": [1] })), 1);
    assert_eq!(differences(serde_json::json!({ "list": [1, { "seq": "4" }] })), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_every_log_goes_on_where_it_ended() {
    use RefusalCode as C;
    for (fixture, database) in Fixture::all() {
        let mut it = Opened::start(fixture, &database).await;
        let speakers = [
            ("m1", "direct"),
            ("m3", "direct, empty"),
            ("double", "group"),
            ("m2", "group, left"),
            ("m1", "open"),
            ("mod", "open"),
            ("m2", "slow"),
            ("m1", "narrow"),
            ("m2", "province"),
        ];
        for (login, conversation) in speakers {
            let before = it.head(conversation).await;
            let receipt = it.say(login, conversation).await.unwrap_or_else(|code| panic!("{login} in {conversation}: {code:?}"));
            let after = it.head(conversation).await;
            assert_eq!((seq(&receipt), receipt.mseq), (before.seq + 1, before.mseq + 1), "{login} in {conversation}");
            assert_eq!(receipt.position.as_ref().unwrap().epoch, before.epoch);
            assert_eq!((after.seq, after.mseq, after.comments), (before.seq + 1, before.mseq + 1, before.comments + 1));
            assert_eq!(it.comment(conversation, after.seq).await.text, "升级之后");
            assert_eq!(it.event(conversation, after.seq).await.author, it.person(login));
        }
        let refused = [
            ("m3", "direct", C::NotFound),
            ("m3", "group", C::NotFound),
            ("m1", "group, left", C::NotFound),
            ("muted", "open", C::Muted),
            ("m2", "slow", C::SlowMode),
            ("m1", "paused", C::Paused),
            ("m1", "closed", C::Closed),
            ("leaver", "by the clock", C::AccountDisabled),
            ("m2", "narrow", C::NotFound),
            ("muted", "narrow", C::Forbidden),
            ("watcher", "narrow", C::Forbidden),
            ("m3", "narrow", C::Muted),
            ("m1", "province", C::Forbidden),
            ("m1", "draft", C::NotFound),
            ("mod", "draft", C::NotOpen),
            ("m1", "scheduled", C::NotOpen),
            ("m1", "back to draft", C::NotFound),
        ];
        for (login, conversation, code) in refused {
            let before = it.head(conversation).await;
            assert_eq!(it.say(login, conversation).await.map(|receipt| seq(&receipt)), Err(code), "{login} in {conversation}");
            assert_eq!(it.head(conversation).await, before, "{conversation}");
        }
        it.core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_what_was_said_before_it_may_be_edited_recalled_and_hidden() {
    for (fixture, database) in Fixture::all() {
        let mut it = Opened::start(fixture, &database).await;
        let before = it.head("open").await;
        // Versions go on counting, and a first edit is the first.
        for is_edited in [true, false] {
            let (target, version) = it.oldest("m3", "open", is_edited).await;
            let edit = Content::Edit(Edit { target, text: "升级之后改定。".into(), ..Edit::default() });
            assert_eq!(it.put("m1", "open", edit.clone()).await, Err(RefusalCode::Forbidden), "another's");
            it.put("m3", "open", edit).await.unwrap();
            let folded = it.comment("open", target).await;
            assert_eq!((folded.text.as_str(), folded.version), ("升级之后改定。", version + 1));
        }
        let (recalled, _) = it.oldest("m3", "open", false).await;
        it.put("m3", "open", Content::Recall(Recall { target: recalled, reason: "不必了".into() })).await.unwrap();
        let (hidden, _) = it.oldest("m1", "open", false).await;
        let hide = Content::Hide(Hide { target: hidden, reason: "离题".into() });
        assert_eq!(it.put("m2", "open", hide.clone()).await, Err(RefusalCode::Forbidden), "not a moderator");
        it.put("mod", "open", hide).await.unwrap();
        for (target, why, reason) in [(recalled, Why::Recalled, "不必了"), (hidden, Why::Hidden, "离题")] {
            let folded = it.comment("open", target).await;
            let gone = folded.gone.unwrap();
            assert!(folded.text.is_empty() && gone.why() == why && gone.reason == reason, "{gone:?}");
            let again = Content::Hide(Hide { target, reason: String::new() });
            assert_eq!(it.put("mod", "open", again).await, Err(RefusalCode::TargetGone));
        }
        let after = it.head("open").await;
        assert_eq!((after.seq, after.mseq, after.comments), (before.seq + 4, before.mseq, before.comments - 2));
        // Read marks go on from where they stood, and never back.
        let (m1, open) = (it.person("m1"), it.id("open"));
        for (mseq, moved) in [(5, 10), (12, 12)] {
            let request = it.services.by(m1, MarkRead { conversation: open.clone(), mseq });
            assert_eq!(it.services.conversations.set_read(request).await.unwrap().into_inner().mseq, moved);
        }
        let request = it.services.by(m1, GetConversationRequest { id: open });
        let told = it.services.conversations.get_conversation(request).await.unwrap().into_inner();
        assert_eq!((told.read_mseq, told.unread), (12, before.mseq - 12));
        it.core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_consultations_are_run_as_before() {
    use ConsultationState as S;
    for (fixture, database) in Fixture::all() {
        let mut it = Opened::start(fixture, &database).await;
        assert_eq!(it.set_state("m1", "paused", S::Open).await, Err(RefusalCode::Forbidden));
        assert_eq!(it.set_state("admin1", "paused", S::Open).await, Ok(S::Open));
        it.say("m1", "paused").await.unwrap();
        assert_eq!(it.set_state("staff1", "closed", S::Paused).await, Err(RefusalCode::Closed));
        assert_eq!(it.set_state("staff1", "scheduled", S::Open).await, Ok(S::Open));
        it.say("m1", "scheduled").await.unwrap();
        assert_eq!(it.say("m1", "scheduled").await.map(|_| ()), Err(RefusalCode::SlowMode));
        assert_eq!(it.set_state("staff2", "draft", S::Open).await, Err(RefusalCode::NotFound));

        // Mutes are taken back, and set, by those who moderated before.
        let (moderator, muted, open) = (it.person("mod"), it.person("muted"), it.id("open"));
        let lift = MutePersonRequest { id: open.clone(), person: muted, until_ms: 0, reason: String::new() };
        let request = it.services.by(it.person("m2"), lift.clone());
        assert_eq!(code(it.services.moderation.mute_person(request).await.unwrap_err()), RefusalCode::Forbidden);
        let request = it.services.by(moderator, lift);
        it.services.moderation.mute_person(request).await.unwrap();
        it.say("muted", "open").await.unwrap();

        // Its rules are changed at the version that it had; the change keeps what it does not name.
        let staff = it.person("staff1");
        let request = it.services.by(staff, GetConsultationRequest { id: open.clone() });
        let now = it.services.consultations.get_consultation(request).await.unwrap().into_inner();
        let update = UpdateConsultationRequest {
            id: open.clone(),
            version: now.version,
            title: now.title.clone(),
            description: now.description.clone(),
            closes_ms: now.closes_ms,
            watch: now.watch.clone(),
            post: now.post.clone(),
            moderators: vec![it.person("m2")],
            slow_mode_s: 60,
            ..UpdateConsultationRequest::default()
        };
        let request = it.services.by(staff, update.clone());
        let changed = it.services.consultations.update_consultation(request).await.unwrap().into_inner();
        assert_eq!((changed.version, changed.watch, changed.comments), (now.version + 1, now.watch, now.comments));
        let request = it.services.by(staff, update);
        assert_eq!(code(it.services.consultations.update_consultation(request).await.unwrap_err()), RefusalCode::Conflict);
        it.say("m1", "open").await.unwrap();
        assert_eq!(it.say("m1", "open").await.map(|_| ()), Err(RefusalCode::SlowMode));

        // What was made under a client's own name is not made again.
        let again = CreateConsultationRequest {
            client_id: "slow".into(),
            organisation: now.organisation,
            title: "再来".into(),
            ..Default::default()
        };
        let request = it.services.by(staff, again);
        assert_eq!(it.services.consultations.create_consultation(request).await.unwrap().into_inner().id, it.id("slow"));
        let request = it.services.by(it.person("m2"), OpenDirectRequest { person: it.person("m1") });
        assert_eq!(it.services.conversations.open_direct(request).await.unwrap().into_inner().id, it.id("direct"));
        it.core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_upgrade_people_and_screens_come_in_as_before() {
    for (fixture, database) in Fixture::all() {
        let mut it = Opened::start(fixture, &database).await;
        for (login, password) in it.known.passwords.clone() {
            let expected = if login == "leaver" { Err(RefusalCode::AccountDisabled) } else { Ok(it.person(&login)) };
            assert_eq!(it.sign_in(&login, &password).await, expected, "{login}");
        }
        assert_eq!(it.sign_in("m1", "not the password").await, Err(RefusalCode::PasswordWrong));

        let (secret, fresh) = it.known.link_unused.clone();
        let links = [
            (secret.clone(), Ok(fresh)),
            (secret, Err(RefusalCode::LinkInvalid)),
            (it.known.link_used.clone(), Err(RefusalCode::LinkInvalid)),
        ];
        for (link, expected) in links {
            let asked = SignInByLinkRequest {
                link,
                new_password: "升级之后的密码 2026".into(),
                client: "test".into(),
                address: "127.0.0.1".into(),
            };
            assert_eq!(whose(it.services.edge.sign_in_by_link(asked).await.unwrap().into_inner()), expected);
        }
        assert_eq!(it.sign_in("fresh", "升级之后的密码 2026").await, Ok(fresh));

        // A session of before the upgrade gets a ticket and is ended.
        let known = it.known.sessions.iter().find(|session| session.person == it.person("m2") && !session.ended).unwrap().clone();
        let check = CheckSessionsRequest { tokens: vec![known.token] };
        let identity = it.services.edge.check_sessions(check.clone()).await.unwrap().into_inner().sessions.remove(0).identity.unwrap();
        let wanted = vec![TicketFor { session: identity.session.clone(), origin: String::new() }];
        let ticket = it.services.edge.issue_tickets(IssueTicketsRequest { wanted }).await.unwrap().into_inner().tickets.remove(0);
        let shown = vec![TicketShown { ticket, origin: String::new() }];
        let redeemed = it.services.edge.redeem_tickets(RedeemTicketsRequest { shown }).await.unwrap().into_inner().redeemed.remove(0);
        assert_eq!(redeemed.identity.map(|identity| identity.person), Some(known.person));
        it.services.edge.end_session(EndSessionRequest { session: identity.session }).await.unwrap();
        assert!(it.services.edge.check_sessions(check).await.unwrap().into_inner().sessions[0].identity.is_none());

        // Links of screens that were good are good, those that were not are not; and they are ended as ever.
        for screen in it.known.screens.clone() {
            let asked = SignInByDisplayRequest { link: screen.secret, client: "hall".into(), address: "127.0.0.1".into() };
            let answer = it.services.edge.sign_in_by_display(asked).await.unwrap().into_inner();
            match answer.outcome.unwrap() {
                Outcome::SignedIn(signed_in) => {
                    let scope = signed_in.identity.unwrap().display.unwrap();
                    assert_eq!((scope.link, scope.conversation, screen.ended), (screen.link, screen.consultation, false));
                }
                Outcome::Refusal(refusal) => assert_eq!((refusal.code(), screen.ended), (RefusalCode::LinkInvalid, true)),
            }
        }
        let (staff, open) = (it.person("staff1"), it.id("open"));
        let good = it.known.screens.iter().find(|screen| screen.consultation == open && !screen.ended).unwrap().clone();
        let request = it.services.by(staff, EndDisplayLinkRequest { id: good.link.clone() });
        assert_eq!(it.services.displays.end_display_link(request).await.unwrap().into_inner().ended_by, staff);
        let check = CheckSessionsRequest { tokens: vec![good.token] };
        assert!(it.services.edge.check_sessions(check).await.unwrap().into_inner().sessions[0].identity.is_none());
        let request = it.services.by(staff, ListDisplayLinksRequest { id: open });
        let links = it.services.displays.list_display_links(request).await.unwrap().into_inner().links;
        assert!(links.iter().any(|link| link.id == good.link && link.ended_ms > 0), "{links:?}");
        it.core.stop().await;
    }
}
