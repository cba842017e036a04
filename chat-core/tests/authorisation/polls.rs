//! Rows of polls: who asks, votes, ends a vote, and is told how it stands.

use proto::v1::{GetPollRequest, Poll, PollClosed, RefusalCode, Vote, post::Content};

use crate::{
    Command, Outcome,
    conversations::{moderates, watching},
    people::{Tie, Who},
    posts::{posts, send, targeting},
    world::Place,
};

/// Among their own everybody asks, in a consultation those who moderate it.
fn asks(who: Who, place: Place) -> Outcome {
    match posts(who, place) {
        Outcome::Answered => Outcome::allowed(matches!(place, Place::Group | Place::Direct) || moderates(who, place)),
        refused => refused,
    }
}

/// May post where the poll stands; then `then`.
fn votes(who: Who, place: Place, then: Outcome) -> Outcome {
    targeting(place, || match posts(who, place) {
        Outcome::Answered => then,
        refused => refused,
    })
}

/// Those who moderate end it in every state; and who asked, where they may post.
fn ends(who: Who, place: Place) -> Outcome {
    let has_asked = match place {
        Place::Group => who.tie == Tie::Owner,
        Place::Direct => who == Who::PARTIES[0],
        // The convenor did, who is none of those who are tried.
        _ => false,
    };
    targeting(place, || watching(who, place, || Outcome::allowed(has_asked || moderates(who, place))))
}

fn poll() -> Content {
    Content::Poll(Poll { question: "何时开会".to_owned(), options: ["上午", "下午"].map(str::to_owned).to_vec() })
}

pub fn commands() -> Vec<Command> {
    const SEND: &str = "ConversationService/SendPost";
    let vote = |target, option| Content::Vote(Vote { target, option });
    vec![
        Command::new(
            "PollService/GetPoll",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = GetPollRequest { conversation: cell.object.id.clone(), seq: cell.object.polls.last() };
                cell.clients.polls.get_poll(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            |who, place| targeting(place, || watching(who, place, || Outcome::Answered)),
        ),
        Command::new(SEND, "a poll", &Place::ALL, |cell| send(cell, poll()), asks),
        Command::new(
            SEND,
            "a vote",
            &Place::ALL,
            move |cell| {
                let content = vote(cell.object.polls.last(), 1);
                send(cell, content)
            },
            |who, place| votes(who, place, Outcome::Answered),
        ),
        Command::new(
            SEND,
            "a vote for no option",
            &Place::ALL,
            move |cell| {
                let content = vote(cell.object.polls.last(), 2);
                send(cell, content)
            },
            |who, place| votes(who, place, Outcome::Refused(RefusalCode::Invalid)),
        ),
        Command::new(
            SEND,
            "a vote in a poll that has ended",
            &Place::ALL,
            move |cell| {
                let content = vote(cell.object.ended_poll, 0);
                send(cell, content)
            },
            |who, place| votes(who, place, Outcome::Refused(RefusalCode::Closed)),
        ),
        Command::new(
            SEND,
            "the end of a poll",
            &Place::ALL,
            |cell| {
                let content = Content::PollClosed(PollClosed { target: cell.object.polls.take() });
                send(cell, content)
            },
            ends,
        ),
    ]
}
