//! Marks: what later events leave on an earlier one, counted by mark and value. Knows no kind of event.

use std::collections::BTreeMap;

use proto::v1::{Event, MarkCount, MarkSet, Marks};

use crate::kinds::Mark;

/// What an event says that leaves `mark` on `target`. `standing`: the value that stood there before for this mark and person.
#[must_use]
pub fn mark_set(target: u64, mark: &Mark, standing: Option<&str>) -> MarkSet {
    MarkSet { target, mark: mark.mark.into(), value: mark.value.clone(), replaces: standing.unwrap_or_default().to_owned() }
}

/// Sums up the marks that stand on an event, for the server that keeps them in a table. `as_of`: seq of the newest event that set
/// one of them, taken off ones included; `counts`: mark, value and number, in any order.
#[must_use]
pub fn sum_marks(as_of: u64, counts: impl IntoIterator<Item = (i32, String, u32)>) -> Marks {
    let mut tally = Tally::default();
    for (mark, value, count) in counts {
        tally.add(mark, value, count.into());
    }
    Marks { as_of, counts: tally.counts() }
}

/// Adds to the marks on `event` what `later` leaves there; says whether that changed them. Several must come in the order of their
/// seqs; what is counted already changes nothing.
pub(crate) fn fold_mark(event: &mut Event, later: &Event) -> bool {
    let Some(set) = later.leaves.as_ref().filter(|set| set.target == event.seq) else { return false };
    let marks = event.marks.get_or_insert_default();
    if later.seq <= marks.as_of {
        return false;
    }
    let mut tally = Tally::from_marks(marks);
    tally.apply(set);
    *marks = Marks { as_of: later.seq, counts: tally.counts() };
    true
}

/// Numbers by mark and value. May be below 0 for a while, where what was replaced is not known yet.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tally(BTreeMap<(i32, String), i64>);

impl Tally {
    fn from_marks(marks: &Marks) -> Self {
        Self(marks.counts.iter().map(|count| ((count.mark, count.value.clone()), count.count.into())).collect())
    }

    fn add(&mut self, mark: i32, value: String, count: i64) {
        // An empty value is a mark taken off.
        if !value.is_empty() {
            *self.0.entry((mark, value)).or_default() += count;
        }
    }

    fn apply(&mut self, set: &MarkSet) {
        self.add(set.mark, set.replaces.clone(), -1);
        self.add(set.mark, set.value.clone(), 1);
    }

    fn counts(&self) -> Vec<MarkCount> {
        let counted = self.0.iter().filter(|(_, count)| **count > 0);
        counted
            .map(|((mark, value), count)| MarkCount { mark: *mark, value: value.clone(), count: u32::try_from(*count).unwrap_or(u32::MAX) })
            .collect()
    }
}

/// The marks on one event for a reader that is sent events in any order and more than once: the newest summary, and what came
/// after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ledger {
    base: Option<Marks>,
    later: BTreeMap<u64, MarkSet>,
    tally: Tally,
}

impl Ledger {
    /// Takes a summary, where it is newer than the one that is known.
    pub(crate) fn rebase(&mut self, marks: &Marks) {
        if self.base.as_ref().is_some_and(|base| base.as_of >= marks.as_of) {
            return;
        }
        self.later.retain(|seq, _| *seq > marks.as_of);
        self.tally = Tally::from_marks(marks);
        self.later.values().for_each(|set| self.tally.apply(set));
        self.base = Some(marks.clone());
    }

    /// Takes what the event `seq` leaves.
    pub(crate) fn add(&mut self, seq: u64, set: &MarkSet) {
        let counted = self.base.as_ref().is_some_and(|base| seq <= base.as_of);
        if !counted && self.later.insert(seq, set.clone()).is_none() {
            self.tally.apply(set);
        }
    }

    /// All of it, summed up; `None`: nothing was ever left.
    pub(crate) fn marks(&self) -> Option<Marks> {
        let newest = self.later.keys().next_back().copied();
        let as_of = newest.or(self.base.as_ref().map(|base| base.as_of))?;
        Some(Marks { as_of, counts: self.tally.counts() })
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::MarkKind;

    use super::*;

    fn vote(seq: u64, value: &str, replaces: &str) -> Event {
        let mark = Mark { mark: MarkKind::Vote, person: 1, value: value.to_owned() };
        Event { seq, leaves: Some(mark_set(1, &mark, Some(replaces).filter(|value| !value.is_empty()))), ..Event::default() }
    }

    fn shown(marks: &Marks) -> Vec<(&str, u32)> {
        marks.counts.iter().map(|count| (count.value.as_str(), count.count)).collect()
    }

    #[test]
    fn marks_are_counted_once_and_what_is_replaced_or_taken_off_counts_no_more() {
        let mut event = Event { seq: 1, ..Event::default() };
        type Step<'a> = (Event, bool, &'a [(&'a str, u32)]);
        let steps: [Step<'_>; 6] = [
            (vote(5, "1", ""), true, &[("1", 1)]),
            (vote(6, "0", ""), true, &[("0", 1), ("1", 1)]),
            (vote(6, "0", ""), false, &[("0", 1), ("1", 1)]),
            (vote(8, "0", "1"), true, &[("0", 2)]),
            (vote(5, "1", ""), false, &[("0", 2)]),
            (vote(9, "", "0"), true, &[("0", 1)]),
        ];
        for (later, changes, expected) in steps {
            assert_eq!(fold_mark(&mut event, &later), changes, "{later:?}");
            assert_eq!(shown(event.marks.as_ref().unwrap()), expected, "{later:?}");
        }
        assert_eq!(event.marks.as_ref().unwrap().as_of, 9);
        let mut other = Event { seq: 2, ..Event::default() };
        assert!(!fold_mark(&mut other, &vote(10, "1", "")) && other.marks.is_none());
    }

    #[test]
    fn a_summary_is_in_order_and_without_what_is_0() {
        let marks = sum_marks(
            7,
            [(2, "1".to_owned(), 1), (1, "2".to_owned(), 4), (1, "0".to_owned(), 3), (1, "1".to_owned(), 0), (1, String::new(), 9)],
        );
        assert_eq!((marks.as_of, shown(&marks)), (7, vec![("0", 3), ("2", 4), ("1", 1)]));
    }

    #[test]
    fn a_newer_summary_takes_the_place_of_an_older_and_of_what_it_counts() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.marks(), None);
        for seq in [9, 7] {
            ledger.add(seq, vote(seq, "1", "").leaves.as_ref().unwrap());
        }
        ledger.rebase(&sum_marks(7, [(1, "0".to_owned(), 4), (1, "1".to_owned(), 1)]));
        ledger.rebase(&sum_marks(3, [(1, "0".to_owned(), 2)]));
        ledger.add(7, vote(7, "1", "").leaves.as_ref().unwrap());
        let marks = ledger.marks().unwrap();
        assert_eq!((marks.as_of, shown(&marks)), (9, vec![("0", 4), ("1", 2)]));
    }
}
