//! What came too early waits here, bounded in bytes, until the hole before it is filled.

use std::collections::BTreeMap;

use crate::{Admit, Cursor};

/// Consecutive events, the first of them at `first`, and what they weigh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run<T> {
    /// seq of the first item.
    pub first: u64,
    /// The events, one a seq.
    pub items: Vec<T>,
    /// Bytes that holding it costs.
    pub bytes: usize,
}

impl<T> Run<T> {
    fn last(&self) -> u64 {
        (self.first + self.items.len() as u64).saturating_sub(1)
    }
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer<T> {
    /// These are next, in order, the first at this seq. May hold what waited before.
    Ready {
        /// seq of the first item.
        first: u64,
        /// One a seq.
        items: Vec<T>,
    },
    /// Nothing new in it.
    Seen,
    /// It waits: `from..=to` is missing.
    Hole {
        /// The first missing seq.
        from: u64,
        /// The last missing seq before the earliest run that waits.
        to: u64,
    },
    /// It would have been too much to keep: what waited is dropped, and everything from `from` on must be read anew.
    Overflow {
        /// The first missing seq.
        from: u64,
    },
}

/// A cursor, and the runs that wait for a hole to be filled.
#[derive(Debug)]
pub struct Inbox<T> {
    cursor: Cursor,
    waiting: BTreeMap<u64, Run<T>>,
    bytes: usize,
    most_bytes: usize,
}

impl<T> Inbox<T> {
    /// Starts after `delivered`; keeps at most `most_bytes` waiting.
    #[must_use]
    pub fn new(delivered: u64, most_bytes: usize) -> Self {
        Self { cursor: Cursor::at(delivered), waiting: BTreeMap::new(), bytes: 0, most_bytes }
    }

    /// The last seq handed out.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.cursor.delivered()
    }

    /// Bytes that wait behind a hole.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.bytes
    }

    /// The hole before the earliest run that waits.
    #[must_use]
    pub fn hole(&self) -> Option<(u64, u64)> {
        let first = *self.waiting.keys().next()?;
        Some((self.delivered() + 1, first - 1))
    }

    /// Takes a run, from the backbone or from a page, in any order and as often as it comes.
    pub fn offer(&mut self, run: Run<T>) -> Offer<T> {
        let (first, last) = (run.first, run.last());
        match self.cursor.admit(first, last) {
            Admit::Seen => Offer::Seen,
            Admit::Next { skip } => {
                let first = first + skip;
                let mut items = run.items;
                items.drain(..skip as usize);
                self.take_waiting(&mut items);
                Offer::Ready { first, items }
            }
            Admit::Hole { from, .. } => self.keep(run, from),
        }
    }

    fn keep(&mut self, run: Run<T>, from: u64) -> Offer<T> {
        if self.waiting.get(&run.first).is_some_and(|kept| kept.items.len() >= run.items.len()) {
            let to = self.hole().map_or(from, |(_, to)| to);
            return Offer::Hole { from, to };
        }
        if self.bytes + run.bytes > self.most_bytes {
            self.waiting.clear();
            self.bytes = 0;
            return Offer::Overflow { from };
        }
        self.bytes += run.bytes;
        if let Some(shorter) = self.waiting.insert(run.first, run) {
            self.bytes -= shorter.bytes;
        }
        let to = self.hole().map_or(from, |(_, to)| to);
        Offer::Hole { from, to }
    }

    fn take_waiting(&mut self, items: &mut Vec<T>) {
        while let Some((&first, _)) = self.waiting.first_key_value() {
            if first > self.cursor.delivered() + 1 {
                return;
            }
            let Some(run) = self.waiting.remove(&first) else { return };
            self.bytes -= run.bytes;
            if let Admit::Next { skip } = self.cursor.admit(run.first, run.last()) {
                items.extend(run.items.into_iter().skip(skip as usize));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(first: u64, last: u64) -> Run<u64> {
        Run { first, items: (first..=last).collect(), bytes: (last + 1 - first) as usize }
    }

    #[test]
    fn a_hole_holds_back_what_follows_until_it_is_filled() {
        let mut inbox = Inbox::new(2, 100);
        assert_eq!(inbox.offer(run(5, 6)), Offer::Hole { from: 3, to: 4 });
        assert_eq!(inbox.offer(run(8, 8)), Offer::Hole { from: 3, to: 4 });
        assert_eq!(inbox.offer(run(3, 4)), Offer::Ready { first: 3, items: vec![3, 4, 5, 6] });
        assert_eq!(inbox.hole(), Some((7, 7)));
        assert_eq!(inbox.offer(run(6, 7)), Offer::Ready { first: 7, items: vec![7, 8] });
        assert_eq!(inbox.waiting_bytes(), 0);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes() {
        let mut inbox = Inbox::new(0, 4);
        assert_eq!(inbox.offer(run(3, 5)), Offer::Hole { from: 1, to: 2 });
        assert_eq!(inbox.offer(run(7, 9)), Offer::Overflow { from: 1 });
        assert_eq!(inbox.waiting_bytes(), 0);
        assert_eq!(inbox.offer(run(1, 9)), Offer::Ready { first: 1, items: (1..=9).collect() });
    }

    proptest! {
        #[test]
        fn whatever_the_order_each_item_comes_once_and_in_order(runs in prop::collection::vec((1_u64..60, 0_u64..8), 1..80)) {
            let mut inbox = Inbox::new(0, 200);
            let mut seen = Vec::new();
            for (first, more) in runs {
                if let Offer::Ready { first, items } = inbox.offer(run(first, first + more)) {
                    prop_assert_eq!(first, seen.len() as u64 + 1);
                    seen.extend(items);
                }
                prop_assert!(inbox.waiting_bytes() <= 200);
            }
            if let Offer::Ready { items, .. } = inbox.offer(run(1, 70)) {
                seen.extend(items);
            }
            prop_assert_eq!(seen, (1..=inbox.delivered()).collect::<Vec<_>>());
            prop_assert_eq!(inbox.waiting_bytes(), 0);
        }
    }
}
