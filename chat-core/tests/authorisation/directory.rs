//! Rows of the directory: an administrator keeps the own organisation and those below it, an operator all.

use proto::v1::{
    CreateOrganisationRequest, CreatePersonRequest, CreateSignInLinkRequest, GetCardsRequest, GetMeRequest, GetPeopleRequest,
    ImportRequest, ListOrganisationsRequest, RefusalCode, SearchPeopleRequest, UpdatePersonRequest,
};

use crate::{
    Command, Outcome,
    people::{Extra, Home, Role, Who},
    world::{Cell, Place},
};

const NOWHERE: &[Place] = &[Place::Nowhere];
/// Roles of those who are made and changed; staff are as members to whoever keeps the directory.
const GIVEN: [Role; 3] = [Role::Member, Role::Administrator, Role::Operator];

/// A screen whose consultation is shown reads what stands beside it.
fn reads(then: Outcome) -> impl Fn(bool, Place) -> Outcome {
    move |own, place| if own && place == Place::Draft { Outcome::Refused(RefusalCode::NotOpen) } else { then }
}

/// Whether somebody's name is told; Complained: with the login, which is not everybody's to know.
async fn find(mut cell: Cell, person: u32) -> Result<Outcome, tonic::Status> {
    let people = cell.clients.directory.get_people(cell.request(GetPeopleRequest { ids: vec![person] })).await?.into_inner().people;
    Ok(if people.iter().any(|one| !one.login.is_empty()) { Outcome::Complained } else { Outcome::listed(!people.is_empty()) })
}

/// Whether somebody's card is shown. People made first have the cards of their own number.
async fn find_card(mut cell: Cell, card: u32) -> Result<Outcome, tonic::Status> {
    let cards = cell.clients.directory.get_cards(cell.request(GetCardsRequest { ids: vec![card] })).await?.into_inner().cards;
    Ok(Outcome::listed(!cards.is_empty()))
}

/// What somebody is to be.
struct Wish {
    target: (Role, Home),
    role: Role,
    home: Home,
    disabled: bool,
}

/// Changes somebody, and changes them back where that was let through.
async fn update(mut cell: Cell, wish: Wish) -> Result<Outcome, tonic::Status> {
    let id = cell.cast.extra(Extra::Target(wish.target.0, wish.target.1));
    let asked = |role: Role, home, disabled| UpdatePersonRequest {
        id,
        name: format!("target {id}"),
        organisation: cell.cast.organisation(home),
        roles: vec![role.to_proto().into()],
        disabled,
    };
    let back = asked(wish.target.0, wish.target.1, false);
    let asked = asked(wish.role, wish.home, wish.disabled);
    let request = cell.request(asked);
    let updated = cell.clients.directory.update_person(request).await;
    let back = cell.by_operator(back);
    if updated.is_ok() {
        cell.clients.directory.update_person(back).await?;
    }
    updated.map(|_| Outcome::Answered)
}

async fn import(mut cell: Cell, organisations: bool, csv: String) -> Result<Outcome, tonic::Status> {
    let request = cell.request(ImportRequest { csv, dry_run: true });
    let report = if organisations {
        cell.clients.directory.import_organisations(request).await?
    } else {
        cell.clients.directory.import_people(request).await?
    };
    Ok(if report.into_inner().errors.is_empty() { Outcome::Answered } else { Outcome::Complained })
}

pub fn commands() -> Vec<Command> {
    let mut commands = reading();
    let mut keeping = keeping_organisations();
    keeping.extend(keeping_people());
    keeping.extend(importing());
    commands.extend(keeping.into_iter().map(Command::without_ties));
    commands
}

