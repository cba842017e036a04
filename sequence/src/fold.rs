//! The one fold: what later events make of the events before them. Pages from the store and rings in the gateways both hold
//! folded events, so that nobody who comes later is sent what was taken back.

use std::collections::HashMap;

use proto::v1::{Comment, Event, Tombstone, tombstone::Why};

use crate::{
    kinds::{self, Rewrite, comment_in_mut},
    marks::fold_mark,
};

/// seq of the event that an event acts on: changes its text or leaves a mark on it.
#[must_use]
pub fn target_of(event: &Event) -> Option<u64> {
    let target = event.kind.as_ref().and_then(|kind| kinds::as_kind(kind).target());
    // A kind that this program does not know yet still tells what it leaves.
    target.or(event.leaves.as_ref().map(|set| set.target))
}

/// How an event changes the text of its target.
fn rewrite_of(event: &Event) -> Option<Rewrite<'_>> {
    kinds::as_kind(event.kind.as_ref()?).rewrite()
}

/// Whether an event changes the text of its target, which pages and rings then must not show any more as it was.
#[must_use]
pub fn rewrites(event: &Event) -> bool {
    rewrite_of(event).is_some()
}

/// Lets `later` act on `event`; says whether that changed it. Acting twice is acting once. Several events act in the order of their
/// seqs; where they come in another order, let all those that rewrite act once more, as [`crate::Timeline`] does.
pub fn fold_event(event: &mut Event, later: &Event) -> bool {
    let marked = fold_mark(event, later);
    fold_text(event, later) || marked
}

/// The part of [`fold_event`] that is about texts.
pub(crate) fn fold_text(event: &mut Event, later: &Event) -> bool {
    let (Some(target), Some(rewrite)) = (target_of(later), rewrite_of(later)) else { return false };
    if event.seq == target {
        return comment_in_mut(event).is_some_and(|comment| rewrite_comment(comment, later, rewrite));
    }
    // An earlier event about the same comment whose text was itself replaced, or taken away, keeps its place but not its words.
    if event.seq == later.seq || target_of(event) != Some(target) {
        return false;
    }
    let dropped = match (rewrite_of(event), rewrite) {
        (Some(Rewrite::Text { version: old, .. } | Rewrite::Restored { version: old, .. }), Rewrite::Text { version, .. }) => version > old,
        (_, Rewrite::Gone { why: Why::Recalled, .. }) => true,
        // What was said after it was given back is not what was hidden before.
        (_, Rewrite::Gone { .. } | Rewrite::Restored { .. }) => later.seq > event.seq,
        (_, Rewrite::Text { .. }) => false,
    };
    dropped && event.kind.as_mut().is_some_and(|kind| kinds::as_kind_mut(kind).clear_text())
}

fn rewrite_comment(comment: &mut Comment, later: &Event, rewrite: Rewrite<'_>) -> bool {
    match rewrite {
        Rewrite::Text { version, text } => version > comment.version && show(comment, version, text),
        Rewrite::Restored { version, text } => {
            let newest = later.seq > comment.restored;
            comment.restored = comment.restored.max(later.seq);
            let shown = (comment.gone.is_some() || version > comment.version) && show(comment, version, text);
            shown || newest
        }
        Rewrite::Gone { why, reason } => {
            if !stands_over(why, later.seq, comment) {
                return false;
            }
            comment.gone = Some(Tombstone { why: why.into(), by: later.author, reason: reason.to_owned(), seq: later.seq });
            // Nothing of what it was is left, its number of edits included: so no order of events can show.
            comment.text.clear();
            comment.version = 0;
            true
        }
    }
}

/// Shows a text, unless it is not there (it was dropped) or must not be shown. What was hidden is shown again with the first text
/// that comes once it is known to be given back.
fn show(comment: &mut Comment, version: u32, text: &str) -> bool {
    let hidden = comment.gone.as_ref().is_some_and(|stone| stone.why() == Why::Recalled || stone.seq >= comment.restored);
    if hidden || text.is_empty() {
        return false;
    }
    comment.gone = None;
    comment.version = version;
    text.clone_into(&mut comment.text);
    true
}

