//! A conversation's log as the server writes it, and pages of it as chat-core makes them: what rewrites is folded, marks are summed up
//! in a table of their own.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;

use proto::v1::{Event, Refusal, RefusalCode, event::Kind, post::Content};
use sequence::{
    fold_page,
    kinds::{self, Gone, Mark, NewestText, Rewrite, Target},
    mark_set, rewrites, sum_marks,
};

#[derive(Default)]
pub struct Server {
    pub events: Vec<Event>,
    mseq: u64,
    targets: BTreeMap<u64, Target>,
    texts: BTreeMap<u64, NewestText>,
    /// Every mark that was ever set: seq of the event, its target, the mark.
    marks: Vec<(u64, u64, Mark)>,
}

impl Server {
    /// Appends what somebody posts, where it may act on its target.
    pub fn post(&mut self, author: u32, mut content: Content) -> Result<u64, Refusal> {
        let posted = kinds::as_posted_mut(&mut content);
        posted.check()?;
        let target = posted.target();
        let mut row = target.and_then(|target| self.targets.get(&target)).copied();
        posted.judge_target(row.as_ref())?;
        let standing: Vec<Mark> = posted
            .needs_marks(author)
            .into_iter()
            .filter_map(|(mark, person)| self.standing(target?, u64::MAX).remove(&(mark.into(), person)))
            .map(|(_, mark)| mark)
            .collect();
        let event = target.and_then(|target| self.events.get(target as usize - 1)).filter(|_| posted.needs_target_event());
        posted.judge(event, &standing)?;
        if let (Some(target), Some(row)) = (target, &mut row) {
            let newest = self.texts.get(&target).filter(|_| posted.needs_newest_text()).cloned();
            posted.apply(row, newest);
            self.targets.insert(target, *row);
            if let Some(Rewrite::Text { version, text }) = posted.rewrite() {
                self.texts.insert(target, NewestText { text: text.to_owned(), version });
            }
        }
        let mark = posted.mark(author);
        let leaves = target.zip(mark.as_ref()).map(|(target, mark)| {
            let before = standing.iter().find(|before| before.mark == mark.mark).map(|before| before.value.as_str());
            mark_set(target, mark, before)
        });
        let seq = self.record(author, kinds::event_kind(content));
        if let (Some(target), Some(mark)) = (target, mark) {
            self.marks.push((seq, target, mark));
        }
        self.events[seq as usize - 1].leaves = leaves;
        Ok(seq)
    }

    /// Appends an event of the service itself.
    pub fn record(&mut self, author: u32, kind: Kind) -> u64 {
        let seq = self.events.len() as u64 + 1;
        self.mseq += u64::from(kinds::as_kind(&kind).makes_unread());
        self.targets.insert(seq, Target { kind: kinds::as_kind(&kind).code(), version: 0, gone: Gone::Stands });
        // Two events in one millisecond now and then.
        let time_ms = 1_790_000_000_000 + (seq as i64 / 3) * 1_250;
        let event = Event { seq, mseq: self.mseq, time_ms, author, kind: Some(kind), ..Event::default() };
        if let Some(comment) = kinds::comment_in(&event) {
            self.texts.insert(seq, NewestText { text: comment.text.clone(), version: 0 });
        }
        self.events.push(event);
        seq
    }

    /// The marks on an event when the log ended at `head`, by mark and person, with the seq that set each.
    fn standing(&self, target: u64, head: u64) -> BTreeMap<(i32, u32), (u64, Mark)> {
        let marks = self.marks.iter().filter(|(seq, on, _)| *on == target && *seq <= head);
        marks.map(|(seq, _, mark)| ((mark.mark.into(), mark.person), (*seq, mark.clone()))).collect()
    }

    /// `first..=last` as the server shows it when the log ends at `head`.
    pub fn page(&self, first: u64, last: u64, head: u64) -> Vec<Event> {
        let log = &self.events[..head as usize];
        let mut events = log[first as usize - 1..last as usize].to_vec();
        for event in &mut events {
            let standing = self.standing(event.seq, head);
            let Some(as_of) = standing.values().map(|(seq, _)| *seq).max() else { continue };
            event.marks = Some(sum_marks(as_of, standing.into_values().map(|(_, mark)| (mark.mark.into(), mark.value, 1))));
        }
        let changes: Vec<Event> = log.iter().filter(|event| rewrites(event)).cloned().collect();
        fold_page(&mut events, &changes);
        events
    }

    pub fn head(&self) -> u64 {
        self.events.len() as u64
    }

    pub fn mseq_at(&self, seq: u64) -> u64 {
        seq.checked_sub(1).map_or(0, |index| self.events[index as usize].mseq)
    }

    /// Seqs of the comments that stand.
    pub fn standing_comments(&self) -> Vec<u64> {
        let stands = |(seq, row): (&u64, &Target)| (row.kind == kinds::COMMENT && row.gone == Gone::Stands).then_some(*seq);
        self.targets.iter().filter_map(stands).collect()
    }

    /// Seqs of the comments that are hidden.
    pub fn hidden_comments(&self) -> Vec<u64> {
        let hidden = |(seq, row): (&u64, &Target)| (row.gone == Gone::Hidden).then_some(*seq);
        self.targets.iter().filter_map(hidden).collect()
    }

    /// Seqs of all polls.
    pub fn polls(&self) -> Vec<u64> {
        self.targets.iter().filter_map(|(seq, row)| (row.kind == kinds::POLL).then_some(*seq)).collect()
    }
}

/// Whether a post was refused for what had become of its target, as happens to people too.
pub fn is_late(refusal: &Refusal) -> bool {
    matches!(refusal.code(), RefusalCode::TargetGone | RefusalCode::Closed | RefusalCode::Conflict | RefusalCode::NotFound)
}
