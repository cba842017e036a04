//! Rows of what is said: who may comment, edit, take back, hide and give back.

use proto::v1::{Comment, Edit, Hide, Recall, RefusalCode, Unhide, post::Content};

use crate::{
    Command, Outcome, common,
    conversations::{moderates, watching},
    people::{Role, Tie, Who},
    world::{Cell, Place},
};

/// May write a new comment.
pub fn posts(who: Who, place: Place) -> Outcome {
    let is_member = who.role == Role::Member && who.is_in_audience();
    watching(who, place, || match place {
        Place::Group | Place::Direct => Outcome::Answered,
        _ if !who.moderates() && !who.is_invited() && !is_member => Outcome::Refused(RefusalCode::Forbidden),
        Place::Draft | Place::Scheduled => Outcome::Refused(RefusalCode::NotOpen),
        Place::Paused => Outcome::Refused(RefusalCode::Paused),
        Place::Closed => Outcome::Refused(RefusalCode::Closed),
        _ if who.tie == Tie::Muted => Outcome::Refused(RefusalCode::Muted),
        _ => Outcome::Answered,
    })
}

/// Where the comment that is meant does not stand, there is nothing to judge.
pub fn targeting(place: Place, then: impl Fn() -> Outcome) -> Outcome {
    if place.has_comments() { then() } else { Outcome::Refused(RefusalCode::NotFound) }
}

/// Has a comment of their own here.
fn has_own(who: Who, place: Place) -> bool {
    match place {
        Place::Group => matches!(who.tie, Tie::Owner | Tie::Joined),
        Place::Direct => who.tie == Tie::Party,
        _ => who.has_commented(),
    }
}

fn edits(who: Who, place: Place, is_own: bool) -> Outcome {
    targeting(place, || match posts(who, place) {
        Outcome::Answered => Outcome::allowed(is_own),
        refused => refused,
    })
}

fn recalls(who: Who, place: Place, is_own: bool) -> Outcome {
    targeting(place, || {
        watching(who, place, || match place {
            Place::Closed => Outcome::Refused(RefusalCode::Closed),
            // In a pause, or muted, one may still take one's own words back.
            _ => Outcome::allowed(is_own),
        })
    })
}

fn hides(who: Who, place: Place) -> Outcome {
    targeting(place, || watching(who, place, || Outcome::allowed(moderates(who, place))))
}

/// Nobody hides anything in a direct conversation, so there is nothing to give back.
fn gives_back(who: Who, place: Place) -> Outcome {
    if place == Place::Direct { Outcome::Refused(RefusalCode::NotFound) } else { hides(who, place) }
}

pub async fn send(mut cell: Cell, content: Content) -> Result<Outcome, tonic::Status> {
    let post = common::post(&cell.object.id, content);
    cell.clients.conversations.send_post(cell.request(post)).await.map(|_| Outcome::Answered)
}

fn edit(target: u64) -> Content {
    Content::Edit(Edit { target, text: "改过的".to_owned(), ..Edit::default() })
}

fn recall(target: u64) -> Content {
    Content::Recall(Recall { target, ..Recall::default() })
}

pub fn commands() -> Vec<Command> {
    const SEND: &str = "ConversationService/SendPost";
    let comment = || Content::Comment(Comment { text: "我的意见".to_owned(), ..Comment::default() });
    vec![
        Command::new(SEND, "a comment", &Place::ALL, move |cell| send(cell, comment()), posts),
        Command::new(
            SEND,
            "an edit of one's own",
            &Place::ALL,
            |cell| {
                let content = edit(cell.own_comment());
                send(cell, content)
            },
            |who, place| edits(who, place, has_own(who, place)),
        ),
        Command::new(
            SEND,
            "an edit of another's",
            &Place::ALL,
            |cell| {
                let content = edit(cell.others_comment());
                send(cell, content)
            },
            |who, place| edits(who, place, false),
        ),
        Command::new(
            SEND,
            "a recall of another's",
            &Place::ALL,
            |cell| {
                let content = recall(cell.others_comment());
                send(cell, content)
            },
            |who, place| recalls(who, place, false),
        ),
        Command::new(
            SEND,
            "a hide",
            &Place::ALL,
            |cell| {
                let content = Content::Hide(Hide { target: cell.object.more.take(), ..Hide::default() });
                send(cell, content)
            },
            hides,
        ),
        Command::new(
            SEND,
            "an unhide",
            &Place::ALL,
            |cell| {
                let content = Content::Unhide(Unhide { target: cell.object.hidden.take(), ..Unhide::default() });
                send(cell, content)
            },
            gives_back,
        ),
        Command::new(
            SEND,
            "an unhide of what stands",
            &Place::ALL,
            |cell| {
                let content = Content::Unhide(Unhide { target: cell.others_comment(), ..Unhide::default() });
                send(cell, content)
            },
            // Who may not watch is not told that it stands.
            |who, place| targeting(place, || watching(who, place, || Outcome::Refused(RefusalCode::Conflict))),
        ),
        // The last, since it takes away what others are tried on.
        Command::new(
            SEND,
            "a recall of one's own",
            &Place::ALL,
            |cell| {
                let content = recall(cell.own_comment());
                send(cell, content)
            },
            |who, place| recalls(who, place, has_own(who, place)),
        ),
    ]
}