fn reading() -> Vec<Command> {
    vec![
        Command::new(
            "DirectoryService/GetMe",
            "",
            NOWHERE,
            |mut cell| async move {
                let me = cell.clients.directory.get_me(cell.request(GetMeRequest {})).await?.into_inner();
                Ok(Outcome::listed(me.person.is_some_and(|person| person.id == cell.person())))
            },
            |_, _| Outcome::Listed,
        ),
        Command::new(
            "DirectoryService/GetPeople",
            "who has commented",
            &[Place::Draft, Place::Open, Place::Paused, Place::Closed, Place::Nowhere],
            |cell| {
                let person = cell.cast.extra(Extra::Witness);
                find(cell, person)
            },
            |_, _| Outcome::Listed,
        )
        .for_screens(reads(Outcome::Listed)),
        Command::new(
            "DirectoryService/GetPeople",
            "who has not",
            &[Place::Draft, Place::Scheduled, Place::Open, Place::Nowhere],
            |cell| {
                let person = cell.cast.extra(Extra::Newcomer);
                find(cell, person)
            },
            |_, _| Outcome::Listed,
        )
        .for_screens(reads(Outcome::NotListed)),
        Command::new(
            "DirectoryService/GetCards",
            "of nobody",
            &[Place::Draft, Place::Open, Place::Nowhere],
            |cell| find_card(cell, u32::MAX >> 1),
            |_, _| Outcome::NotListed,
        )
        .for_screens(reads(Outcome::NotListed)),
        Command::new(
            "DirectoryService/GetCards",
            "who has commented",
            &[Place::Draft, Place::Open, Place::Paused, Place::Closed, Place::Nowhere],
            |cell| {
                let person = cell.cast.extra(Extra::Witness);
                find_card(cell, person)
            },
            |_, _| Outcome::Listed,
        )
        .for_screens(reads(Outcome::Listed)),
        Command::new(
            "DirectoryService/SearchPeople",
            "",
            NOWHERE,
            |mut cell| async move {
                let asked = SearchPeopleRequest { text: "newcomer".to_owned(), ..SearchPeopleRequest::default() };
                let found = cell.clients.directory.search_people(cell.request(asked)).await?.into_inner().people;
                Ok(Outcome::listed(!found.is_empty() && found.iter().all(|person| person.login.is_empty())))
            },
            |_, _| Outcome::Listed,
        ),
        Command::new(
            "DirectoryService/ListOrganisations",
            "",
            &[Place::Draft, Place::Scheduled, Place::Open, Place::Paused, Place::Closed, Place::Nowhere],
            |mut cell| async move {
                cell.clients.directory.list_organisations(cell.request(ListOrganisationsRequest {})).await.map(|_| Outcome::Answered)
            },
            |_, _| Outcome::Answered,
        )
        .for_screens(reads(Outcome::Answered)),
    ]
}

fn keeping_organisations() -> Vec<Command> {
    const CREATE: &str = "DirectoryService/CreateOrganisation";
    let create = |parent: Option<Home>| {
        move |mut cell: Cell| async move {
            let code = format!("tried-{}", cell.next_number());
            let parent = parent.map_or(0, |home| cell.cast.organisation(home));
            let asked = CreateOrganisationRequest { name: code.clone(), code, parent };
            cell.clients.directory.create_organisation(cell.request(asked)).await.map(|_| Outcome::Answered)
        }
    };
    let mut commands =
        vec![Command::new(CREATE, "at the top", NOWHERE, create(None), |who, _| Outcome::allowed(who.role == Role::Operator))];
    for home in Home::ALL {
        let expect = move |who: Who, _| Outcome::allowed(who.administers(home));
        commands.push(Command::new(CREATE, format!("below {home:?}"), NOWHERE, create(Some(home)), expect));
    }
    commands
}

