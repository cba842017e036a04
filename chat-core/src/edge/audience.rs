//! Whom a push concerns: gateways name the people they hold sockets of, and are told which of them may watch. Judged from memory,
//! but for the conversation itself: a call to 27,000 people reads a handful of rows.

use std::time::Duration;

use kernel::{
    Context, Error, Fault,
    directory::Snapshot,
    rights::{Asker, Rules, Selector},
};
use proto::{
    internal::v1::{FindAudienceRequest, FindAudienceResponse},
    v1::Audience,
};
use uuid::Uuid;

/// How long a directory that is behind what the gateway knows is waited for; then the gateway asks again.
const BEHIND: Duration = Duration::from_millis(500);

/// Of these people, those who may watch, and those who are among whom it was shown to before and may not any more.
fn sort_people(rules: &Rules, directory: &Snapshot, before: &[Audience], people: &[u32], now_ms: i64) -> (Vec<u32>, Vec<u32>) {
    let before: Vec<Selector> = before.iter().map(Selector::from_audience).collect();
    let (mut may_watch, mut gone) = (Vec::new(), Vec::new());
    for id in people {
        let Some(person) = directory.person(*id) else { continue };
        if rules.may_watch(Asker { directory, person, now_ms }).is_ok() {
            may_watch.push(*id);
        } else if before.iter().any(|selector| selector.selects(directory, person)) {
            gone.push(*id);
        }
    }
    (may_watch, gone)
}

/// Answers a gateway. The directory that is judged by is at least at the position asked for, or the answer's `control` says that it is
/// not yet.
///
/// # Errors
/// When the database fails.
pub async fn find(context: &Context, asked: &FindAudienceRequest) -> Result<FindAudienceResponse, Fault> {
    context.directory.reach(asked.control, BEHIND).await;
    let directory = context.directory.snapshot();
    let nobody = FindAudienceResponse { control: directory.position, ..FindAudienceResponse::default() };
    let Ok(id) = Uuid::try_parse(&asked.conversation) else { return Ok(nobody) };
    let Some(head) = context.log.head(id).await? else { return Ok(nobody) };
    let rules = match context.rights.rules(&head).await {
        Ok(rules) => rules,
        Err(Error::Refused(_)) => return Ok(nobody),
        Err(Error::Fault(fault)) => return Err(fault),
    };
    let (may_watch, gone) = sort_people(&rules, &directory, &asked.before, &asked.people, context.clock.now_ms());
    Ok(FindAudienceResponse { may_watch, gone, control: directory.position })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use kernel::{
        directory::{
            PersonEntry,
            example::{person, tree},
        },
        rights::{Phase, RuleSet, whole_of},
    };
    use proto::v1::Role;

    use super::*;

    #[test]
    fn who_hears_of_it_and_who_hears_that_it_is_gone() {
        let mut directory = tree();
        let mut add = |person: PersonEntry| directory.set_person(person);
        add(person(1, 4, &[Role::Member]));
        add(person(2, 3, &[Role::Member]));
        add(person(3, 2, &[Role::Staff]));
        add(PersonEntry { disabled: true, ..person(4, 4, &[Role::Member]) });
        add(person(5, 1, &[Role::Member]));
        let rules = |phase, audience: Audience| {
            let set = RuleSet { organisation: 2, phase, watch: audience.clone(), post: audience, ..RuleSet::default() };
            Rules::new(set, HashSet::new(), HashMap::new())
        };
        let everybody = [1, 2, 3, 4, 5, 99, proto::display::FROM];
        let sorted = |phase, audience, before: &[Audience]| sort_people(&rules(phase, audience), &directory, before, &everybody, 0);
        let open = Phase::Open;
        assert_eq!(sorted(open, whole_of(2), &[]), (vec![1, 3], vec![]));
        assert_eq!(sorted(open, whole_of(2), &[whole_of(1)]), (vec![1, 3], vec![2, 4, 5]), "whose audience was all of the province");
        assert_eq!(sorted(Phase::Draft, whole_of(1), &[whole_of(1)]), (vec![3], vec![1, 2, 4, 5]), "put back");
        assert_eq!(sorted(Phase::Draft, whole_of(1), &[]), (vec![3], vec![]), "never shown");
    }
}
