//! A reader's view of a conversation, made from events in any mixture of pages and live batches.

use std::collections::BTreeMap;

use proto::v1::Event;

use crate::{
    fold::{fold_text, rewrites, target_of},
    kinds::comment_in,
    marks::Ledger,
};

/// What stands at one place of a reader's view.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The event, folded.
    pub event: Event,
}

/// All events that a reader has, folded. Events may come in any order and more than once: what acts on one that has not come yet is
/// kept until it does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    entries: BTreeMap<u64, Entry>,
    /// By target: the events that rewrite it, by seq.
    rewrites: BTreeMap<u64, BTreeMap<u64, Event>>,
    /// By target: what others left on it.
    marks: BTreeMap<u64, Ledger>,
}

impl Timeline {
    /// Takes one event in.
    pub fn apply(&mut self, event: &Event) {
        self.take_marks(event);
        let mut newcomer = event.clone();
        newcomer.marks = self.marks.get(&event.seq).and_then(Ledger::marks);
        let subject = target_of(event).unwrap_or(event.seq);
        if rewrites(event) {
            let rewrites = self.rewrites.entry(subject).or_default();
            rewrites.entry(event.seq).or_insert_with(|| event.clone());
            // Other events about the same target lose their words to this one.
            for seq in rewrites.keys() {
                if let Some(entry) = self.entries.get_mut(seq) {
                    fold_text(&mut entry.event, event);
                }
            }
        }
        for rewrite in self.rewrites.get(&subject).into_iter().flat_map(BTreeMap::values) {
            fold_text(&mut newcomer, rewrite);
        }
        self.entries.insert(event.seq, Entry { event: newcomer });
        if rewrites(event) {
            self.fold_anew(subject);
        }
    }

    /// Lets everything that rewrites this comment act on it once more. Where a hide or what gives back comes late, what was said after
    /// it found the comment gone, and did nothing.
    fn fold_anew(&mut self, target: u64) {
        let (Some(entry), Some(rewrites)) = (self.entries.get_mut(&target), self.rewrites.get(&target)) else { return };
        for rewrite in rewrites.values() {
            fold_text(&mut entry.event, rewrite);
        }
    }

    fn take_marks(&mut self, event: &Event) {
        if let Some(marks) = &event.marks {
            self.marks.entry(event.seq).or_default().rebase(marks);
        }
        if let Some(set) = &event.leaves {
            let ledger = self.marks.entry(set.target).or_default();
            ledger.add(event.seq, set);
            if let Some(entry) = self.entries.get_mut(&set.target) {
                entry.event.marks = ledger.marks();
            }
        }
    }

    /// Everything, by seq.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The comments that stand, by seq.
    pub fn comments(&self) -> impl Iterator<Item = (u64, &str)> {
        self.entries.values().filter_map(|entry| {
            let comment = comment_in(&entry.event)?;
            comment.gone.is_none().then_some((entry.event.seq, comment.text.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        fold::tests::{comment, edit, hide, recall},
        fold_page,
    };

    fn log(kinds: &[(u8, u64)]) -> Vec<Event> {
        let mut versions = BTreeMap::<u64, u32>::new();
        let mut gone = std::collections::BTreeSet::new();
        let mut log: Vec<Event> = (1..=4).map(|seq| comment(seq, &format!("text {seq}"))).collect();
        for (kind, target) in kinds {
            let seq = log.len() as u64 + 1;
            // The server refuses changes of what is gone, so no log holds any.
            log.push(match kind {
                1 if !gone.contains(target) => {
                    let version = versions.entry(*target).or_default();
                    *version += 1;
                    edit(seq, *target, *version, &format!("edit {seq}"))
                }
                2 if gone.insert(*target) => recall(seq, *target),
                3 if gone.insert(*target) => hide(seq, *target),
                _ => comment(seq, &format!("text {seq}")),
            });
        }
        log
    }

    proptest! {
        /// A snapshot at s and the events after s give what the whole log gives, in whatever order the events come.
        #[test]
        fn a_snapshot_and_what_follows_it_give_the_whole(
            kinds in prop::collection::vec((0_u8..4, 1_u64..5), 0..30),
            cut in 0_usize..34,
            seed in any::<u64>(),
        ) {
            let log = log(&kinds);
            let cut = cut.min(log.len());
            let mut snapshot = log[..cut].to_vec();
            let known = snapshot.clone();
            fold_page(&mut snapshot, &known);

            let mut rest: Vec<&Event> = log[cut..].iter().chain(&snapshot).collect();
            let mut state = seed;
            for index in (1..rest.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                rest.swap(index, (state >> 33) as usize % (index + 1));
            }
            let mut pieced = Timeline::default();
            rest.into_iter().for_each(|event| pieced.apply(event));

            let mut whole = log.clone();
            fold_page(&mut whole, &log);
            let pieced: Vec<_> = pieced.entries().map(|entry| entry.event.clone()).collect();
            prop_assert_eq!(pieced, whole);
        }
    }
}
