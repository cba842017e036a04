//! What a room is told besides its log: who is here and who has spoken, and only when it changed. Pure.

use proto::{
    internal::v1::RoomCounts,
    v1::{OrganisationCount, RoomState},
};

/// Counts as the presence instances tell them, and those of this gateway alone.
#[derive(Debug, Default)]
pub struct Here {
    told: Vec<Option<RoomCounts>>,
}

impl Here {
    /// What one instance says; `None`: it is not heard any more.
    pub fn take(&mut self, instance: usize, counts: Option<RoomCounts>) {
        if self.told.len() <= instance {
            self.told.resize(instance + 1, None);
        }
        self.told[instance] = counts;
    }

    /// The state of the room. Of several instances one that knows all is believed, else the one that knows most; with none,
    /// this gateway's own people are counted and marked incomplete.
    #[must_use]
    pub fn state(&self, own_people: usize, people_spoke: u32, comments: u64) -> RoomState {
        let heard = self.told.iter().flatten();
        let best = heard.max_by_key(|counts| (counts.complete, counts.people));
        let Some(best) = best else {
            return RoomState { people_here: own_people as u32, complete: false, by_organisation: Vec::new(), people_spoke, comments };
        };
        RoomState {
            people_here: best.people,
            complete: best.complete,
            by_organisation: best
                .by_organisation
                .iter()
                .map(|one| OrganisationCount { organisation: one.organisation, people: one.people })
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
        let counts = |people, complete| Some(RoomCounts { people, complete, ..RoomCounts::default() });
        let mut here = Here::default();
        assert_eq!((here.state(3, 0, 0).people_here, here.state(3, 0, 0).complete), (3, false));
        here.take(1, counts(9, false));
        assert_eq!((here.state(3, 0, 0).people_here, here.state(3, 0, 0).complete), (9, false));
        here.take(0, counts(7, true));
        assert_eq!((here.state(3, 0, 0).people_here, here.state(3, 0, 0).complete), (7, true));
        here.take(0, None);
        here.take(1, None);
        assert!(!here.state(3, 0, 0).complete);
    }
}
