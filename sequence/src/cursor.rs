//! Admission by seq: each event once, in order, none missing.

/// What to do with a run of consecutive events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// Deliver it, after dropping its first `skip` events, which were delivered before.
    Next {
        /// How many at the front are already delivered.
        skip: u64,
    },
    /// All of it was delivered before: drop it.
    Seen,
    /// Events `from..=to` are missing before it.
    Hole {
        /// The first missing seq.
        from: u64,
        /// The last missing seq.
        to: u64,
    },
}

/// How far a follower of one log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    delivered: u64,
}

impl Cursor {
    /// A follower that has everything up to and with `delivered` (0: nothing).
    #[must_use]
    pub fn at(delivered: u64) -> Self {
        Self { delivered }
    }

    /// The last seq delivered.
    #[must_use]
    pub fn delivered(self) -> u64 {
        self.delivered
    }

    /// Judges the run `first..=last` and, where it is next, moves past it. An empty run (`last < first`) is Seen.
    pub fn admit(&mut self, first: u64, last: u64) -> Admit {
        if last < first || last <= self.delivered {
            return Admit::Seen;
        }
        let next = self.delivered + 1;
        if first > next {
            return Admit::Hole { from: next, to: first - 1 };
        }
        self.delivered = last;
        Admit::Next { skip: next - first }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_next_seen_or_behind_a_hole() {
        let table = [
            (0, 1, 1, Admit::Next { skip: 0 }, 1),
            (5, 6, 9, Admit::Next { skip: 0 }, 9),
            (5, 4, 7, Admit::Next { skip: 2 }, 7),
            (5, 2, 5, Admit::Seen, 5),
            (5, 6, 5, Admit::Seen, 5),
            (5, 8, 9, Admit::Hole { from: 6, to: 7 }, 5),
        ];
        for (delivered, first, last, expected, after) in table {
            let mut cursor = Cursor::at(delivered);
            assert_eq!(cursor.admit(first, last), expected, "at {delivered}, run {first}..={last}");
            assert_eq!(cursor.delivered(), after);
        }
    }
}
