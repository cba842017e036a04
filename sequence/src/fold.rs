//! The one fold: what an edit, a recall or a hide makes of the events before it. Pages from the store and rings in the
//! gateways both hold folded events, so that nobody who comes later is sent what was taken back.

use std::collections::HashMap;

use proto::v1::{Event, Tombstone, event::Kind, tombstone::Why};

/// seq of the comment that an edit, recall or hide is about.
#[must_use]
pub fn target_of(event: &Event) -> Option<u64> {
    match event.kind.as_ref()? {
        Kind::Edit(edit) => Some(edit.target),
        Kind::Recall(recall) => Some(recall.target),
        Kind::Hide(hide) => Some(hide.target),
        _ => None,
    }
}

/// Lets `later` act on `event`; says whether that changed it. Acting twice is acting once, and the order of several
/// `later` events does not matter.
pub fn fold_event(event: &mut Event, later: &Event) -> bool {
    let Some(target) = target_of(later) else { return false };
    let is_target = event.seq == target;
    match &mut event.kind {
        Some(Kind::Comment(comment)) if is_target => match &later.kind {
            Some(Kind::Edit(edit)) if comment.gone.is_none() && edit.version > comment.version && !edit.text.is_empty() => {
                comment.version = edit.version;
                comment.text.clone_from(&edit.text);
                true
            }
            Some(Kind::Recall(recall)) => entomb(comment, Why::Recalled, later, &recall.reason),
            Some(Kind::Hide(hide)) => entomb(comment, Why::Hidden, later, &hide.reason),
            _ => false,
        },
        // An edit that was itself replaced, or whose comment was taken away, keeps its place but not its words.
        Some(Kind::Edit(earlier)) if earlier.target == target && event.seq != later.seq && !earlier.text.is_empty() => {
            let replaced = match &later.kind {
                Some(Kind::Edit(edit)) => edit.version > earlier.version,
                _ => true,
            };
            if replaced {
                earlier.text.clear();
            }
            replaced
        }
        _ => false,
    }
}

/// Takes the comment away; of several reasons the earliest event's stands (recalled beats hidden, should they ever tie).
fn entomb(comment: &mut proto::v1::Comment, why: Why, later: &Event, reason: &str) -> bool {
    let stone = Tombstone { why: why.into(), by: later.author, reason: reason.to_owned() };
    let stands = match &comment.gone {
        None => true,
        Some(old) => stone.why == i32::from(Why::Recalled) && old.why == i32::from(Why::Hidden),
    };
    if stands {
        comment.gone = Some(stone);
        // Nothing of what it was is left, its number of edits included: so no order of events can show.
        comment.text.clear();
        comment.version = 0;
    }
    stands
}

/// Folds a page: lets every event of `changes` act on every event of `events`. `changes` are all edits, recalls and
/// hides of the log whose target stands in the page or is the target of one that stands in the page.
pub fn fold_page(events: &mut [Event], changes: &[Event]) {
    let mut by_target: HashMap<u64, Vec<&Event>> = HashMap::new();
    for change in changes {
        if let Some(target) = target_of(change) {
            by_target.entry(target).or_default().push(change);
        }
    }
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
