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
mod tests {
    use proto::v1::{Comment, Edit, Hide, Recall, Unhide, event::Kind};

    use super::*;

    fn comment(seq: u64, text: &str) -> Event {
        Event {
            seq,
            mseq: seq,
            author: 7,
            kind: Some(Kind::Comment(Comment { text: text.to_owned(), ..Comment::default() })),
            ..Event::default()
        }
    }
    fn edit(seq: u64, target: u64, version: u32, text: &str) -> Event {
        Event { seq, author: 7, kind: Some(Kind::Edit(Edit { target, version, text: text.to_owned() })), ..Event::default() }
    }
    fn recall(seq: u64, target: u64) -> Event {
        Event { seq, author: 7, kind: Some(Kind::Recall(Recall { target, reason: String::new() })), ..Event::default() }
    }
    fn hide(seq: u64, target: u64) -> Event {
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

    fn unhide(seq: u64, target: u64, version: u32, text: &str) -> Event {
        let kind = Kind::Unhide(Unhide { target, version, text: text.to_owned(), reason: String::new() });
        Event { seq, author: 9, kind: Some(kind), ..Event::default() }
    }

    /// What is shown of comment 1 after these: its text, or the seq of what took it away.
    fn shown(events: &[&Event]) -> Result<(String, u32), (i32, u64)> {
        let mut first = comment(1, "first");
        for later in events {
            let before = first.clone();
            assert_eq!(fold_event(&mut first, later), first != before, "{later:?}");
            let once = first.clone();
            assert!(!fold_event(&mut first, later) && first == once, "acting twice is acting once: {later:?}");
        }
        let Some(Kind::Comment(comment)) = first.kind else { panic!("no comment") };
        match comment.gone {
            None => Ok((comment.text, comment.version)),
            Some(stone) => {
                assert!(comment.text.is_empty() && comment.version == 0, "words under a stone");
                Err((stone.why, stone.seq))
            }
        }
    }

    #[test]
    fn what_is_given_back_stands_until_it_is_taken_away_again() {
        let (recalled, hidden) = (i32::from(Why::Recalled), i32::from(Why::Hidden));
        let text = |text: &str, version| Ok((text.to_owned(), version));
        let (edited, hide_5, back_7, hide_8, back_9) =
            (edit(3, 1, 1, "second"), hide(5, 1), unhide(7, 1, 1, "second"), hide(8, 1), unhide(9, 1, 1, "second"));
        let (third, recalled_9) = (edit(10, 1, 2, "third"), recall(9, 1));
        // The text of `back_7` as a page shows it that was read after `third`.
        let wordless = unhide(7, 1, 1, "");
        let table: [(&[&Event], _); 11] = [
            (&[&edited, &hide_5], Err((hidden, 5))),
            (&[&edited, &hide_5, &back_7], text("second", 1)),
            (&[&back_7, &hide_5, &edited], text("second", 1)),
            (&[&edited, &hide_5, &back_7, &hide_8], Err((hidden, 8))),
            (&[&hide_8, &back_7, &hide_5, &edited], Err((hidden, 8))),
            (&[&hide_5, &hide_8, &back_9, &back_7, &third], text("third", 2)),
            (&[&hide_5, &back_7, &recalled_9], Err((recalled, 9))),
            (&[&recalled_9, &back_7, &hide_5, &edited], Err((recalled, 9))),
            (&[&hide_5, &wordless], Err((hidden, 5))),
            (&[&hide_5, &wordless, &third], text("third", 2)),
            (&[&hide_5, &third], Err((hidden, 5))),
        ];
        for (events, expected) in table {
            assert_eq!(shown(events), expected, "{events:?}");
        }
    }

    #[test]
    fn a_stone_from_before_seqs_were_known_is_given_back_or_named_anew() {
        let stone = |why: Why| {
            let mut event = comment(1, "");
            let gone = Some(Tombstone { why: why.into(), by: 9, ..Tombstone::default() });
            event.kind = Some(Kind::Comment(Comment { gone, ..Comment::default() }));
            event
        };
        let mut hidden = stone(Why::Hidden);
        assert!(!fold_event(&mut hidden, &edit(3, 1, 1, "second")), "an edit gives nothing back");
        assert!(fold_event(&mut hidden, &hide(5, 1)) && fold_event(&mut hidden, &unhide(7, 1, 1, "second")));
        assert!(comment_in_mut(&mut hidden).is_some_and(|comment| comment.gone.is_none() && comment.text == "second"));
        let mut hidden = stone(Why::Hidden);
        assert!(fold_event(&mut hidden, &unhide(7, 1, 0, "first")) && !fold_event(&mut hidden, &hide(5, 1)));
        let mut recalled = stone(Why::Recalled);
        fold_event(&mut recalled, &unhide(7, 1, 0, "first"));
        assert!(comment_in_mut(&mut recalled).is_some_and(|comment| comment.gone.is_some() && comment.text.is_empty()));
    }

    #[test]
    fn words_are_dropped_where_they_were_replaced_or_taken_away_later() {
        let table = [
            (edit(3, 1, 1, "words"), edit(4, 1, 2, "newer"), true),
            (edit(4, 1, 2, "words"), edit(3, 1, 1, "older"), false),
            (edit(3, 1, 1, "words"), hide(5, 1), true),
            (edit(9, 1, 2, "words"), hide(5, 1), false),
            (edit(9, 1, 2, "words"), unhide(7, 1, 1, "older"), false),
            (edit(9, 1, 2, "words"), recall(10, 1), true),
            (unhide(7, 1, 1, "words"), edit(9, 1, 2, "newer"), true),
            (unhide(7, 1, 1, "words"), edit(3, 1, 1, "the same"), false),
            (unhide(7, 1, 1, "words"), hide(5, 1), false),
            (unhide(7, 1, 1, "words"), hide(8, 1), true),
            (unhide(7, 1, 1, "words"), unhide(9, 1, 1, "again"), true),
            (unhide(7, 1, 1, "words"), recall(8, 1), true),
            (unhide(7, 1, 1, "words"), hide(8, 2), false),
        ];
        for (mut earlier, later, dropped) in table {
            assert_eq!(fold_event(&mut earlier, &later), dropped, "{later:?}");
            assert_eq!(format!("{earlier:?}").contains("words"), !dropped, "{later:?}");
        }
    }
}