fn keeping_people() -> Vec<Command> {
    const UPDATE: &str = "DirectoryService/UpdatePerson";
    let mut commands = Vec::new();
    for (role, home) in GIVEN.into_iter().flat_map(|role| Home::ALL.map(|home| (role, home))) {
        let expect = move |who: Who, _| Outcome::allowed(who.grants(home, role));
        let create = move |mut cell: Cell| async move {
            let login = format!("tried-{}", cell.next_number());
            let (organisation, roles) = (cell.cast.organisation(home), vec![role.to_proto().into()]);
            let asked = CreatePersonRequest { name: login.clone(), login, organisation, roles };
            cell.clients.directory.create_person(cell.request(asked)).await.map(|_| Outcome::Answered)
        };
        let link = move |mut cell: Cell| async move {
            let asked = CreateSignInLinkRequest { person: cell.cast.extra(Extra::Target(role, home)) };
            cell.clients.directory.create_sign_in_link(cell.request(asked)).await.map(|_| Outcome::Answered)
        };
        let change = move |disabled| move |cell| update(cell, Wish { target: (role, home), role, home, disabled });
        commands.extend([
            Command::new("DirectoryService/CreatePerson", format!("{role:?} of {home:?}"), NOWHERE, create, expect),
            Command::new("DirectoryService/CreateSignInLink", format!("{role:?} of {home:?}"), NOWHERE, link, expect),
            Command::new(UPDATE, format!("renames {role:?} of {home:?}"), NOWHERE, change(false), expect).one_by_one(),
            Command::new(UPDATE, format!("disables {role:?} of {home:?}"), NOWHERE, change(true), expect).one_by_one(),
        ]);
    }
    for home in Home::ALL {
        let promote = move |cell| update(cell, Wish { target: (Role::Member, home), role: Role::Operator, home, disabled: false });
        let case = format!("makes a member of {home:?} an operator");
        let expect = move |who: Who, _| Outcome::allowed(who.grants(home, Role::Operator));
        commands.push(Command::new(UPDATE, case, NOWHERE, promote, expect).one_by_one());
    }
    for (from, to) in [(Home::Own, Home::Beside), (Home::Beside, Home::Own), (Home::Own, Home::Below), (Home::Below, Home::Above)] {
        let moved = move |cell| update(cell, Wish { target: (Role::Member, from), role: Role::Member, home: to, disabled: false });
        let expect = move |who: Who, _| Outcome::allowed(who.administers(from) && who.administers(to));
        let case = format!("moves a member from {from:?} to {to:?}");
        commands.push(Command::new(UPDATE, case, NOWHERE, moved, expect).one_by_one());
    }
    let unknown = |mut cell: Cell| async move {
        let asked = CreateSignInLinkRequest { person: 0 };
        cell.clients.directory.create_sign_in_link(cell.request(asked)).await.map(|_| Outcome::Answered)
    };
    commands.push(Command::new("DirectoryService/CreateSignInLink", "nobody", NOWHERE, unknown, |_, _| {
        Outcome::Refused(RefusalCode::NotFound)
    }));
    commands
}

fn importing() -> Vec<Command> {
    let organisations = "code,name,level,parent_code\ntried,Tried,3,own\n";
    let mut commands = vec![Command::new(
        "DirectoryService/ImportOrganisations",
        "",
        NOWHERE,
        move |cell| import(cell, true, organisations.to_owned()),
        |who, _| Outcome::allowed(who.role == Role::Operator),
    )];
    for (role, home) in GIVEN.into_iter().flat_map(|role| Home::ALL.map(|home| (role, home))) {
        let csv = format!("login,name,organisation_code,roles\ntried,Tried,{},{}\n", home.code(), format!("{role:?}").to_lowercase());
        commands.push(Command::new(
            "DirectoryService/ImportPeople",
            format!("{role:?} of {home:?}"),
            NOWHERE,
            move |cell| import(cell, false, csv.clone()),
            // Whoever keeps no directory is refused before a line is read. Of others, each line that is not theirs to write is reported, and
            // then nothing is written.
            move |who, _| match who.role {
                _ if who.grants(home, role) => Outcome::Answered,
                Role::Administrator | Role::Operator => Outcome::Complained,
                _ => Outcome::Refused(RefusalCode::Forbidden),
            },
        ));
    }
    commands
}
