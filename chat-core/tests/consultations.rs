//! Consultations and conversations, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::time::Duration;

use common::{Core, Database, SOON, by, code, comment};
use proto::{
    internal::v1::{MarkReadRequest, ReadMark, ReadRequest, WatchAsk, WatchRequest},
    v1::{
        ConsultationState, CreateConsultationRequest, CreateGroupRequest, Event, GetConsultationRequest, ListConsultationsRequest,
        ListConversationsRequest, MarkRead, OpenDirectRequest, PageRequest, Refusal, RefusalCode, SetConsultationStateRequest,
        UpdateConsultationRequest, event::Kind, page_request::Where,
    },
};

fn now_ms() -> i64 {
    clock::Clock::default().now_ms()
}

async fn events(core: &mut Core, conversation: &str) -> Vec<Event> {
    let page = PageRequest { conversation: conversation.into(), epoch: 0, r#where: Some(Where::After(0)), limit: 200 };
    core.edge.read(ReadRequest { conversation: conversation.into(), page: Some(page), person: 0 }).await.unwrap().into_inner().events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_opening_is_one_event_whichever_chat_core_writes_it() {
    let database = Database::postgres();
    let (mut one, _) = Core::seeded(&database.url()).await;
    let two = Core::start(&database.url()).await;
    let staff = one.person("staff1").await;
    let at = now_ms();
    let create = CreateConsultationRequest {
        client_id: "scheduled".into(),
        organisation: 1,
        title: "按时开始".into(),
        opens_ms: at + 900,
        closes_ms: at + 1_900,
        ..CreateConsultationRequest::default()
    };
    let made = one.consultations.create_consultation(by(staff, create.clone())).await.unwrap().into_inner();
    assert_eq!(made.state(), ConsultationState::Scheduled);
    assert_eq!(one.consultations.create_consultation(by(staff, create)).await.unwrap().into_inner().id, made.id, "made once");
    assert_eq!(one.submit(staff, comment(&made.id, "early")).await.unwrap_err().code(), RefusalCode::NotOpen);
    let state = |core: &Core, id: String| {
        let mut consultations = core.consultations.clone();
        async move { consultations.get_consultation(by(staff, GetConsultationRequest { id })).await.unwrap().into_inner().state() }
    };
    testkit::eventually(SOON, "it opens", || async { (state(&one, made.id.clone()).await == ConsultationState::Open).then_some(()) }).await;
    one.submit(staff, comment(&made.id, "in time")).await.unwrap();
    testkit::eventually(SOON, "it closes", || async { (state(&two, made.id.clone()).await == ConsultationState::Closed).then_some(()) })
        .await;
    assert_eq!(one.submit(staff, comment(&made.id, "late")).await.unwrap_err().code(), RefusalCode::Closed);
    tokio::time::sleep(Duration::from_millis(700)).await;
    let states: Vec<_> = events(&mut one, &made.id)
        .await
        .iter()
        .filter_map(|event| match &event.kind {
            Some(Kind::ConsultationChanged(changed)) => Some((changed.state(), event.author)),
            _ => None,
        })
        .collect();
    use ConsultationState as S;
    assert_eq!(states, [(S::Scheduled, staff), (S::Open, 0), (S::Closed, 0)]);
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_run_a_consultation_and_others_do_not() {
    for database in Database::both() {
        let (mut core, _) = Core::seeded(&database.url()).await;
        let (staff, member) = (core.person("staff1").await, core.person("member1").await);
        let create = CreateConsultationRequest {
            client_id: "one".into(),
            organisation: 1,
            title: "议一议".into(),
            slow_mode_s: 60,
            ..Default::default()
        };
        assert_eq!(code(core.consultations.create_consultation(by(member, create.clone())).await.unwrap_err()), RefusalCode::Forbidden);
        let draft = core.consultations.create_consultation(by(staff, create)).await.unwrap().into_inner();
        assert!(draft.may_manage && draft.state() == ConsultationState::Draft);
        // A draft is not there for others.
        let get = GetConsultationRequest { id: draft.id.clone() };
        assert_eq!(code(core.consultations.get_consultation(by(member, get.clone())).await.unwrap_err()), RefusalCode::NotFound);
        let set =
            |state: ConsultationState| SetConsultationStateRequest { id: draft.id.clone(), state: state.into(), reason: String::new() };
        assert_eq!(
            code(core.consultations.set_consultation_state(by(staff, set(ConsultationState::Scheduled))).await.unwrap_err()),
            RefusalCode::Invalid
        );
        core.consultations.set_consultation_state(by(staff, set(ConsultationState::Open))).await.unwrap();
        assert_eq!(
            code(core.consultations.set_consultation_state(by(member, set(ConsultationState::Closed))).await.unwrap_err()),
            RefusalCode::Forbidden
        );

        // Slow mode, judged under the lock: two at once are one.
        let both = core.submit_all(vec![(member, comment(&draft.id, "first")), (member, comment(&draft.id, "second"))]).await;
        assert!(both[0].is_ok());
        let refusal = both[1].as_ref().unwrap_err();
        assert_eq!(refusal.code(), RefusalCode::SlowMode);
        assert!((50_000..=60_000).contains(&refusal.retry_after_ms), "{refusal:?}");
        assert!(
            core.submit(staff, comment(&draft.id, "the host")).await.is_ok()
                && core.submit(staff, comment(&draft.id, "again")).await.is_ok()
        );

        core.consultations.set_consultation_state(by(staff, set(ConsultationState::Paused))).await.unwrap();
        assert_eq!(core.submit(staff, comment(&draft.id, "x")).await.unwrap_err().code(), RefusalCode::Paused);
        core.consultations.set_consultation_state(by(staff, set(ConsultationState::Open))).await.unwrap();

        // Of two changes from one version the second is told.
        let now = core.consultations.get_consultation(by(staff, get.clone())).await.unwrap().into_inner();
        let update = UpdateConsultationRequest {
            id: now.id.clone(),
            version: now.version,
            title: "再议".into(),
            watch: now.watch.clone(),
            post: now.post.clone(),
            ..Default::default()
        };
        core.consultations.update_consultation(by(staff, update.clone())).await.unwrap();
        assert_eq!(code(core.consultations.update_consultation(by(staff, update)).await.unwrap_err()), RefusalCode::Conflict);
        assert!(core.submit(member, comment(&draft.id, "no slow mode now")).await.is_ok());

        core.consultations.set_consultation_state(by(staff, set(ConsultationState::Closed))).await.unwrap();
        assert_eq!(
            code(core.consultations.set_consultation_state(by(staff, set(ConsultationState::Paused))).await.unwrap_err()),
            RefusalCode::Closed
        );
        let listed = core
            .consultations
            .list_consultations(by(member, ListConsultationsRequest::default()))
            .await
            .unwrap()
            .into_inner()
            .consultations;
        let states: Vec<_> = listed.iter().map(|one| one.state()).collect();
        assert_eq!(states, [ConsultationState::Open, ConsultationState::Scheduled, ConsultationState::Closed]);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_conversations_groups_and_read_marks() {
    for database in Database::both() {
        let (mut core, _) = Core::seeded(&database.url()).await;
        let (a, b, c) = (core.person("member1").await, core.person("member2").await, core.person("member3").await);
        let open = OpenDirectRequest { person: b };
        let (mut first, mut second) = (core.conversations.clone(), core.conversations.clone());
        // Both at once: one conversation.
        let (one, two) = tokio::join!(first.open_direct(by(a, open)), second.open_direct(by(b, OpenDirectRequest { person: a })));
        let (one, two) = (one.unwrap().into_inner(), two.unwrap().into_inner());
        assert_eq!((one.id.as_str(), one.people.len()), (two.id.as_str(), 2));
        assert_eq!(code(core.conversations.open_direct(by(a, OpenDirectRequest { person: a })).await.unwrap_err()), RefusalCode::Invalid);
        for number in 0..5 {
            core.submit(a, comment(&one.id, &format!("hello {number}"))).await.unwrap();
        }
        assert_eq!(core.submit(c, comment(&one.id, "who are you")).await.unwrap_err().code(), RefusalCode::NotFound);
        let watch = |person| WatchAsk { person, conversation: one.id.clone(), ..WatchAsk::default() };
        let verdicts = core.edge.watch(WatchRequest { asks: vec![watch(b), watch(c)] }).await.unwrap().into_inner().verdicts;
        assert!(verdicts[0].refusal.is_none() && verdicts[0].people == 2);
        assert_eq!(verdicts[1].refusal.as_ref().unwrap().code(), RefusalCode::NotFound);

        // The mark only moves forward and never past the newest; unread is derived from it.
        let mark = |person, mseq| ReadMark { person, conversation: one.id.clone(), mseq };
        let moved =
            core.edge.mark_read(MarkReadRequest { marks: vec![mark(b, 3), mark(b, 2), mark(a, 99)] }).await.unwrap().into_inner().mseq;
        assert_eq!(moved, [3, 3, 5]);
        let back = core.conversations.set_read(by(b, MarkRead { conversation: one.id.clone(), mseq: 1 })).await.unwrap().into_inner();
        assert_eq!(back.mseq, 3);
        let listed =
            core.conversations.list_conversations(by(b, ListConversationsRequest::default())).await.unwrap().into_inner().conversations;
        let direct = listed.iter().find(|conversation| conversation.id == one.id).unwrap();
        assert_eq!((direct.unread, direct.read_mseq), (2, 3));
        assert!(matches!(&direct.latest.as_ref().unwrap().kind, Some(Kind::Comment(comment)) if comment.text == "hello 4"));
        let unread = PageRequest { conversation: one.id.clone(), epoch: 0, r#where: Some(Where::FirstUnread(true)), limit: 1 };
        let page = core.conversations.get_page(by(b, unread)).await.unwrap().into_inner();
        assert!(page.events.iter().any(|event| event.mseq == 4));

        // A group: the same request makes one; who is taken out is out.
        let create = CreateGroupRequest { client_id: "readers".into(), title: "读书群".into(), people: vec![b, c] };
        let group = core.conversations.create_group(by(a, create.clone())).await.unwrap().into_inner();
        assert_eq!(core.conversations.create_group(by(a, create)).await.unwrap().into_inner().id, group.id);
        assert_eq!(group.people_count, 3);
        let change = |remove| proto::v1::ChangeMembersRequest { id: group.id.clone(), add: vec![], remove };
        assert_eq!(code(core.conversations.change_members(by(b, change(vec![c]))).await.unwrap_err()), RefusalCode::Forbidden);
        core.conversations.change_members(by(a, change(vec![c]))).await.unwrap();
        assert_eq!(core.submit(c, comment(&group.id, "still here?")).await.unwrap_err().code(), RefusalCode::NotFound);
        core.conversations.change_members(by(b, change(vec![b]))).await.unwrap();
        assert_eq!(core.submit(b, comment(&group.id, "gone")).await.unwrap_err().code(), RefusalCode::NotFound);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_whole_around_a_date_a_comment_and_the_first_unread() {
    const LIMIT: usize = 8;
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let (member, reader) = (core.person("member1").await, core.person("member2").await);
        for number in 0..24 {
            core.submit(member, comment(&open, &format!("word {number}"))).await.unwrap();
            // The clock moves on now and then; several comments share a moment.
            if number % 5 == 0 {
                let then = now_ms();
                testkit::eventually(SOON, "the next moment", || async { (now_ms() > then + 1).then_some(()) }).await;
            }
        }
        let all = events(&mut core, &open).await;
        let last = all.last().unwrap().clone();
        let (mut marks, mut reads) = (core.edge.clone(), core.edge.clone());
        let mut page = async |place: Where, person: u32| {
            let ask = PageRequest { conversation: open.clone(), epoch: 0, r#where: Some(place), limit: LIMIT as u32 };
            reads.read(ReadRequest { conversation: open.clone(), page: Some(ask), person }).await.unwrap().into_inner()
        };
        let whole = |page: &proto::v1::Page, place: u64, what: &str| {
            let seqs: Vec<u64> = page.events.iter().map(|event| event.seq).collect();
            assert_eq!(seqs.len(), LIMIT, "{what}: {seqs:?}");
            assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]) && seqs.contains(&place), "{what}: {place} in {seqs:?}");
            assert_eq!(page.around, place, "{what}");
            // Some of what stood before it and after it, wherever there is any.
            assert!(place == 1 || seqs[0] < place, "{what}: {place} in {seqs:?}");
            assert!(place == last.seq || seqs[LIMIT - 1] > place, "{what}: {place} in {seqs:?}");
            assert_eq!((page.complete_before, page.complete_after), (seqs[0] == 1, seqs[LIMIT - 1] == last.seq), "{what}");
        };
        for event in &all {
            whole(&page(Where::Around(event.seq), 0).await, event.seq, "around a comment");
            let first = all.iter().find(|other| other.time_ms >= event.time_ms).unwrap();
            whole(&page(Where::AtTimeMs(event.time_ms), 0).await, first.seq, "at a time");
        }
        whole(&page(Where::AtTimeMs(0), 0).await, 1, "before everything");
        whole(&page(Where::AtTimeMs(last.time_ms + 86_400_000), 0).await, last.seq, "after everything");
        whole(&page(Where::Around(last.seq + 1), 0).await, last.seq, "just past the end");

        let first_unread = |read: u64| all.iter().find(|event| event.mseq > read).map_or(last.seq, |event| event.seq);
        whole(&page(Where::FirstUnread(true), reader).await, first_unread(0), "nothing was read");
        for read in [1, 3, last.mseq / 2, last.mseq - 1, last.mseq] {
            let mark = ReadMark { person: reader, conversation: open.clone(), mseq: read };
            marks.mark_read(MarkReadRequest { marks: vec![mark] }).await.unwrap();
            whole(&page(Where::FirstUnread(true), reader).await, first_unread(read), "the first unread");
        }
        core.stop().await;
    }
}

/// Its changes of state as the log has them: state, author, reason.
async fn changes(core: &mut Core, id: &str) -> Vec<(ConsultationState, u32, String)> {
    let changes = events(core, id).await.into_iter().filter_map(|event| match event.kind {
        Some(Kind::ConsultationChanged(changed)) => Some((changed.state(), event.author, changed.reason)),
        _ => None,
    });
    changes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consultation_is_reopened_and_withdrawn_with_a_reason() {
    use ConsultationState as S;
    for database in Database::both() {
        let (mut core, _) = Core::seeded(&database.url()).await;
        let (staff, member) = (core.person("staff1").await, core.person("member1").await);
        let now_ms = core.clock.now_ms();
        let create = |client_id: &str, opens_ms, closes_ms| CreateConsultationRequest {
            client_id: client_id.into(),
            organisation: 1,
            title: "再议".into(),
            opens_ms,
            closes_ms,
            ..CreateConsultationRequest::default()
        };
        let hour = 3_600_000;
        let made = create("one", now_ms + hour, now_ms + 2 * hour);
        let id = core.consultations.create_consultation(by(staff, made)).await.unwrap().into_inner().id;
        let get = GetConsultationRequest { id: id.clone() };
        let set = |state: S, reason: &str| SetConsultationStateRequest { id: id.clone(), state: state.into(), reason: reason.to_owned() };
        assert!(core.consultations.get_consultation(by(member, get.clone())).await.is_ok());

        // Withdrawn: there for nobody but those who run it.
        let withdraw = core.consultations.set_consultation_state(by(staff, set(S::Draft, "议题还要商量"))).await.unwrap().into_inner();
        assert_eq!(withdraw.state(), S::Draft);
        assert_eq!(code(core.consultations.get_consultation(by(member, get.clone())).await.unwrap_err()), RefusalCode::NotFound);
        assert_eq!(code(core.consultations.set_consultation_state(by(staff, set(S::Draft, ""))).await.unwrap_err()), RefusalCode::Invalid);
        for (reason, expected) in [("长".repeat(400), RefusalCode::TooLarge), ("\u{0}".to_owned(), RefusalCode::TextForbiddenCharacter)] {
            let refused = core.consultations.set_consultation_state(by(staff, set(S::Scheduled, &reason))).await.unwrap_err();
            let refusal = Refusal::from_status(&refused);
            assert_eq!((refusal.code(), refusal.field.as_str()), (expected, "reason"));
        }
        core.consultations.set_consultation_state(by(staff, set(S::Scheduled, ""))).await.unwrap();
        assert!(core.consultations.get_consultation(by(member, get.clone())).await.is_ok());

        // Opened by hand, closed by hand, reopened: what was said stands, more is said, and nobody is called again.
        let opened = core.consultations.set_consultation_state(by(staff, set(S::Open, "人到齐了"))).await.unwrap().into_inner();
        core.submit(member, comment(&id, "before")).await.unwrap();
        core.consultations.set_consultation_state(by(staff, set(S::Closed, ""))).await.unwrap();
        assert_eq!(core.submit(member, comment(&id, "late")).await.unwrap_err().code(), RefusalCode::Closed);
        assert_eq!(
            code(core.consultations.set_consultation_state(by(member, set(S::Open, ""))).await.unwrap_err()),
            RefusalCode::Forbidden
        );
        let reopened = core.consultations.set_consultation_state(by(staff, set(S::Open, "还有委员要发言"))).await.unwrap().into_inner();
        assert_eq!((reopened.called_ms, reopened.comments, reopened.closes_ms), (opened.called_ms, 1, now_ms + 2 * hour));
        core.submit(member, comment(&id, "after")).await.unwrap();

        // Closed by its time and reopened, it stays open: the time is over. The other one shows that the clock was looked at since.
        core.clock.advance(Duration::from_millis(2 * hour as u64));
        let state = |core: &Core, id: String| {
            let mut consultations = core.consultations.clone();
            async move { consultations.get_consultation(by(staff, GetConsultationRequest { id })).await.unwrap().into_inner().state() }
        };
        testkit::eventually(SOON, "it closes", || async { (state(&core, id.clone()).await == S::Closed).then_some(()) }).await;
        let reopened = core.consultations.set_consultation_state(by(staff, set(S::Open, "延长"))).await.unwrap().into_inner();
        assert_eq!(reopened.closes_ms, 0);
        let next = create("two", core.clock.now_ms() + hour, 0);
        let next = core.consultations.create_consultation(by(staff, next)).await.unwrap().into_inner().id;
        core.clock.advance(Duration::from_millis(hour as u64));
        testkit::eventually(SOON, "the other opens", || async { (state(&core, next.clone()).await == S::Open).then_some(()) }).await;
        core.submit(member, comment(&id, "still open")).await.unwrap();
        let expected = [
            (S::Scheduled, staff, ""),
            (S::Draft, staff, "议题还要商量"),
            (S::Scheduled, staff, ""),
            (S::Open, staff, "人到齐了"),
            (S::Closed, staff, ""),
            (S::Open, staff, "还有委员要发言"),
            (S::Closed, 0, ""),
            (S::Open, staff, "延长"),
        ];
        assert_eq!(changes(&mut core, &id).await, expected.map(|(state, author, reason)| (state, author, reason.to_owned())));
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_moved_moves_the_databases_times() {
    const HOUR: Duration = Duration::from_secs(3_600);
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let staff = core.person("staff1").await;
        let opens_ms = core.clock.now_ms() + HOUR.as_millis() as i64;
        let create = CreateConsultationRequest {
            client_id: "in-an-hour".into(),
            organisation: 1,
            title: "一小时后".into(),
            opens_ms,
            ..CreateConsultationRequest::default()
        };
        let id = core.consultations.create_consultation(by(staff, create)).await.unwrap().into_inner().id;
        let said = core.submit(staff, comment(&open, "before")).await.unwrap();
        assert!(said.time_ms < opens_ms);
        let heads = core.edge.heads(proto::internal::v1::HeadsRequest::default()).await.unwrap().into_inner();
        assert!(heads.as_of_ms < opens_ms);
        assert_eq!(core.submit(staff, comment(&id, "early")).await.unwrap_err().code(), RefusalCode::NotOpen);

        core.clock.advance(HOUR);
        testkit::eventually(SOON, "it opens", || {
            let mut consultations = core.consultations.clone();
            let get = GetConsultationRequest { id: id.clone() };
            async move {
                let now = consultations.get_consultation(by(staff, get)).await.unwrap().into_inner();
                (now.state() == ConsultationState::Open && now.called_ms >= opens_ms).then_some(())
            }
        })
        .await;
        let opening = events(&mut core, &id).await.pop().unwrap();
        assert!(opening.author == 0 && opening.time_ms >= opens_ms, "{opening:?}");
        let said = core.submit(staff, comment(&id, "after")).await.unwrap();
        assert!(said.time_ms >= opening.time_ms && said.time_ms < opens_ms + HOUR.as_millis() as i64, "{said:?}");
        let found = testkit::eventually(SOON, "the heads' time", || {
            let mut edge = core.edge.clone();
            async move {
                let asked = proto::internal::v1::HeadsRequest { since_ms: opens_ms, ..Default::default() };
                let answer = edge.heads(asked).await.unwrap().into_inner();
                (answer.as_of_ms >= opens_ms).then_some(answer.heads)
            }
        })
        .await;
        assert!(found.iter().any(|head| head.conversation == id), "{found:?}");
        core.stop().await;
    }
}
