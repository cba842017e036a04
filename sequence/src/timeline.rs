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
