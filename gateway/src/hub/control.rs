//! What the control log means for live sockets, by what an event says that it concerns and never by its kind: sessions that
//! ended are closed, rights are asked for again, changes are passed on. It comes from chat-core and not over the backbone, so
//! that it works while that is away.

use std::rc::Rc;

use proto::{CloseCode, internal::v1::Concern};
use uuid::Uuid;

use super::changes::ChangeSender;
use crate::{registry::Core, upstream::ControlUpdate};

/// Follows the control log for one core.
pub async fn follow(core: Rc<Core>) {
    let changes = ChangeSender::new(core.clone());
    let mut updates = core.shared.chat_cores.control().follow();
    while let Some(update) = updates.next().await {
        match update {
            ControlUpdate::Events(batch) => {
                for event in &batch.events {
                    let Some(concern) = &event.concern else { continue };
                    if concern.rights {
                        ask_again(&core, concern, event.position);
                    }
                    close_ended(&core, concern);
                    changes.add(concern, event.position);
                }
            }
            ControlUpdate::Missed => {
                recheck_all(&core);
                changes.add_missed();
            }
        }
    }
}

/// Has chat-core asked again for whomever an event concerns. Verdicts from before `position` are too old from now on.
fn ask_again(core: &Core, concern: &Concern, position: u64) {
    core.rights_at.set(position);
    // An id that cannot be read is nobody's conversation: all are asked for then, which is never wrong.
    let room = Uuid::try_parse(&concern.conversation).ok();
    if concern.people.is_empty() {
        core.list_sessions().iter().for_each(|session| session.ask_again(room));
        return;
    }
    for person in &concern.people {
        core.find_by_person(*person).iter().for_each(|session| session.ask_again(room));
    }
    if room.is_none() {
        // A screen is as good as its maker's right, and the maker may be one of these.
        for screen in core.screens.borrow().iter() {
            core.find_by_person(*screen).iter().for_each(|session| session.ask_again(None));
        }
    }
}

/// Closes the sockets of a session that has ended.
fn close_ended(core: &Core, concern: &Concern) {
    let Some(person) = concern.people.first().filter(|_| !concern.session_ended.is_empty()) else { return };
    for session in core.find_by_person(*person).iter().filter(|session| session.is_of_session(&concern.session_ended)) {
        session.socket.close(CloseCode::SessionEnded);
    }
}

/// Something may have been missed: whoever cannot be known to be signed in still comes back with a new ticket.
fn recheck_all(core: &Core) {
    let control = core.shared.chat_cores.control();
    core.rights_at.set(control.position());
    for session in core.list_sessions() {
        let Some(ended) = session.with_identity(|identity| control.has_ended(&identity.session, 0, identity.control)) else { continue };
        match ended {
            Some(true) => session.socket.close(CloseCode::SessionEnded),
            Some(false) => session.ask_all_anew(),
            None => session.socket.close(CloseCode::CredentialRefused),
        }
    }
}
