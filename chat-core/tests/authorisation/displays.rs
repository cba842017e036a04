//! Rows of display links: those who manage a consultation make, list and end them; a screen does none of it.

use proto::v1::{CreateDisplayLinkRequest, EndDisplayLinkRequest, ListDisplayLinksRequest, RefusalCode};

use crate::{Command, Outcome, consultations::managing, world::Place};

pub fn commands() -> Vec<Command> {
    let mut ends = Place::CONSULTATIONS.to_vec();
    ends.push(Place::Missing);
    vec![
        Command::new(
            "DisplayService/CreateDisplayLink",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = CreateDisplayLinkRequest { id: cell.object.id.clone(), ..CreateDisplayLinkRequest::default() };
                cell.clients.displays.create_display_link(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            |who, place| managing(who, place, Outcome::Refused(RefusalCode::Unsupported), || Outcome::Answered),
        )
        .changing(),
        Command::new(
            "DisplayService/ListDisplayLinks",
            "",
            &Place::ALL,
            |mut cell| async move {
                let asked = ListDisplayLinksRequest { id: cell.object.id.clone() };
                let links = cell.clients.displays.list_display_links(cell.request(asked)).await?.into_inner().links;
                Ok(Outcome::listed(links.iter().any(|link| link.id == cell.object.link)))
            },
            |who, place| managing(who, place, Outcome::NotListed, || Outcome::Listed),
        ),
        Command::new(
            "DisplayService/EndDisplayLink",
            "",
            &ends,
            |mut cell| async move {
                let asked = EndDisplayLinkRequest { id: cell.object.link.clone() };
                cell.clients.displays.end_display_link(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            |who, place| managing(who, place, Outcome::Refused(RefusalCode::NotFound), || Outcome::Answered),
        )
        .changing(),
    ]
}
