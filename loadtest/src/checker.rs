//! The history checker: holds what every viewer saw against what was acknowledged. Pure; every scenario uses it.

use std::collections::HashMap;

use serde::Serialize;

/// Which post a comment is: its number, written into its text, so that a viewer can tell.
pub type PostIndex = u32;

/// How a post ended, from its author's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receipt named this seq.
    Acknowledged {
        /// Of the receipt.
        seq: u64,
    },
    /// Refused for good, or never answered though sent again to the end.
    Unacknowledged,
}

/// One event as it came over one viewer's wire, in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its seq.
    pub seq: u64,
    /// Whose post it is; `None`: an event of somebody else, or not a comment.
    pub post: Option<PostIndex>,
    /// It came in a page that the viewer had just asked for, so it may repeat what is known.
    pub asked_for: bool,
}

/// What one viewer saw.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Everything after this seq was due to it.
    pub from: u64,
    /// In the order of arrival.
    pub seen: Vec<Seen>,
}

/// What the checker counts. All but the first two must be 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Acknowledged posts times viewers.
    pub expected: u64,
    /// How many of these were seen.
    pub delivered: u64,
    /// Acknowledged, and not seen by a viewer; summed over viewers.
    pub lost: u64,
    /// Came again without being asked for; or one post stands at two places.
    pub duplicated: u64,
    /// Came before something with a lower seq, after a hole, or not at the place that its receipt or another viewer
    /// names.
    pub out_of_order: u64,
    /// Seen, though its author was never told that it was taken.
    pub unacknowledged_seen: u64,
}

impl Findings {
    /// Nothing to complain about.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.lost == 0 && self.duplicated == 0 && self.out_of_order == 0 && self.unacknowledged_seen == 0
    }
}

