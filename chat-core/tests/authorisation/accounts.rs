//! Rows of accounts: everybody has their own, and nobody another's.

use proto::v1::{ChangePasswordRequest, EndOtherSessionsRequest, EndSessionRequest, ListSessionsRequest, RefusalCode};

use crate::{
    Command, Outcome,
    world::{Cell, Place},
};

async fn change_password(mut cell: Cell, old: &'static str, new: &'static str) -> Result<Outcome, tonic::Status> {
    let asked = ChangePasswordRequest { old_password: old.to_owned(), new_password: new.to_owned() };
    cell.clients.accounts.change_password(cell.request(asked)).await.map(|_| Outcome::Answered)
}

pub fn commands() -> Vec<Command> {
    const PASSWORD: &str = "AccountService/ChangePassword";
    let nowhere = &[Place::Nowhere];
    let commands = vec![
        Command::new(
            "AccountService/ListSessions",
            "is another's there",
            nowhere,
            |mut cell| async move {
                let sessions = cell.clients.accounts.list_sessions(cell.request(ListSessionsRequest {})).await?.into_inner().sessions;
                Ok(Outcome::listed(sessions.iter().any(|session| session.id == cell.session)))
            },
            |_, _| Outcome::NotListed,
        ),
        Command::new(
            "AccountService/EndSession",
            "another's",
            nowhere,
            |mut cell| async move {
                let asked = EndSessionRequest { id: cell.session.clone() };
                cell.clients.accounts.end_session(cell.request(asked)).await.map(|_| Outcome::Answered)
            },
            |_, _| Outcome::Refused(RefusalCode::NotFound),
        ),
        Command::new(
            "AccountService/EndOtherSessions",
            "has none",
            nowhere,
            |mut cell| async move {
                let ended = cell.clients.accounts.end_other_sessions(cell.request(EndOtherSessionsRequest {})).await?.into_inner().ended;
                Ok(if ended == 0 { Outcome::Answered } else { Outcome::Listed })
            },
            |_, _| Outcome::Answered,
        ),
        Command::new(
            PASSWORD,
            "a weak one",
            nowhere,
            |cell| change_password(cell, "", "1234567890"),
            |_, _| Outcome::Refused(RefusalCode::PasswordWeak),
        ),
        Command::new(
            PASSWORD,
            "the first one",
            nowhere,
            |cell| change_password(cell, "", "a long first password"),
            |_, _| Outcome::Answered,
        ),
        Command::new(
            PASSWORD,
            "with a wrong old one",
            nowhere,
            |cell| change_password(cell, "guessed", "a long second password"),
            |_, _| Outcome::Refused(RefusalCode::PasswordWrong),
        ),
    ];
    commands.into_iter().map(Command::without_ties).collect()
}
