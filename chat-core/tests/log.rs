//! The log, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use backbone::{Backbone as _, Delivery, MemoryBackbone, PartitionSet};
use common::{Core, Database, SOON, by, comment, post, seq, submit};
use prost::Message as _;
use proto::{
    internal::v1::{HeadsRequest, Hint, ReadRequest, SubmitRequest, hint},
    v1::{
        Comment, ConsultationState, Edit, Event, FollowRequest, Hide, Page, PageRequest, Position, Recall, RefusalCode,
        SetConsultationStateRequest, batch::Body, event::Kind, page_request::Where, post::Content,
    },
};

async fn read(core: &mut Core, conversation: &str, place: Where, limit: u32) -> Page {
    let page = PageRequest { conversation: conversation.to_owned(), epoch: 0, r#where: Some(place), limit };
    core.edge.read(ReadRequest { conversation: conversation.to_owned(), page: Some(page), person: 0 }).await.unwrap().into_inner()
}

/// The whole log, by pages; fails where it is not dense.
async fn whole(core: &mut Core, conversation: &str) -> Vec<Event> {
    let mut events = Vec::<Event>::new();
    loop {
        let page = read(core, conversation, Where::After(events.len() as u64), 200).await;
        for event in &page.events {
            assert_eq!(event.seq, events.len() as u64 + 1, "the log is dense");
            if let Some(last) = events.last() {
                assert!(event.time_ms >= last.time_ms && event.mseq >= last.mseq && event.mseq <= last.mseq + 1);
            }
            events.push(event.clone());
        }
        if page.complete_after {
            return events;
        }
    }
}

fn text(event: &Event) -> &str {
    match &event.kind {
        Some(Kind::Comment(comment)) => &comment.text,
        _ => "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_dense_and_a_post_sent_again_is_one_post() {
    for database in Database::both() {
        let (mut one, open) = Core::seeded(&database.url()).await;
        let mut two = match &database {
            // Several chat-cores only on PostgreSQL: SQLite is of one process.
            Database::Postgres(..) => Some(Core::start(&database.url()).await),
            Database::Sqlite(_) => None,
        };
        let before = whole(&mut one, &open).await.len() as u64;
        let posts: Vec<_> = (0..300).map(|number| (100 + number % 40, comment(&open, &format!("comment {number}")))).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for (number, chunk) in posts.chunks(7).enumerate() {
            let edge = match &two {
                Some(two) if number % 2 == 1 => two.edge.clone(),
                _ => one.edge.clone(),
            };
            let submissions: Vec<_> = chunk
                .iter()
                .map(|(person, post)| proto::internal::v1::Submission { person: *person, session: String::new(), post: Some(post.clone()) })
                .collect();
            tasks.spawn(async move {
                // Each twice, at about the same time.
                let (first, second) = tokio::join!(submit(&edge, submissions.clone()), submit(&edge, submissions));
                (first.verdicts, second.verdicts)
            });
        }
        let mut seqs = BTreeSet::new();
        while let Some(verdicts) = tasks.join_next().await {
            let (first, second) = verdicts.unwrap();
            assert_eq!(first, second, "the same receipt however often it is sent");
            for verdict in first {
                let Some(proto::internal::v1::submit_verdict::Verdict::Receipt(receipt)) = verdict.verdict else { panic!("{verdict:?}") };
                assert!(seqs.insert(seq(&receipt)));
            }
        }
        assert_eq!(seqs, (before + 1..=before + 300).collect());
        let events = whole(&mut one, &open).await;
        assert_eq!(events.iter().filter(|event| matches!(event.kind, Some(Kind::Comment(_)))).count(), 300);
        assert_eq!(events.last().unwrap().mseq, 300);
        let heads =
            one.edge.heads(HeadsRequest { conversations: vec![open.clone()], ..HeadsRequest::default() }).await.unwrap().into_inner();
        assert_eq!((heads.heads[0].seq, heads.heads[0].comments, heads.heads[0].people_spoke), (before + 300, 300, 40));

        // The same id with other content is a conflict, and stays one after a restart.
        let mut other = posts[0].1.clone();
        other.content = Some(Content::Comment(Comment { text: "another word".into(), ..Comment::default() }));
        assert_eq!(one.submit(posts[0].0, other.clone()).await.unwrap_err().code(), RefusalCode::Conflict);
        let first = one.submit(posts[0].0, posts[0].1.clone()).await.unwrap();
        one.stop().await;
        if let Some(two) = two.take() {
            two.stop().await;
        }
        let mut anew = Core::start(&database.url()).await;
        assert_eq!(anew.submit(posts[0].0, posts[0].1.clone()).await.unwrap(), first);
        assert_eq!(anew.submit(posts[0].0, other).await.unwrap_err().code(), RefusalCode::Conflict);
        // Another author may use the same id.
        assert!(anew.submit(posts[0].0 + 60, posts[0].1.clone()).await.is_ok());
        anew.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_before_is_answered_as_before_whatever_has_become_of_it() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let staff = core.person("staff1").await;
        let said = comment(&open, "said once");
        let first = core.submit(100, said.clone()).await.unwrap();
        let gone = comment(&open, "said, and taken back");
        let target = seq(&core.submit(101, gone).await.unwrap());
        let recall = post(&open, Content::Recall(Recall { target, reason: String::new() }));
        let recalled = core.submit(101, recall.clone()).await.unwrap();

        // Among new ones in one batch, one of which is refused for itself.
        let nowhere = comment(&uuid::Uuid::now_v7().to_string(), "nowhere");
        let batch =
            vec![(100, said.clone()), (101, recall.clone()), (102, comment(&open, "new")), (103, nowhere), (104, comment(&open, "newer"))];
        let verdicts = core.submit_all(batch).await;
        assert_eq!(verdicts[0], Ok(first.clone()));
        assert_eq!(verdicts[1], Ok(recalled.clone()), "its target is gone by now, by this very post");
        assert_eq!(verdicts[3].as_ref().unwrap_err().code(), RefusalCode::NotFound);
        assert_eq!(seq(verdicts[4].as_ref().unwrap()), seq(verdicts[2].as_ref().unwrap()) + 1);

        // Closed: what stands is still acknowledged, what is new is refused, and the same id for something else is a conflict.
        let close = SetConsultationStateRequest { id: open.clone(), state: ConsultationState::Closed.into(), reason: String::new() };
        core.consultations.set_consultation_state(by(staff, close)).await.unwrap();
        let mut other = said.clone();
        other.content = Some(Content::Comment(Comment { text: "something else".into(), ..Comment::default() }));
        let verdicts = core.submit_all(vec![(100, said), (105, comment(&open, "too late")), (101, recall), (100, other)]).await;
        assert_eq!((&verdicts[0], &verdicts[2]), (&Ok(first), &Ok(recalled)));
        assert_eq!(verdicts[1].as_ref().unwrap_err().code(), RefusalCode::Closed);
        assert_eq!(verdicts[3].as_ref().unwrap_err().code(), RefusalCode::Conflict);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_after_closing() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let staff = core.person("staff1").await;
        let poster = core.edge.clone();
        let conversation = open.clone();
        let flood = tokio::spawn(async move {
            let mut refused = Vec::new();
            for number in 0_u32..400 {
                let submission = proto::internal::v1::Submission {
                    person: 200 + number % 50,
                    session: String::new(),
                    post: Some(comment(&conversation, &format!("word {number}"))),
                };
                let answer = submit(&poster, vec![submission]).await;
                if let Some(proto::internal::v1::submit_verdict::Verdict::Refusal(refusal)) = &answer.verdicts[0].verdict {
                    refused.push(refusal.code());
                }
            }
            refused
        });
        tokio::time::sleep(Duration::from_millis(60)).await;
        let close = SetConsultationStateRequest { id: open.clone(), state: ConsultationState::Closed.into(), reason: String::new() };
        core.consultations.set_consultation_state(by(staff, close)).await.unwrap();
        let refused = flood.await.unwrap();
        assert!(!refused.is_empty() && refused.iter().all(|code| *code == RefusalCode::Closed), "{refused:?}");
        let events = whole(&mut core, &open).await;
        let closing = events
            .iter()
            .find(|event| matches!(&event.kind, Some(Kind::ConsultationChanged(changed)) if changed.state() == ConsultationState::Closed))
            .expect("a closing event");
        let after = events.iter().filter(|event| event.seq > closing.seq && matches!(event.kind, Some(Kind::Comment(_)))).count();
        assert_eq!(after, 0, "no comment has a seq above the closing event");
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_does_not_fail_the_batch() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let nowhere = uuid::Uuid::new_v4().to_string();
        let verdicts = core
            .submit_all(vec![
                (300, comment(&open, "fine")),
                (301, comment(&open, "a \u{0} in it")),
                (302, comment(&nowhere, "no such place")),
                (0, comment(&open, "nobody")),
                (303, post(&open, Content::Edit(Edit { target: 9_999, version: 0, text: "what".into() }))),
                (304, comment(&open, "fine too")),
                (305, comment(&open, "")),
                (306, comment("not an id", "x")),
            ])
            .await;
        let codes: Vec<_> = verdicts.iter().map(|verdict| verdict.as_ref().err().map(|refusal| refusal.code())).collect();
        assert_eq!(
            codes,
            [
                None,
                Some(RefusalCode::TextForbiddenCharacter),
                Some(RefusalCode::NotFound),
                Some(RefusalCode::NotFound),
                Some(RefusalCode::NotFound),
                None,
                Some(RefusalCode::TextEmpty),
                Some(RefusalCode::Malformed),
            ]
        );
        let (first, second) = (verdicts[0].as_ref().unwrap(), verdicts[5].as_ref().unwrap());
        assert_eq!(seq(second), seq(first) + 1, "a refusal leaves no hole");
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_show_what_later_events_left() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let staff = core.person("staff1").await;
        let said = core.submit(400, comment(&open, "first words")).await.unwrap();
        let hidden = core.submit(401, comment(&open, "rude words")).await.unwrap();
        let recalled = core.submit(402, comment(&open, "hasty words")).await.unwrap();
        let edit = |text: &str| post(&open, Content::Edit(Edit { target: seq(&said), version: 77, text: text.into() }));
        core.submit(400, edit("second words")).await.unwrap();
        core.submit(400, edit("third words")).await.unwrap();
        assert_eq!(core.submit(401, edit("not mine")).await.unwrap_err().code(), RefusalCode::Forbidden);
        let hide = post(&open, Content::Hide(Hide { target: seq(&hidden), reason: "rude".into() }));
        assert_eq!(core.submit(400, hide.clone()).await.unwrap_err().code(), RefusalCode::Forbidden);
        core.submit(staff, hide).await.unwrap();
        core.submit(402, post(&open, Content::Recall(Recall { target: seq(&recalled), reason: String::new() }))).await.unwrap();
        let gone = core.submit(402, post(&open, Content::Recall(Recall { target: seq(&recalled), reason: String::new() }))).await;
        assert_eq!(gone.unwrap_err().code(), RefusalCode::TargetGone);

        let events = whole(&mut core, &open).await;
        let shown = format!("{events:?}");
        for never in ["first words", "second words", "rude words", "hasty words"] {
            assert!(!shown.contains(never), "{never} is still shown");
        }
        let at = |receipt| events.iter().find(|event| event.seq == seq(receipt)).unwrap();
        assert_eq!(text(at(&said)), "third words");
        assert!(matches!(&at(&said).kind, Some(Kind::Comment(comment)) if comment.version == 2));
        assert!(matches!(&at(&hidden).kind, Some(Kind::Comment(comment)) if comment.gone.as_ref().unwrap().by == staff));
        // Only comments make unread; a page of one also shows what a change elsewhere left.
        let one = read(&mut core, &open, Where::Around(seq(&hidden)), 1).await;
        assert_eq!(one.events.len(), 1);
        assert!(!format!("{one:?}").contains("rude words"));

        // Around, before, at a time; positions that cannot be.
        let newest = read(&mut core, &open, Where::Before(0), 2).await;
        assert!(newest.complete_after && !newest.complete_before && newest.events.len() == 2);
        let time = at(&recalled).time_ms;
        assert!(read(&mut core, &open, Where::AtTimeMs(time), 50).await.events.iter().any(|event| event.seq == seq(&recalled)));
        let beyond = PageRequest { conversation: open.clone(), epoch: 0, r#where: Some(Where::After(9_999)), limit: 10 };
        let refused = core.edge.read(ReadRequest { conversation: open.clone(), page: Some(beyond), person: 0 }).await.unwrap_err();
        assert_eq!(proto::v1::Refusal::from_status(&refused).code(), RefusalCode::PositionBeyondHead);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_from_any_position_has_no_seam() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        for number in 0..30 {
            core.submit(500, comment(&open, &format!("before {number}"))).await.unwrap();
        }
        let head = whole(&mut core, &open).await.len() as u64;
        let after = Position { conversation: open.clone(), epoch: 0, seq: 5 };
        let mut stream = core.conversations.follow(by(500, FollowRequest { after: Some(after) })).await.unwrap().into_inner();
        let poster = core.edge.clone();
        let conversation = open.clone();
        let flood = tokio::spawn(async move {
            for number in 0..200 {
                let submission = proto::internal::v1::Submission {
                    person: 501,
                    session: String::new(),
                    post: Some(comment(&conversation, &number.to_string())),
                };
                submit(&poster, vec![submission]).await;
            }
        });
        let mut next = 6;
        while next <= head + 200 {
            let batch = tokio::time::timeout(SOON, stream.message()).await.expect("in time").unwrap().expect("the stream lives");
            let Some(Body::Events(events)) = batch.body else { panic!("no events") };
            for event in events.events {
                assert_eq!(event.seq, next);
                next += 1;
            }
        }
        flood.await.unwrap();
        let beyond = Position { conversation: open.clone(), epoch: 0, seq: 9_999 };
        let refused = core.conversations.follow(by(500, FollowRequest { after: Some(beyond) })).await.unwrap_err();
        assert_eq!(proto::v1::Refusal::from_status(&refused).code(), RefusalCode::PositionBeyondHead);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_survives_a_crash_right_after_commit() {
    let Database::Postgres(mut server, url) = Database::postgres() else { unreachable!() };
    let (core, open) = Core::seeded(&url).await;
    let edge = core.edge.clone();
    let conversation = open.clone();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut tasks = tokio::task::JoinSet::new();
    for poster in 0..8_u32 {
        let (edge, conversation, stopped) = (edge.clone(), conversation.clone(), stopped.clone());
        tasks.spawn(async move {
            let mut acknowledged = Vec::new();
            let mut number = 0;
            while !*stopped.borrow() {
                let sent = comment(&conversation, &format!("{poster}:{number}"));
                number += 1;
                // Sent again with the same id until it is answered, as clients do.
                while !*stopped.borrow() {
                    let submission =
                        proto::internal::v1::Submission { person: 600 + poster, session: String::new(), post: Some(sent.clone()) };
                    let answer = submit(&edge, vec![submission]).await;
                    match answer.verdicts[0].verdict.clone().unwrap() {
                        proto::internal::v1::submit_verdict::Verdict::Receipt(receipt) => {
                            acknowledged.push((seq(&receipt), format!("{poster}:{}", number - 1)));
                            break;
                        }
                        proto::internal::v1::submit_verdict::Verdict::Refusal(refusal) => {
                            assert!(refusal.retry_after_ms > 0, "{refusal:?}");
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            }
            acknowledged
        });
    }
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        // As a loss of power: every process of it, at once.
        tokio::task::block_in_place(|| server.restart());
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.send(true).unwrap();
    let mut acknowledged = Vec::new();
    while let Some(some) = tasks.join_next().await {
        acknowledged.extend(some.unwrap());
    }
    let mut core = core;
    let events = whole(&mut core, &open).await;
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    for (seq, said) in &acknowledged {
        assert_eq!(text(&events[*seq as usize - 1]), said, "acknowledged at {seq}");
    }
    let mut texts: Vec<&str> = events.iter().map(text).filter(|text| !text.is_empty()).collect();
    let count = texts.len();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count, "nothing stands twice");
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_heads_finds_what_an_announcement_missed() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let since = core.edge.heads(HeadsRequest::default()).await.unwrap().into_inner().as_of_ms;
        core.submit(700, comment(&open, "unannounced")).await.unwrap();
        let partition = u32::from(proto::partition_of_conversation(open.parse().unwrap()));
        let found = testkit::eventually(SOON, "the head that moved", || {
            let mut edge = core.edge.clone();
            let open = open.clone();
            async move {
                let asked = HeadsRequest { since_ms: since, partitions: vec![partition], conversations: Vec::new() };
                let answer = edge.heads(asked).await.unwrap().into_inner();
                answer.heads.into_iter().find(|head| head.conversation == open && head.comments == 1)
            }
        })
        .await;
        assert_eq!(found.people_spoke, 1);
        core.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_core_that_drains_answers_what_was_asked_and_ends_the_streams_of_posts() {
    let database = Database::sqlite();
    let (mut core, open) = Core::seeded(&database.url()).await;
    let ask = |text: &str| {
        let post = Some(comment(&open, text));
        SubmitRequest { submissions: vec![proto::internal::v1::Submission { person: 800, session: String::new(), post }] }
    };
    let (calls, asked) = tokio::sync::mpsc::channel(8);
    let stream = core.edge.submit(tokio_stream::wrappers::ReceiverStream::new(asked)).await.unwrap();
    let mut answers = stream.into_inner();
    for text in ["one", "two"] {
        calls.send(ask(text)).await.unwrap();
        assert_eq!(answers.message().await.unwrap().unwrap().verdicts.len(), 1);
    }
    let told = whole(&mut core, &open).await.len();
    core.core.as_ref().unwrap().drain();
    let ended = tokio::time::timeout(SOON, answers.message()).await.expect("in time");
    assert!(ended.unwrap().is_none(), "the stream ends, though its other side does not");
    let mut late = core.edge.submit(tokio_stream::once(ask("late"))).await.unwrap().into_inner();
    assert!(late.message().await.unwrap().is_none(), "nothing more is taken");
    assert_eq!(whole(&mut core, &open).await.len(), told);
    core.stop().await;
}

/// Whoever wrote it may have been given up before its commit took effect: then nobody has told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_found_to_stand_is_told_of_again() {
    for database in Database::both() {
        let (core, open) = Core::seeded(&database.url()).await;
        core.stop().await;
        let backbone = Arc::new(MemoryBackbone::new(1_024));
        let mut follower = backbone.follow();
        follower.want(PartitionSet::ALL);
        let mut core = Core::start_with(&database.url(), backbone, |_| {}).await;
        let mut told = async || {
            let next = async {
                loop {
                    let Some(Delivery::Message { payload, .. }) = follower.next().await else { continue };
                    if let Some(hint::Hint::Announcement(told)) = Hint::decode(payload).unwrap().hint {
                        return (told.head.unwrap().seq, told.events.len());
                    }
                }
            };
            tokio::time::timeout(SOON, next).await.expect("it is told")
        };
        let first = comment(&open, "once");
        let receipt = core.submit(300, first.clone()).await.unwrap();
        assert_eq!(told().await, (seq(&receipt), 1));
        assert_eq!(core.submit(300, first.clone()).await.unwrap(), receipt);
        assert_eq!(told().await, (seq(&receipt), 0), "the head alone");
        // Together with something new it is told with that.
        let both = core.submit_all(vec![(300, first), (301, comment(&open, "new"))]).await;
        assert_eq!(both[0].as_ref().unwrap(), &receipt);
        assert_eq!(told().await, (seq(both[1].as_ref().unwrap()), 1));
        core.stop().await;
    }
}

/// Everybody's changes lock a conversation first and the control log last: a post that names it would turn that round.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_posts_to_the_control_log() {
    let database = Database::sqlite();
    let (mut core, _) = Core::seeded(&database.url()).await;
    let refused = core.submit(300, comment(&kernel::control::CONTROL.to_string(), "x")).await.unwrap_err();
    assert_eq!((refused.code(), refused.field.as_str()), (RefusalCode::NotFound, "conversation"));
    core.stop().await;
}