/// Checks all histories of one conversation against the posts' outcomes (by [`PostIndex`]).
#[must_use]
pub fn check(outcomes: &[Outcome], histories: &[History]) -> Findings {
    let mut findings = Findings::default();
    // What stands at a seq, as the first viewer who saw it says.
    let mut agreed: HashMap<u64, Option<PostIndex>> = HashMap::new();
    let acknowledged: HashMap<PostIndex, u64> = outcomes
        .iter()
        .zip(0..)
        .filter_map(|(outcome, post)| match outcome {
            Outcome::Acknowledged { seq } => Some((post, *seq)),
            Outcome::Unacknowledged => None,
        })
        .collect();

    for history in histories {
        let mut place_of: HashMap<PostIndex, u64> = HashMap::new();
        let mut seen_seqs: std::collections::HashSet<u64> = std::collections::HashSet::new();
        let mut top = history.from;
        for seen in &history.seen {
            if *agreed.entry(seen.seq).or_insert(seen.post) != seen.post {
                findings.out_of_order += 1;
            }
            if !seen_seqs.insert(seen.seq) || seen.seq <= history.from {
                if !seen.asked_for {
                    findings.duplicated += 1;
                }
                continue;
            }
            if seen.seq != top + 1 {
                findings.out_of_order += 1;
            }
            top = top.max(seen.seq);
            if let Some(post) = seen.post {
                if place_of.insert(post, seen.seq).is_some() {
                    findings.duplicated += 1;
                }
                match acknowledged.get(&post) {
                    Some(seq) if *seq == seen.seq => {}
                    Some(_) => findings.out_of_order += 1,
                    None => findings.unacknowledged_seen += 1,
                }
            }
        }
        for (post, seq) in &acknowledged {
            if *seq <= history.from {
                continue;
            }
            findings.expected += 1;
            if place_of.contains_key(post) {
                findings.delivered += 1;
            } else {
                findings.lost += 1;
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(seq: u64, post: Option<PostIndex>) -> Seen {
        Seen { seq, post, asked_for: false }
    }

    /// Posts 0 and 1 stand at 11 and 13; 12 is somebody else's.
    fn outcomes() -> Vec<Outcome> {
        vec![Outcome::Acknowledged { seq: 11 }, Outcome::Acknowledged { seq: 13 }, Outcome::Unacknowledged]
    }
    fn history(seen: Vec<Seen>) -> History {
        History { from: 10, seen }
    }

    #[test]
    fn a_clean_history_is_clean() {
        let whole = history(vec![seen(11, Some(0)), seen(12, None), seen(13, Some(1))]);
        let findings = check(&outcomes(), &[whole.clone(), whole]);
        assert!(findings.clean(), "{findings:?}");
        assert_eq!((findings.expected, findings.delivered), (4, 4));
    }

    #[test]
    fn each_fault_is_found() {
        let table: [(&str, Vec<Seen>, Findings); 7] = [
            ("lost at the end", vec![seen(11, Some(0)), seen(12, None)], Findings { delivered: 1, lost: 1, ..Findings::default() }),
            (
                "lost in the middle",
                vec![seen(11, Some(0)), seen(13, Some(1))],
                Findings { delivered: 2, out_of_order: 1, ..Findings::default() },
            ),
            (
                "the same again",
                vec![seen(11, Some(0)), seen(11, Some(0)), seen(12, None), seen(13, Some(1))],
                Findings { delivered: 2, duplicated: 1, ..Findings::default() },
            ),
            (
                "one post at two places",
                vec![seen(11, Some(0)), seen(12, Some(0)), seen(13, Some(1))],
                Findings { delivered: 2, duplicated: 1, out_of_order: 1, ..Findings::default() },
            ),
            (
                "not where its receipt says",
                vec![seen(11, Some(0)), seen(12, Some(1)), seen(13, None)],
                Findings { delivered: 2, out_of_order: 1, ..Findings::default() },
            ),
            (
                "turned round",
                vec![seen(11, Some(0)), seen(13, Some(1)), seen(12, None)],
                Findings { delivered: 2, out_of_order: 2, ..Findings::default() },
            ),
            (
                "never acknowledged",
                vec![seen(11, Some(0)), seen(12, Some(2)), seen(13, Some(1))],
                Findings { delivered: 2, unacknowledged_seen: 1, ..Findings::default() },
            ),
        ];
        for (name, seen, expected) in table {
            let findings = check(&outcomes(), &[history(seen)]);
            assert_eq!(findings, Findings { expected: 2, ..expected }, "{name}");
        }
    }

    #[test]
    fn a_replay_just_asked_for_may_repeat() {
        let repeated = Seen { asked_for: true, ..seen(11, Some(0)) };
        let findings = check(&outcomes(), &[history(vec![seen(11, Some(0)), repeated, seen(12, None), seen(13, Some(1))])]);
        assert!(findings.clean(), "{findings:?}");
    }

    #[test]
    fn two_viewers_must_agree_on_what_stands_where() {
        let one = history(vec![seen(11, Some(0)), seen(12, None), seen(13, Some(1))]);
        let other = history(vec![seen(11, Some(0)), seen(12, None), seen(13, None)]);
        let findings = check(&outcomes(), &[one, other]);
        assert_eq!((findings.lost, findings.out_of_order), (1, 1));
    }

    proptest! {
        /// Whatever is done to a clean history, the checker notices.
        #[test]
        fn no_mutation_goes_unnoticed(length in 2_u32..40, at in 0_usize..40, kind in 0_u8..3) {
            let outcomes: Vec<_> = (0..length).map(|post| Outcome::Acknowledged { seq: u64::from(post) + 1 }).collect();
            let clean: Vec<_> = (0..length).map(|post| seen(u64::from(post) + 1, Some(post))).collect();
            let mut mutated = clean.clone();
            let at = at % (length as usize - 1);
            match kind {
                0 => { mutated.remove(at); }
                1 => mutated.swap(at, at + 1),
                _ => mutated.insert(at, clean[at]),
            }
            let clean = History { from: 0, seen: clean };
            prop_assert!(check(&outcomes, std::slice::from_ref(&clean)).clean());
            let mutated = History { from: 0, seen: mutated };
            let noticed = !check(&outcomes, &[clean, mutated]).clean();
            prop_assert!(noticed);
        }
    }
}