/// Whether a recall or hide at `seq` is the one that the comment must name. A recall is for good, and the first of several counts;
/// of hides the newest counts, unless the comment was given back after it. A stone without a seq is older than any of now.
fn stands_over(why: Why, seq: u64, comment: &Comment) -> bool {
    let recalled = why == Why::Recalled;
    match &comment.gone {
        Some(stone) if stone.why() == Why::Recalled => recalled && (stone.seq == 0 || seq < stone.seq),
        _ if recalled => true,
        Some(stone) => seq > stone.seq && seq > comment.restored,
        None => seq > comment.restored,
    }
}

/// Folds a page: lets every event of `changes`, in whatever order they stand, act on every event of `events`. `changes` are all
/// events that rewrite a target which stands in the page or is the target of one that stands in the page. Where the caller has summed
/// up the marks already, those that leave one may be among them: what is counted is not counted again.
pub fn fold_page(events: &mut [Event], changes: &[Event]) {
    let mut by_target: HashMap<u64, Vec<&Event>> = HashMap::new();
    for change in changes {
        if let Some(target) = target_of(change) {
            by_target.entry(target).or_default().push(change);
        }
    }
    by_target.values_mut().for_each(|changes| changes.sort_by_key(|change| change.seq));
    for event in events {
        let subject = target_of(event).unwrap_or(event.seq);
        for change in by_target.get(&subject).into_iter().flatten() {
            fold_event(event, change);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use proto::v1::{Comment, Edit, Hide, Recall};

    use super::*;

    pub(crate) fn comment(seq: u64, text: &str) -> Event {
        Event {
            seq,
            mseq: seq,
            author: 7,
            kind: Some(Kind::Comment(Comment { text: text.to_owned(), ..Comment::default() })),
            ..Event::default()
        }
    }
    pub(crate) fn edit(seq: u64, target: u64, version: u32, text: &str) -> Event {
        Event { seq, author: 7, kind: Some(Kind::Edit(Edit { target, version, text: text.to_owned() })), ..Event::default() }
    }
    pub(crate) fn recall(seq: u64, target: u64) -> Event {
        Event { seq, author: 7, kind: Some(Kind::Recall(Recall { target, reason: String::new() })), ..Event::default() }
    }
    pub(crate) fn hide(seq: u64, target: u64) -> Event {
        Event { seq, author: 9, kind: Some(Kind::Hide(Hide { target, reason: "rude".into() })), ..Event::default() }
    }

    #[test]
    fn a_page_never_shows_what_was_taken_back() {
        let mut page = vec![comment(1, "first"), edit(2, 1, 1, "second"), edit(3, 1, 2, "third")];
        let all = [edit(2, 1, 1, "second"), edit(3, 1, 2, "third"), hide(9, 1)];
        fold_page(&mut page, &all[..2]);
        assert!(matches!(&page[0].kind, Some(Kind::Comment(c)) if c.text == "third" && c.version == 2));
        assert!(matches!(&page[1].kind, Some(Kind::Edit(e)) if e.text.is_empty()));
        fold_page(&mut page, &all);
        let shown = format!("{page:?}");
        assert!(!shown.contains("first") && !shown.contains("second") && !shown.contains("third"), "{shown}");
        assert!(
            matches!(&page[0].kind, Some(Kind::Comment(c)) if c.gone.as_ref().is_some_and(|gone| gone.by == 9 && gone.reason == "rude"))
        );
    }

    proptest! {
        /// A ring folds as events come; a page folds all at once. Both must show the same.
        #[test]
        fn ring_and_page_obey_one_fold(kinds in prop::collection::vec((0_u8..4, 1_u64..6), 1..40)) {
            let mut log = Vec::new();
            let mut versions = [0_u32; 8];
            for (index, (kind, target)) in kinds.into_iter().enumerate() {
                let seq = index as u64 + 1;
                log.push(match kind {
                    _ if seq <= 5 => comment(seq, &format!("text {seq}")),
                    0 => comment(seq, &format!("text {seq}")),
                    1 => {
                        versions[target as usize] += 1;
                        edit(seq, target, versions[target as usize], &format!("edit {seq}"))
                    }
                    2 => recall(seq, target),
                    _ => hide(seq, target),
                });
            }
            let mut ring: Vec<Event> = Vec::new();
            for event in &log {
                let mut newcomer = event.clone();
                for earlier in &mut ring {
                    fold_event(earlier, event);
                }
                for earlier in &log[..(event.seq as usize - 1)] {
                    fold_event(&mut newcomer, earlier);
                }
                ring.push(newcomer);
            }
            let mut page = log.clone();
            fold_page(&mut page, &log);
            prop_assert_eq!(ring, page);
        }
    }
}
