//! Rows of consultations: who sees them, makes them and runs them.

use proto::v1::{
    CallConsultationRequest, Consultation, ConsultationState, CreateConsultationRequest, GetConsultationRequest, ListConsultationsRequest,
    RefusalCode, SetConsultationStateRequest, UpdateConsultationRequest,
};
use uuid::Uuid;

use crate::{
    Command, Outcome,
    conversations::{watches, watching},
    people::{Home, Tie, Who},
    world::{Cell, Place, audiences},
};

/// NOT_FOUND for who may not watch, FORBIDDEN for who does not manage it; what `then` says of the consultation for who does. Who keeps
/// a group manages it, and it is no consultation.
pub fn managing(who: Who, place: Place, group: Outcome, then: impl Fn() -> Outcome) -> Outcome {
    watching(who, place, || match place {
        Place::Group if who.tie == Tie::Owner => group,
        Place::Group | Place::Direct => Outcome::Refused(RefusalCode::Forbidden),
        _ if who.manages(Home::Own) => then(),
        _ => Outcome::Refused(RefusalCode::Forbidden),
    })
}

const NOT_FOUND: Outcome = Outcome::Refused(RefusalCode::NotFound);

fn updates(who: Who, place: Place) -> Outcome {
    managing(who, place, NOT_FOUND, || match place {
        Place::Closed => Outcome::Refused(RefusalCode::Closed),
        _ => Outcome::Answered,
    })
}

fn calls(who: Who, place: Place) -> Outcome {
    managing(who, place, NOT_FOUND, || match place {
        Place::Draft => Outcome::Refused(RefusalCode::NotOpen),
        Place::Closed => Outcome::Refused(RefusalCode::Closed),
        Place::Scheduled => Outcome::Answered,
        // Opening has called already.
        _ => Outcome::Refused(RefusalCode::RateLimited),
    })
}

/// From a state to another, by hand.
fn becomes(who: Who, place: Place, state: ConsultationState) -> Outcome {
    use ConsultationState as S;
    managing(who, place, NOT_FOUND, || match (place, state) {
        // What is closed may be reopened.
        (Place::Closed, S::Open) => Outcome::Answered,
        (Place::Closed, _) => Outcome::Refused(RefusalCode::Closed),
        (Place::Draft, S::Open)
        | (Place::Scheduled, S::Draft | S::Open | S::Closed)
        | (Place::Open, S::Paused | S::Closed)
        | (Place::Paused, S::Open | S::Closed) => Outcome::Answered,
        // Also a draft without a time, which cannot be scheduled.
        _ => Outcome::Refused(RefusalCode::Invalid),
    })
}

/// Every consultation on every page of the list.
async fn list(mut cell: Cell, managed: bool) -> Result<Outcome, tonic::Status> {
    let mut cursor = String::new();
    loop {
        let asked = ListConsultationsRequest { managed, limit: 200, cursor, ..ListConsultationsRequest::default() };
        let page = cell.clients.consultations.list_consultations(cell.request(asked)).await?.into_inner();
        if page.consultations.iter().any(|one| one.id == cell.object.id) {
            return Ok(Outcome::Listed);
        }
        if page.next.is_empty() {
            return Ok(Outcome::NotListed);
        }
        cursor = page.next;
    }
}

async fn create(mut cell: Cell, organisation: u32) -> Result<Outcome, tonic::Status> {
    let asked = CreateConsultationRequest {
        client_id: Uuid::now_v7().to_string(),
        organisation,
        title: "Tried".to_owned(),
        ..CreateConsultationRequest::default()
    };
    cell.clients.consultations.create_consultation(cell.request(asked)).await.map(|_| Outcome::Answered)
}

/// What a screen gets of a consultation: whom it is for, and who runs it, is not its to know.
fn is_bare(consultation: &Consultation) -> bool {
    consultation.watch.is_none() && consultation.post.is_none() && consultation.moderators.is_empty() && consultation.created_by == 0
}

pub fn commands() -> Vec<Command> {
    const LIST: &str = "ConsultationService/ListConsultations";
    const CREATE: &str = "ConsultationService/CreateConsultation";
    let listed = [Place::Draft, Place::Scheduled, Place::Open, Place::Paused, Place::Closed, Place::Group];
    let mut commands = vec![
        Command::new(
            LIST,
            "is it there",
            &listed,
            |cell| list(cell, false),
            |who, place| Outcome::listed(place.is_consultation() && watches(who, place)),
        ),
        Command::new(
            LIST,
            "is it there, of those managed",
            &listed,
            |cell| list(cell, true),
            |who, place| Outcome::listed(place.is_consultation() && who.manages(Home::Own)),
        ),
        Command::new(
            "ConsultationService/GetConsultation",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = GetConsultationRequest { id: cell.object.id.clone() };
                let shown = cell.clients.consultations.get_consultation(cell.request(asked)).await?.into_inner();
                Ok(if is_bare(&shown) { Outcome::Complained } else { Outcome::Answered })
            },
            |who, place| if place.is_consultation() { watching(who, place, || Outcome::Answered) } else { NOT_FOUND },
        )
        .for_screens(|own, place| match place {
            _ if !own => NOT_FOUND,
            Place::Draft => Outcome::Refused(RefusalCode::NotOpen),
            _ => Outcome::Complained,
        }),
    ];
    for home in Home::ALL {
        let create = move |cell: Cell| {
            let organisation = cell.cast.organisation(home);
            create(cell, organisation)
        };
        let expect = move |who: Who, _| Outcome::allowed(who.manages(home));
        commands.push(Command::new(CREATE, format!("of {home:?}"), &[Place::Nowhere], create, expect));
    }
    commands.push(Command::new(
        CREATE,
        "of no organisation",
        &[Place::Nowhere],
        |cell| create(cell, 0),
        |_, _| Outcome::Refused(RefusalCode::Invalid),
    ));
    commands.extend(running());
    commands
}

fn running() -> Vec<Command> {
    use ConsultationState as S;
    let mut commands = vec![
        Command::new(
            "ConsultationService/UpdateConsultation",
            "",
            &Place::ALL,
            |mut cell| async move {
                let (watch, post) = audiences(&cell.cast);
                let asked = UpdateConsultationRequest {
                    id: cell.object.id.clone(),
                    version: cell.object.version,
                    title: "Changed".to_owned(),
                    watch: Some(watch),
                    post: Some(post),
                    ..UpdateConsultationRequest::default()
                };
                cell.clients.consultations.update_consultation(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            updates,
        )
        .changing(),
        Command::new(
            "ConsultationService/CallConsultation",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = CallConsultationRequest { id: cell.object.id.clone() };
                cell.clients.consultations.call_consultation(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            calls,
        )
        .changing(),
    ];
    for state in [S::Draft, S::Scheduled, S::Open, S::Paused, S::Closed] {
        commands.push(
            Command::new(
                "ConsultationService/SetConsultationState",
                format!("{state:?}"),
                &Place::ALL,
                move |mut cell| async move {
                    let asked = SetConsultationStateRequest { id: cell.object.id.clone(), state: state.into(), reason: String::new() };
                    cell.clients.consultations.set_consultation_state(cell.request(asked)).await.map(|_| Outcome::Answered)
                },
                move |who, place| becomes(who, place, state),
            )
            .changing(),
        );
    }
    commands
}
