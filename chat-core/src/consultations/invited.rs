//! Who is to hear of a consultation: gateways name the people they hold sockets of, and are told which of them. Judged from
//! memory, but for the consultation itself: a call to 27,000 people reads a handful of rows.

use std::time::Duration;

use proto::{
    internal::v1::{InvitedRequest, InvitedResponse},
    v1::{Audience, ConsultationBrief},
};
use uuid::Uuid;

use super::{Consultations, rows, rows::ConsultationRow};
use crate::{
    clock,
    directory::Snapshot,
    fault::{Error, Fault},
    rights::{Asker, Circle, Rules},
};

/// A directory that is behind what the gateway knows is waited for so long; then the gateway asks again.
const BEHIND: Duration = Duration::from_millis(500);

/// What a list shows of a consultation.
pub fn brief(row: &ConsultationRow) -> ConsultationBrief {
    ConsultationBrief {
        id: row.id.to_string(),
        organisation: row.organisation as u32,
        title: row.title.clone(),
        state: row.state().into(),
        opens_ms: row.opens_ms,
        closes_ms: row.closes_ms,
        version: row.version as u32,
        called_ms: row.called_ms,
    }
}

/// Of these people, those who may watch, and those who are among whom it was shown to before and may not any more. Pure.
pub fn sort_out(rules: &Rules, directory: &Snapshot, before: &[Audience], people: &[u32], now_ms: i64) -> (Vec<u32>, Vec<u32>) {
    let before: Vec<Circle> = before.iter().map(Circle::of).collect();
    let (mut may_watch, mut gone) = (Vec::new(), Vec::new());
    for id in people {
        let Some(person) = directory.person(*id) else { continue };
        if rules.may_watch(Asker { directory, person, now_ms }).is_ok() {
            may_watch.push(*id);
        } else if before.iter().any(|circle| circle.holds(directory, person)) {
            gone.push(*id);
        }
    }
    (may_watch, gone)
}

impl Consultations {
    /// Answers a gateway. The directory that is judged by is at least at the position asked for, or the answer's `control`
    /// says that it is not yet.
    ///
    /// # Errors
    /// A fault.
    pub async fn invited(&self, asked: InvitedRequest) -> Result<InvitedResponse, Fault> {
        let parts = &self.conversations;
        parts.rights.directory().reach(asked.control, BEHIND).await;
        let directory = parts.rights.directory().snapshot();
        let unknown = InvitedResponse { control: directory.position, ..InvitedResponse::default() };
        let Ok(id) = Uuid::try_parse(&asked.conversation) else { return Ok(unknown) };
        let Some(head) = parts.log.head(id).await? else { return Ok(unknown) };
        let rules = match parts.rights.rules(&head).await {
            Ok(rules) => rules,
            Err(Error::Refused(_)) => return Ok(unknown),
            Err(Error::Fault(fault)) => return Err(fault),
        };
        // After the rules: what it shows is at least as new as who is shown it.
        let Some(row) = rows::one(&parts.store, id).await? else { return Ok(unknown) };
        let (may_watch, gone) = sort_out(&rules, &directory, &asked.before, &asked.people, clock::now_ms());
        Ok(InvitedResponse { consultation: Some(brief(&row)), may_watch, gone, control: directory.position })
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::{ConsultationState, Role};

    use super::*;
    use crate::{
        directory::{
            PersonEntry,
            snapshot_tests::{person, tree},
        },
        rights::{ConsultationRules, whole_of},
    };

    #[test]
    fn who_hears_of_it_and_who_hears_that_it_is_gone() {
        let mut directory = tree();
        let mut add = |person: PersonEntry| directory.set_person(person);
        add(person(1, 4, &[Role::Member]));
        add(person(2, 3, &[Role::Member]));
        add(person(3, 2, &[Role::Staff]));
        add(PersonEntry { disabled: true, ..person(4, 4, &[Role::Member]) });
        add(person(5, 1, &[Role::Member]));
        let rules = |state, audience| {
            Rules::Consultation(ConsultationRules {
                organisation: 2,
                state,
                watch: Circle::of(&audience),
                post: Circle::of(&audience),
                ..ConsultationRules::default()
            })
        };
        let everybody = [1, 2, 3, 4, 5, 99, proto::display::FROM];
        let sorted = |state, audience, before: &[Audience]| sort_out(&rules(state, audience), &directory, before, &everybody, 0);
        let open = ConsultationState::Open;
        assert_eq!(sorted(open, whole_of(2), &[]), (vec![1, 3], vec![]));
        assert_eq!(sorted(open, whole_of(2), &[whole_of(1)]), (vec![1, 3], vec![2, 4, 5]), "whose audience was all of the province");
        assert_eq!(sorted(ConsultationState::Draft, whole_of(1), &[whole_of(1)]), (vec![3], vec![1, 2, 4, 5]), "put back");
        assert_eq!(sorted(ConsultationState::Draft, whole_of(1), &[]), (vec![3], vec![]), "never shown");
    }
}
