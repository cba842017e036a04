//! What the control log means for live sockets: sessions that ended are closed, rights that changed are asked for again.
//! It comes from chat-core and not over the backbone, so that it works while that is away.

use std::rc::Rc;

use proto::{
    CloseCode,
    internal::v1::{ControlEvent, control_event::Kind},
};
use uuid::Uuid;

use super::{Core, news};
use crate::{session::Session, upstream::ControlNews};

/// Follows the control log for one core.
pub async fn follow(core: Rc<Core>) {
    let mut events = core.shared.chat_cores.control().follow();
    while let Some(news) = events.next().await {
        match news {
            ControlNews::Events(batch) => batch.events.iter().for_each(|event| {
                apply(&core, event);
                news::note(&core, event);
            }),
            ControlNews::Missed => {
                look_at_everything(&core);
                news::missed(&core);
            }
        }
    }
}

fn apply(core: &Core, event: &ControlEvent) {
    // Sessions come and go all the time, and change nobody's rights: no verdict is too old for that.
    let rights = match event.kind {
        Some(Kind::SessionStarted(_) | Kind::SessionEnded(_)) | None => false,
        // A display link is read anew for each verdict.
        Some(Kind::ConsultationCalled(_) | Kind::DisplayLinkCreated(_) | Kind::DisplayLinkEnded(_)) => false,
        Some(_) => true,
    };
    if rights {
        core.rights_at.set(event.position);
    }
    match &event.kind {
        Some(Kind::SessionEnded(ended)) => {
            for session in core.sessions_of(ended.person) {
                if session.session_id().as_deref() == Some(ended.session.as_str()) {
                    session.socket.close(CloseCode::SessionEnded);
                }
            }
        }
        Some(Kind::PeopleChanged(changed)) => {
            for person in &changed.people {
                core.sessions_of(*person).iter().for_each(|session| session.ask_again(None));
            }
            // A screen is as good as its maker's right, and the maker may be one of these.
            for screen in core.screens.borrow().iter() {
                core.sessions_of(*screen).iter().for_each(|session| session.ask_again(None));
            }
        }
        Some(Kind::RulesChanged(changed)) => {
            let Ok(room) = Uuid::try_parse(&changed.conversation) else { return };
            if changed.people.is_empty() {
                everybody(core).iter().for_each(|session| session.ask_again(Some(room)));
            } else {
                people(core, &changed.people, room);
            }
        }
        Some(Kind::MuteChanged(changed)) => {
            if let Ok(room) = Uuid::try_parse(&changed.conversation) {
                people(core, &[changed.person], room);
            }
        }
        // Where an organisation stands in the tree decides what its people may watch.
        Some(Kind::OrganisationsChanged(_)) => everybody(core).iter().for_each(|session| session.ask_again(None)),
        // Its sessions ended by events of their own.
        Some(Kind::DisplayLinkEnded(_) | Kind::DisplayLinkCreated(_)) => {}
        Some(Kind::SessionStarted(_) | Kind::ConsultationCalled(_)) | None => {}
    }
}

fn people(core: &Core, people: &[u32], room: Uuid) {
    for person in people {
        core.sessions_of(*person).iter().for_each(|session| session.ask_again(Some(room)));
    }
}

fn everybody(core: &Core) -> Vec<Rc<Session>> {
    core.sessions.borrow().iter().map(|(_, session)| session.clone()).collect()
}

/// Something may have been missed: whoever cannot be known to be signed in still comes back with a new ticket.
fn look_at_everything(core: &Core) {
    let control = core.shared.chat_cores.control();
    core.rights_at.set(control.position());
    for session in everybody(core) {
        let Some((id, position)) = session.signed_in_at() else { continue };
        match control.ended(&id, 0, position) {
            Some(true) => session.socket.close(CloseCode::SessionEnded),
            Some(false) => session.judge_anew(),
            None => session.socket.close(CloseCode::CredentialRefused),
        }
    }
}
