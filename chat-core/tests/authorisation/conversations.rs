//! Rows of conversations: who may read, post, and change who is part of them.

use proto::v1::{
    ChangeMembersRequest, CreateGroupRequest, Edit, FollowRequest, GetConversationRequest, Hide, ListConversationsRequest, MarkRead,
    OpenDirectRequest, PageRequest, Position, Recall, RefusalCode, page_request::Where, post::Content,
};
use uuid::Uuid;

use crate::{
    Command, Outcome, common,
    people::{Extra, Tie, Who},
    world::{Cell, Place},
};

/// May read it, and so knows that it exists.
pub fn watches(who: Who, place: Place) -> bool {
    match place {
        Place::Draft => who.moderates(),
        Place::Scheduled | Place::Open | Place::Paused | Place::Closed => who.moderates() || who.is_in_audience() || who.is_invited(),
        Place::Group => matches!(who.tie, Tie::Owner | Tie::Joined),
        Place::Direct => who.tie == Tie::Party,
        Place::Control | Place::Missing | Place::Nowhere => false,
    }
}

/// NOT_FOUND for who may not watch; what `then` says for the others.
pub fn watching(who: Who, place: Place, then: impl Fn() -> Outcome) -> Outcome {
    if watches(who, place) { then() } else { Outcome::Refused(RefusalCode::NotFound) }
}

