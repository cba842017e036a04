//! Rows of moderation: who mutes whom, and who is told of acts. (Hiding and giving back are posts: see posts.)

use proto::v1::{ListActsRequest, MutePersonRequest, RefusalCode};

use crate::{
    Command, Outcome,
    conversations::{moderates, watching},
    people::{Extra, Tie, Who},
    world::{Cell, Place},
};

/// NOT_FOUND for who may not watch, FORBIDDEN for who does not moderate; what `then` says for who does.
fn moderating(who: Who, place: Place, then: Outcome) -> Outcome {
    watching(who, place, || match place {
        // Nobody is muted in a group, not even by who keeps it.
        Place::Group if who.tie == Tie::Owner => Outcome::Refused(RefusalCode::Unsupported),
        Place::Group | Place::Direct => Outcome::Refused(RefusalCode::Forbidden),
        _ if who.moderates() => then,
        _ => Outcome::Refused(RefusalCode::Forbidden),
    })
}

/// Long ago lets somebody post again; far ahead mutes them.
async fn mute(mut cell: Cell, person: u32, is_muted: bool) -> Result<Outcome, tonic::Status> {
    let now_ms = clock::Clock::default().now_ms();
    let until_ms = if is_muted { now_ms + 3_600_000 } else { 0 };
    let asked = MutePersonRequest { id: cell.object.id.clone(), person, until_ms, reason: String::new() };
    cell.clients.moderation.mute_person(cell.request(asked)).await.map(|_| Outcome::Answered)
}

pub fn commands() -> Vec<Command> {
    const MUTE: &str = "ModerationService/MutePerson";
    let row = |case, extra: Option<Extra>, is_muted, then| {
        let call = move |cell: Cell| {
            let person = extra.map_or(0, |extra| cell.cast.extra(extra));
            mute(cell, person, is_muted)
        };
        Command::new(MUTE, case, &Place::ALL, call, move |who, place| moderating(who, place, then))
    };
    vec![
        row("a member", Some(Extra::Witness), true, Outcome::Answered),
        row("lets a member post again", Some(Extra::Witness), false, Outcome::Answered),
        row("who runs it", Some(Extra::Convenor), true, Outcome::Refused(RefusalCode::Forbidden)),
        row("nobody", None, true, Outcome::Refused(RefusalCode::NotFound)),
        Command::new(
            "ModerationService/ListActs",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = ListActsRequest { id: cell.object.id.clone(), ..ListActsRequest::default() };
                cell.clients.moderation.list_acts(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            |who, place| watching(who, place, || Outcome::allowed(moderates(who, place))),
        ),
    ]
}
