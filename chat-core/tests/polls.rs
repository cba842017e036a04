//! Polls, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use common::{Core, Database, by, code, comment, post, seq};
use proto::v1::{
    ConsultationState, CreateGroupRequest, GetPollRequest, MarkKind, Poll, PollClosed, PollResult, Post, Refusal, RefusalCode, Vote,
    page_request::Where, post::Content,
};
use tonic::Status;

const OPTIONS: [&str; 3] = ["赞成", "反对", "弃权"];

fn poll(conversation: &str) -> Post {
    let options = OPTIONS.map(str::to_owned).to_vec();
    post(conversation, Content::Poll(Poll { question: "加装电梯".to_owned(), options }))
}

fn vote(conversation: &str, target: u64, option: u32) -> Post {
    post(conversation, Content::Vote(Vote { target, option }))
}

fn end(conversation: &str, target: u64) -> Post {
    post(conversation, Content::PollClosed(PollClosed { target }))
}

async fn put(core: &mut Core, person: u32, post: Post) -> Result<u64, RefusalCode> {
    core.submit(person, post).await.map(|receipt| seq(&receipt)).map_err(|refusal| refusal.code())
}

async fn told(core: &Core, person: u32, conversation: &str, seq: u64) -> Result<PollResult, Status> {
    let asked = GetPollRequest { conversation: conversation.to_owned(), seq };
    core.polls.clone().get_poll(by(person, asked)).await.map(tonic::Response::into_inner)
}

/// What a page says of a poll: up to where it is counted, and how many votes each value has.
async fn marks(core: &mut Core, conversation: &str, seq: u64) -> (u64, Vec<(MarkKind, String, u32)>) {
    let marks = core.event(conversation, seq).await.marks.unwrap_or_default();
    (marks.as_of, marks.counts.iter().map(|count| (count.mark(), count.value.clone(), count.count)).collect())
}