/// May write a new comment.
fn posts(who: Who, place: Place) -> Outcome {
    let is_member = who.role == crate::people::Role::Member && who.is_in_audience();
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
fn targeting(place: Place, then: impl Fn() -> Outcome) -> Outcome {
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
    targeting(place, || {
        watching(who, place, || {
            Outcome::allowed(if place == Place::Group { who.tie == Tie::Owner } else { place != Place::Direct && who.moderates() })
        })
    })
}

/// Changes who is part of it. `leaves`: only by taking oneself out.
fn changes_members(who: Who, place: Place, leaves: bool) -> Outcome {
    watching(who, place, || match place {
        Place::Group => Outcome::allowed(leaves || who.tie == Tie::Owner),
        Place::Direct if leaves => Outcome::Refused(RefusalCode::Unsupported),
        Place::Direct => Outcome::Refused(RefusalCode::Forbidden),
        // A consultation's people are a rule, not a list.
        _ if leaves || who.manages(crate::people::Home::Own) => Outcome::Refused(RefusalCode::Unsupported),
        _ => Outcome::Refused(RefusalCode::Forbidden),
    })
}

async fn send(mut cell: Cell, content: Content) -> Result<Outcome, tonic::Status> {
    let post = common::post(&cell.object.id, content);
    cell.clients.conversations.send_post(cell.request(post)).await.map(|_| Outcome::Answered)
}

async fn change(mut cell: Cell, add: Vec<u32>, remove: Vec<u32>) -> Result<Outcome, tonic::Status> {
    let asked = ChangeMembersRequest { id: cell.object.id.clone(), add, remove };
    cell.clients.conversations.change_members(cell.request(asked)).await.map(|_| Outcome::Answered)
}

async fn open_direct(mut cell: Cell, person: u32) -> Result<Outcome, tonic::Status> {
    cell.clients.conversations.open_direct(cell.request(OpenDirectRequest { person })).await.map(|_| Outcome::Answered)
}

async fn create_group(mut cell: Cell, person: u32) -> Result<Outcome, tonic::Status> {
    let asked = CreateGroupRequest { client_id: Uuid::now_v7().to_string(), title: "Tried".to_owned(), people: vec![person] };
    cell.clients.conversations.create_group(cell.request(asked)).await.map(|_| Outcome::Answered)
}

fn edit(target: u64) -> Content {
    Content::Edit(Edit { target, text: "改过的".to_owned(), ..Edit::default() })
}

fn recall(target: u64) -> Content {
    Content::Recall(Recall { target, ..Recall::default() })
}

fn answered(_: Who, _: Place) -> Outcome {
    Outcome::Answered
}

fn not_found(_: Who, _: Place) -> Outcome {
    Outcome::Refused(RefusalCode::NotFound)
}

pub fn commands() -> Vec<Command> {
    let mut commands = reading();
    commands.extend(posting());
    commands.extend(making());
    commands
}

fn reading() -> Vec<Command> {
    let read = |who, place| watching(who, place, || Outcome::Answered);
    vec![
        Command::new(
            "ConversationService/ListConversations",
            "is it there",
            &[Place::Group, Place::Direct, Place::Open, Place::Control],
            |mut cell| async move {
                let asked = ListConversationsRequest { limit: 200, ..ListConversationsRequest::default() };
                let listed = cell.clients.conversations.list_conversations(cell.request(asked)).await?.into_inner().conversations;
                Ok(Outcome::listed(listed.iter().any(|one| one.id == cell.object.id)))
            },
            // Consultations have a list of their own.
            |who, place| Outcome::listed(!place.is_consultation() && watches(who, place)),
        ),
        Command::new(
            "ConversationService/GetConversation",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = GetConversationRequest { id: cell.object.id.clone() };
                cell.clients.conversations.get_conversation(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            read,
        ),
        Command::new(
            "ConversationService/GetPage",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = PageRequest { conversation: cell.object.id.clone(), r#where: Some(Where::Before(0)), ..PageRequest::default() };
                cell.clients.conversations.get_page(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            read,
        ),
        Command::new(
            "ConversationService/SetRead",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = MarkRead { conversation: cell.object.id.clone(), mseq: 1 };
                cell.clients.conversations.set_read(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            read,
        ),
        Command::new(
            "ConversationService/Follow",
            "",
            &Place::ALL,
            |mut cell| async move {
                let after = Position { conversation: cell.object.id.clone(), ..Position::default() };
                let asked = FollowRequest { after: Some(after) };
                let mut stream = cell.clients.conversations.follow(cell.request(asked)).await?.into_inner();
                stream.message().await.map(|batch| Outcome::listed(batch.is_some()))
            },
            |who, place| watching(who, place, || Outcome::Listed),
        ),
    ]
}

fn posting() -> Vec<Command> {
    const SEND: &str = "ConversationService/SendPost";
    let comment = || Content::Comment(proto::v1::Comment { text: "我的意见".to_owned(), ..proto::v1::Comment::default() });
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
            "a recall of one's own",
            &Place::ALL,
            |cell| {
                let content = recall(cell.own_comment());
                send(cell, content)
            },
            |who, place| recalls(who, place, has_own(who, place)),
        )
        .changing(),
        Command::new(
            SEND,
            "a recall of another's",
            &Place::ALL,
            |cell| {
                let content = recall(cell.others_comment());
                send(cell, content)
            },
            |who, place| recalls(who, place, false),
        )
        .changing(),
        Command::new(
            SEND,
            "a hide",
            &Place::ALL,
            |cell| {
                let content = Content::Hide(Hide { target: cell.others_comment(), ..Hide::default() });
                send(cell, content)
            },
            hides,
        )
        .changing(),
    ]
}

fn making() -> Vec<Command> {
    const DIRECT: &str = "ConversationService/OpenDirect";
    const GROUP: &str = "ConversationService/CreateGroup";
    const MEMBERS: &str = "ConversationService/ChangeMembers";
    let nowhere = &[Place::Nowhere];
    vec![
        Command::new(
            DIRECT,
            "with a member",
            nowhere,
            |cell| {
                let person = cell.cast.extra(Extra::Newcomer);
                open_direct(cell, person)
            },
            answered,
        ),
        Command::new(
            DIRECT,
            "with oneself",
            nowhere,
            |cell| {
                let person = cell.person();
                open_direct(cell, person)
            },
            |_, _| Outcome::Refused(RefusalCode::Invalid),
        ),
        Command::new(
            DIRECT,
            "with somebody disabled",
            nowhere,
            |cell| {
                let person = cell.cast.extra(Extra::Lost);
                open_direct(cell, person)
            },
            not_found,
        ),
        Command::new(
            GROUP,
            "with a member",
            nowhere,
            |cell| {
                let person = cell.cast.extra(Extra::Newcomer);
                create_group(cell, person)
            },
            answered,
        ),
        Command::new(
            GROUP,
            "with somebody disabled",
            nowhere,
            |cell| {
                let person = cell.cast.extra(Extra::Lost);
                create_group(cell, person)
            },
            not_found,
        ),
        Command::new(
            MEMBERS,
            "adds somebody",
            &Place::ALL,
            |cell| {
                let person = cell.cast.extra(Extra::Newcomer);
                change(cell, vec![person], Vec::new())
            },
            |who, place| changes_members(who, place, false),
        )
        .changing(),
        Command::new(
            MEMBERS,
            "adds oneself",
            &Place::ALL,
            |cell| {
                let person = cell.person();
                change(cell, vec![person], Vec::new())
            },
            |who, place| changes_members(who, place, false),
        )
        .changing(),
        Command::new(
            MEMBERS,
            "takes another out",
            &Place::ALL,
            |cell| {
                let person = cell.cast.extra(Extra::Witness);
                change(cell, Vec::new(), vec![person])
            },
            |who, place| changes_members(who, place, false),
        )
        .changing(),
        Command::new(
            MEMBERS,
            "leaves",
            &Place::ALL,
            |cell| {
                let person = cell.person();
                change(cell, Vec::new(), vec![person])
            },
            |who, place| changes_members(who, place, true),
        )
        .changing(),
    ]
}
