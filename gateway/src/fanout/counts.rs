//! A room's state besides its log: who is here and who has spoken. Pure.

use proto::{
    internal::v1::RoomCounts,
    v1::{OrganisationCount, RoomState},
};

/// Counts of who is here, by presence instance.
#[derive(Debug, Default)]
pub struct Counts {
    by_instance: Vec<Option<RoomCounts>>,
}

impl Counts {
    /// Puts what an instance says in place of what it said before; `None`: it is not heard any more.
    pub fn set(&mut self, instance: usize, counts: Option<RoomCounts>) {
        if self.by_instance.len() <= instance {
            self.by_instance.resize(instance + 1, None);
        }
        self.by_instance[instance] = counts;
    }

    /// The state of the room. Of several instances one that knows all is believed, else the one that knows most; with none,
    /// this gateway's `own_people` are counted and marked incomplete. `people_spoke` and `comments` are the head's.
    #[must_use]
    pub fn to_room_state(&self, own_people: usize, people_spoke: u32, comments: u64) -> RoomState {
        let best = self.by_instance.iter().flatten().max_by_key(|counts| (counts.complete, counts.people));
        let Some(best) = best else {
            return RoomState { people_here: own_people as u32, complete: false, by_organisation: Vec::new(), people_spoke, comments };
        };
        RoomState {
            people_here: best.people,
            complete: best.complete,
            by_organisation: best
                .by_organisation
                .iter()
                .map(|count| OrganisationCount { organisation: count.organisation, people: count.people })
                .collect(),
            people_spoke,
            comments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_knows_all_is_believed() {
        let said = |people, complete| Some(RoomCounts { people, complete, ..RoomCounts::default() });
        let mut counts = Counts::default();
        let shown = |counts: &Counts| {
            let state = counts.to_room_state(3, 0, 0);
            (state.people_here, state.complete)
        };
        assert_eq!(shown(&counts), (3, false));
        counts.set(1, said(9, false));
        assert_eq!(shown(&counts), (9, false));
        counts.set(0, said(7, true));
        assert_eq!(shown(&counts), (7, true));
        counts.set(0, None);
        counts.set(1, None);
        assert_eq!(shown(&counts), (3, false));
    }
}
