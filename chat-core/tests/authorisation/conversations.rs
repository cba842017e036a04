//! Rows of conversations: who may read them, make them, and change who is part of them.

use proto::v1::{
    ChangeMembersRequest, CreateGroupRequest, FollowRequest, GetConversationRequest, ListConversationsRequest, MarkRead, OpenDirectRequest,
    PageRequest, Position, RefusalCode, page_request::Where,
};
use uuid::Uuid;

use crate::{
    Command, Outcome,
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

/// Moderates it, where it is to be seen.
pub fn moderates(who: Who, place: Place) -> bool {
    match place {
        Place::Group => who.tie == Tie::Owner,
        Place::Direct => false,
        _ => who.moderates(),
    }
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

fn answered(_: Who, _: Place) -> Outcome {
    Outcome::Answered
}

fn not_found(_: Who, _: Place) -> Outcome {
    Outcome::Refused(RefusalCode::NotFound)
}

pub fn commands() -> Vec<Command> {
    let mut commands = reading();
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