fn votes(of: &[(&str, u32)]) -> Vec<(MarkKind, String, u32)> {
    of.iter().map(|(value, count)| (MarkKind::Vote, (*value).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn votes_are_counted_once_a_person() {
    for database in Database::both() {
        let (mut core, open) = Core::seeded(&database.url()).await;
        let (owner, asker, voter, stranger) =
            (core.person("member1").await, core.person("member2").await, core.person("member3").await, core.person("member4").await);
        let group = CreateGroupRequest { client_id: "g".into(), title: "读书群".into(), people: vec![asker, voter] };
        let group = core.conversations.create_group(by(owner, group)).await.unwrap().into_inner().id;
        let asked = put(&mut core, asker, poll(&group)).await.unwrap();
        let said = put(&mut core, asker, comment(&group, "no poll")).await.unwrap();
        assert_eq!(core.event(&group, asked).await.marks, None, "nobody has voted");
        let before = told(&core, voter, &group, asked).await.unwrap();
        assert_eq!(
            (before.votes.as_slice(), before.mine, before.closed, before.may_vote, before.may_close),
            (&[0, 0, 0][..], None, false, true, false)
        );

        put(&mut core, owner, vote(&group, asked, 0)).await.unwrap();
        put(&mut core, asker, vote(&group, asked, 1)).await.unwrap();
        let sent = vote(&group, asked, 1);
        let third = put(&mut core, voter, sent.clone()).await.unwrap();
        assert_eq!(put(&mut core, voter, sent).await, Ok(third), "sent again, it is the same vote");
        assert_eq!(marks(&mut core, &group, asked).await, (third, votes(&[("0", 1), ("1", 2)])));
        // Changed, and changed again within one batch: the newest counts, once.
        let batch = vec![(owner, vote(&group, asked, 2)), (owner, vote(&group, asked, 1)), (asker, vote(&group, asked, 1))];
        let receipts: Vec<u64> = core.submit_all(batch).await.into_iter().map(|receipt| seq(&receipt.unwrap())).collect();
        assert_eq!(marks(&mut core, &group, asked).await, (receipts[2], votes(&[("1", 3)])));
        let mut replaces = Vec::new();
        for seq in receipts {
            replaces.push(core.event(&group, seq).await.leaves.unwrap().replaces);
        }
        assert_eq!(replaces, ["0", "2", "1"]);
        let now = told(&core, owner, &group, asked).await.unwrap();
        assert_eq!((now.votes.as_slice(), now.mine, now.may_close), (&[0, 3, 0][..], Some(1), true));
        assert_eq!(now.poll.unwrap().options, OPTIONS);
        assert_eq!(now.position.unwrap().seq, asked);

        for (post, expected) in [
            (vote(&group, asked, 3), (RefusalCode::Invalid, "option")),
            (vote(&group, asked, 10), (RefusalCode::Invalid, "option")),
            (vote(&group, said, 0), (RefusalCode::NotFound, "target")),
            (vote(&group, 99_999, 0), (RefusalCode::NotFound, "target")),
            (end(&group, asked), (RefusalCode::Forbidden, "")),
        ] {
            let refusal = core.submit(voter, post).await.unwrap_err();
            assert_eq!((refusal.code(), refusal.field.as_str()), expected);
        }
        assert_eq!(put(&mut core, stranger, vote(&group, asked, 0)).await, Err(RefusalCode::NotFound));
        for seq in [0, said, 99_999] {
            let refusal = Refusal::from_status(&told(&core, voter, &group, seq).await.unwrap_err());
            assert_eq!((refusal.code(), refusal.field.as_str()), (RefusalCode::NotFound, "seq"), "{seq}");
        }
        assert_eq!(code(told(&core, stranger, &group, asked).await.unwrap_err()), RefusalCode::NotFound);

        let ended = put(&mut core, asker, end(&group, asked)).await.unwrap();
        assert_eq!(put(&mut core, voter, vote(&group, asked, 0)).await, Err(RefusalCode::Closed));
        assert_eq!(put(&mut core, owner, end(&group, asked)).await, Err(RefusalCode::Closed));
        let mut counted = votes(&[("1", 3)]);
        counted.push((MarkKind::Closed, "1".to_owned(), 1));
        assert_eq!(marks(&mut core, &group, asked).await, (ended, counted));
        let after = told(&core, voter, &group, asked).await.unwrap();
        assert_eq!(
            (after.votes.as_slice(), after.mine, after.closed, after.may_vote, after.may_close),
            (&[0, 3, 0][..], Some(1), true, false, false)
        );
        assert_eq!(after.vote_refusal.unwrap().code(), RefusalCode::Closed);
        vote_in_a_consultation(&mut core, &open).await;
        core.stop().await;
    }
}

async fn vote_in_a_consultation(core: &mut Core, open: &str) {
    let (staff, member) = (core.person("staff1").await, core.person("member1").await);
    assert_eq!(put(core, member, poll(open)).await, Err(RefusalCode::Forbidden), "a member does not ask all");
    let asked = put(core, staff, poll(open)).await.unwrap();
    assert_eq!(told(core, member, open, asked).await.unwrap().vote_refusal, None);
    // Everybody at once, each of them three times, with somebody's change of mind among them.
    let people: Vec<u32> = (1_000..1_200).collect();
    for round in 0..3 {
        let batch: Vec<_> = people.iter().map(|person| (*person, vote(open, asked, (person + round) % 3))).collect();
        assert!(core.submit_all(batch).await.iter().all(Result::is_ok));
    }
    let last = |option: u32| people.iter().filter(|person| (**person + 2) % 3 == option).count() as u32;
    let expected = [last(0), last(1), last(2)];
    assert_eq!(told(core, people[0], open, asked).await.unwrap().votes, expected);
    let (as_of, counted) = marks(core, open, asked).await;
    assert_eq!(counted, votes(&[("0", expected[0]), ("1", expected[1]), ("2", expected[2])]));
    let newest = core.read(open, Where::Before(0), 1).await;
    assert_eq!(as_of, newest.head_seq);
    // A page summed up, and what came after it: nothing is counted twice.
    let mut held = core.event(open, asked).await;
    let more = put(core, member, vote(open, asked, 0)).await.unwrap();
    let changes: Vec<_> = core.read(open, Where::After(asked - 1), 200).await.events;
    let newest = core.event(open, more).await;
    sequence::fold_page(std::slice::from_mut(&mut held), &[changes, vec![newest]].concat());
    assert_eq!(held, core.event(open, asked).await);

    core.set_state(staff, open, ConsultationState::Paused).await;
    assert_eq!(put(core, member, vote(open, asked, 1)).await, Err(RefusalCode::Paused));
    let paused = told(core, member, open, asked).await.unwrap();
    assert_eq!((paused.mine, paused.may_vote, paused.vote_refusal.unwrap().code()), (Some(0), false, RefusalCode::Paused));
    assert!(told(core, staff, open, asked).await.unwrap().may_close);
    assert_eq!(put(core, member, end(open, asked)).await, Err(RefusalCode::Forbidden));
    put(core, staff, end(open, asked)).await.unwrap();
    core.set_state(staff, open, ConsultationState::Open).await;
    assert_eq!(put(core, member, vote(open, asked, 1)).await, Err(RefusalCode::Closed));
}
