//! What those who run a room do: hiding and giving back, and the list of their acts; on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::time::Duration;

use common::{Core, Database, SOON, by, code, comment, post, seq};
use proto::{
    internal::v1::HeadsRequest,
    v1::{
        Act, ChangeMembersRequest, Comment, ConsultationState, CreateGroupRequest, Edit, Event, FollowRequest, Hide, ListActsRequest,
        ListActsResponse, MutePersonRequest, Position, Recall, Refusal, RefusalCode, SetConsultationStateRequest, Unhide, act::What,
        batch::Body, event::Kind, page_request::Where, post::Content, tombstone::Why,
    },
};
use tonic::Status;

fn edit(target: u64, text: &str) -> Content {
    Content::Edit(Edit { target, version: 0, text: text.to_owned() })
}

fn hide(target: u64, reason: &str) -> Content {
    Content::Hide(Hide { target, reason: reason.to_owned() })
}

fn unhide(target: u64, reason: &str) -> Content {
    // What only the server says is not taken from whoever posts.
    Content::Unhide(Unhide { target, reason: reason.to_owned(), text: "words that nobody said".to_owned(), version: 77 })
}

fn recall(target: u64) -> Content {
    Content::Recall(Recall { target, reason: String::new() })
}

/// One room, and shorter words for what is done in it.
struct Room {
    core: Core,
    id: String,
}

impl Room {
    async fn put(&mut self, person: u32, content: Content) -> Result<u64, RefusalCode> {
        let receipt = self.core.submit(person, post(&self.id, content)).await;
        receipt.map(|receipt| seq(&receipt)).map_err(|refusal| refusal.code())
    }

    async fn say(&mut self, person: u32, text: &str) -> u64 {
        seq(&self.core.submit(person, comment(&self.id, text)).await.unwrap())
    }

    async fn comment(&mut self, seq: u64) -> Comment {
        let Some(Kind::Comment(comment)) = self.core.event(&self.id, seq).await.kind else { panic!("{seq} is no comment") };
        comment
    }

    async fn comments(&mut self) -> u64 {
        let asked = HeadsRequest { conversations: vec![self.id.clone()], ..HeadsRequest::default() };
        self.core.edge.heads(asked).await.unwrap().into_inner().heads[0].comments
    }

    async fn unhide_in(&mut self, seq: u64) -> Unhide {
        let Some(Kind::Unhide(unhide)) = self.core.event(&self.id, seq).await.kind else { panic!("{seq} gives nothing back") };
        unhide
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_hidden_is_given_back_with_its_newest_text() {
    for database in Database::both() {
        let (mut core, id) = Core::seeded(&database.url()).await;
        let staff = core.person("staff1").await;
        let mut room = Room { core, id };
        let said = room.say(400, "first words").await;
        let (comments, head) = (room.comments().await, said);
        let after = Position { conversation: room.id.clone(), epoch: 0, seq: 0 };
        let mut stream = room.core.conversations.follow(by(500, FollowRequest { after: Some(after) })).await.unwrap().into_inner();
        let mut followed = Vec::<Event>::new();
        let mut follow = async |followed: &mut Vec<Event>, to: u64| {
            while followed.last().is_none_or(|last| last.seq < to) {
                let batch = tokio::time::timeout(SOON, stream.message()).await.expect("in time").unwrap().expect("the stream lives");
                let Some(Body::Events(events)) = batch.body else { panic!("no events") };
                followed.extend(events.events);
            }
        };
        follow(&mut followed, head).await;

        room.put(400, edit(said, "second words")).await.unwrap();
        let hidden = room.put(staff, hide(said, "off topic")).await.unwrap();
        assert_eq!(room.comments().await, comments - 1);
        // Read while it is hidden, so that what comes later must bring its words along.
        follow(&mut followed, hidden).await;
        assert!(room.comment(said).await.gone.is_some());
        assert_eq!(room.put(401, unhide(said, "")).await, Err(RefusalCode::Forbidden));
        assert_eq!(room.put(400, unhide(said, "")).await, Err(RefusalCode::Forbidden), "nor does its author");
        let back = room.put(staff, unhide(said, "it was on topic")).await.unwrap();
        assert_eq!(room.comments().await, comments);
        let told = room.unhide_in(back).await;
        assert_eq!((told.text.as_str(), told.version, told.reason.as_str()), ("second words", 1, "it was on topic"));
        let shown = room.comment(said).await;
        assert_eq!((shown.text.as_str(), shown.version, &shown.gone, shown.restored), ("second words", 1, &None, back));
        follow(&mut followed, back).await;

        // It goes on: edited, hidden again, given back again.
        let third = room.put(400, edit(said, "third words")).await.unwrap();
        assert_eq!(room.unhide_in(back).await.text, "", "words that were replaced since are shown nowhere");
        room.put(staff, hide(said, "still off topic")).await.unwrap();
        let page = room.core.read(&room.id, Where::After(said - 1), 50).await;
        for never in ["first words", "second words", "third words", "nobody said"] {
            assert!(!format!("{page:?}").contains(never), "{never} is still shown");
        }
        let stone = room.comment(said).await.gone.unwrap();
        assert_eq!((stone.why(), stone.by, stone.reason.as_str()), (Why::Hidden, staff, "still off topic"));
        assert_eq!(room.comments().await, comments - 1);
        let again = room.put(staff, unhide(said, "")).await.unwrap();
        let shown = room.comment(said).await;
        assert_eq!((shown.text.as_str(), shown.version, &shown.gone, shown.restored), ("third words", 2, &None, again));
        assert_eq!(room.put(400, edit(third, "not a comment")).await, Err(RefusalCode::NotFound));

        // All in one batch: what is given back is what that very batch made of it.
        let batch =
            [(400, edit(said, "fourth words")), (staff, hide(said, "")), (staff, unhide(said, "")), (400, edit(said, "fifth words"))];
        let batch = batch.map(|(person, content)| (person, post(&room.id, content)));
        let receipts: Vec<u64> = room.core.submit_all(batch.to_vec()).await.into_iter().map(|receipt| seq(&receipt.unwrap())).collect();
        let shown = room.comment(said).await;
        assert_eq!((shown.text.as_str(), shown.version, shown.restored), ("fifth words", 4, receipts[2]));
        assert_eq!(room.unhide_in(receipts[2]).await.version, 3);

        // What its author took back stays gone, and what stands is not given back.
        let hasty = room.say(402, "hasty words").await;
        assert_eq!(room.put(staff, unhide(hasty, "")).await, Err(RefusalCode::Conflict));
        room.put(402, recall(hasty)).await.unwrap();
        assert_eq!(room.put(staff, unhide(hasty, "")).await, Err(RefusalCode::TargetGone));
        assert_eq!(room.put(staff, unhide(99_999, "")).await, Err(RefusalCode::NotFound));
        let last = room.say(403, "the end").await;
        assert_eq!(room.comments().await, comments + 1);

        // Who followed all the while holds what a page shows.
        follow(&mut followed, last).await;
        let changes = followed.clone();
        sequence::fold_page(&mut followed, &changes);
        let page = room.core.read(&room.id, Where::After(0), 200).await;
        assert!(page.complete_after);
        assert_eq!(followed, page.events);
        room.core.stop().await;
    }
}

/// Whoever may not watch is told the same of everything: that there is no such conversation.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_tells_strangers_nothing_of_what_stands() {
    for database in Database::both() {
        let (mut core, _) = Core::seeded(&database.url()).await;
        let group = CreateGroupRequest { client_id: "g".into(), title: "读书群".into(), people: vec![401, 402] };
        let id = core.conversations.create_group(by(400, group)).await.unwrap().into_inner().id;
        let mut room = Room { core, id };
        let (stands, gone) = (room.say(401, "stands").await, room.say(401, "taken back").await);
        room.put(401, recall(gone)).await.unwrap();
        let answer = Content::Comment(Comment { text: "to what?".into(), reply_to: 9_999, ..Comment::default() });
        let tries = [
            edit(stands, "mine"),
            edit(gone, "mine"),
            edit(9_999, "mine"),
            hide(gone, ""),
            unhide(stands, ""),
            unhide(gone, ""),
            recall(gone),
            answer.clone(),
        ];
        for content in tries {
            let refusal = room.core.submit(500, post(&room.id, content.clone())).await.unwrap_err();
            assert_eq!((refusal.code(), refusal.field.as_str()), (RefusalCode::NotFound, "conversation"), "{content:?}");
        }
        // Those who are part of it are told what is wrong.
        for (content, expected) in [(recall(gone), (RefusalCode::TargetGone, "")), (answer, (RefusalCode::NotFound, "reply_to"))] {
            let refusal = room.core.submit(401, post(&room.id, content)).await.unwrap_err();
            assert_eq!((refusal.code(), refusal.field.as_str()), expected);
        }
        room.core.stop().await;
    }
}

async fn acts(core: &Core, person: u32, id: &str, limit: u32, cursor: &str) -> Result<ListActsResponse, Status> {
    let asked = ListActsRequest { id: id.to_owned(), limit, cursor: cursor.to_owned() };
    core.moderation.clone().list_acts(by(person, asked)).await.map(tonic::Response::into_inner)
}

/// An act in few words.
fn words(act: &Act) -> String {
    match act.what.as_ref().unwrap() {
        What::Mute(mute) => format!("mute {} {} {}", mute.person, mute.until_ms > 0, mute.reason),
        What::Event(event) => match event.kind.as_ref().unwrap() {
            Kind::Hide(hide) => format!("hide {} {}", hide.target, hide.reason),
            Kind::Unhide(unhide) => format!("unhide {} {}", unhide.target, unhide.reason),
            Kind::PollClosed(closed) => format!("poll closed {}", closed.target),
            Kind::ConsultationChanged(changed) => format!("{:?} {}", changed.state(), changed.reason),
            Kind::MembersChanged(changed) => format!("members {:?} {:?}", changed.added, changed.removed),
            other => panic!("{other:?} is no act"),
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_acts_of_a_room_are_listed_for_those_who_moderate() {
    use ConsultationState as S;
    for database in Database::both() {
        let (mut core, id) = Core::seeded(&database.url()).await;
        let (staff, member, other) = (core.person("staff1").await, core.person("member1").await, core.person("member2").await);
        let mut room = Room { core, id };
        let said = room.say(member, "off topic").await;
        let until_ms = room.core.clock.now_ms() + 3_600_000;
        let mute = |until_ms, reason: &str| MutePersonRequest { id: room.id.clone(), person: member, until_ms, reason: reason.to_owned() };
        let mutes = [mute(until_ms, "again off topic"), mute(0, "")];
        let set =
            |state: S, reason: &str| SetConsultationStateRequest { id: room.id.clone(), state: state.into(), reason: reason.to_owned() };
        let states = [set(S::Paused, "中场休息"), set(S::Open, ""), set(S::Closed, "到时间了"), set(S::Open, "还有委员要发言")];
        // The clock moves on between one act and the next: two of one moment have no order between the two lists that are merged.
        let clock = room.core.clock.clone();
        let pass = || clock.advance(Duration::from_secs(1));
        pass();
        room.put(staff, hide(said, "rude")).await.unwrap();
        pass();
        room.put(staff, unhide(said, "not so rude")).await.unwrap();
        for mute in mutes {
            pass();
            room.core.moderation.mute_person(by(staff, mute)).await.unwrap();
        }
        for state in states {
            pass();
            room.core.consultations.set_consultation_state(by(staff, state)).await.unwrap();
        }

        let expected = [
            "Open 还有委员要发言".to_owned(),
            "Closed 到时间了".to_owned(),
            "Open ".to_owned(),
            "Paused 中场休息".to_owned(),
            format!("mute {member} false "),
            format!("mute {member} true again off topic"),
            format!("unhide {said} not so rude"),
            format!("hide {said} rude"),
            "Open ".to_owned(),
            "Draft ".to_owned(),
        ];
        let whole = acts(&room.core, staff, &room.id, 0, "").await.unwrap();
        assert_eq!(whole.acts.iter().map(words).collect::<Vec<_>>(), expected);
        assert_eq!(whole.next, "");
        assert!(whole.acts.iter().all(|act| act.by == staff), "{whole:?}");
        assert!(whole.acts.windows(2).all(|pair| pair[0].time_ms >= pair[1].time_ms), "{whole:?}");
        // In pages of every length they are the same.
        for limit in 1..=expected.len() as u32 {
            let (mut paged, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = acts(&room.core, staff, &room.id, limit, &cursor).await.unwrap();
                assert!(page.acts.len() <= limit as usize);
                paged.extend(page.acts);
                if page.next.is_empty() {
                    break;
                }
                assert_eq!(paged.len() % limit as usize, 0, "only the last page is short");
                cursor = page.next;
            }
            assert_eq!(paged, whole.acts, "pages of {limit}");
        }
        assert_eq!(code(acts(&room.core, member, &room.id, 0, "").await.unwrap_err()), RefusalCode::Forbidden);
        let refusal = Refusal::from_status(&acts(&room.core, staff, &room.id, 0, "newest").await.unwrap_err());
        assert_eq!((refusal.code(), refusal.field.as_str()), (RefusalCode::Invalid, "cursor"));

        // Of a group, for who keeps it.
        let group = CreateGroupRequest { client_id: "g".into(), title: "读书群".into(), people: vec![other] };
        let group = room.core.conversations.create_group(by(member, group)).await.unwrap().into_inner().id;
        let change = ChangeMembersRequest { id: group.clone(), add: vec![staff], remove: vec![] };
        room.core.conversations.change_members(by(member, change)).await.unwrap();
        let listed = acts(&room.core, member, &group, 0, "").await.unwrap();
        assert_eq!(listed.acts.iter().map(words).collect::<Vec<_>>(), [format!("members [{staff}] []")]);
        assert_eq!(code(acts(&room.core, other, &group, 0, "").await.unwrap_err()), RefusalCode::Forbidden);
        assert_eq!(code(acts(&room.core, 500, &group, 0, "").await.unwrap_err()), RefusalCode::NotFound);
        room.core.stop().await;
    }
}
