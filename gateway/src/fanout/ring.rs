//! The recent events of a room, as later events left them, for those who come back: a thousand who reconnect are no read
//! of the database. Kept in blocks whose frames are encoded once. Pure.

use std::collections::VecDeque;

use prost::Message as _;
use proto::v1::Event;

use super::batch::{self, Log};
use crate::socket::{Dialect, Frame, PerDialect};

/// Events of one block.
const BLOCK: usize = 128;
/// Kept in any case: the tail of a fresh subscription.
const LEAST: usize = proto::limits::TAIL_EVENTS as usize;

#[derive(Debug, Default)]
struct Block {
    events: Vec<Event>,
    bytes: usize,
    newest_ms: u64,
    encoded: PerDialect<Option<Vec<Frame>>>,
}

/// Recent events, consecutive, up to the newest delivered.
#[derive(Debug)]
pub struct Ring {
    log: Log,
    blocks: VecDeque<Block>,
    /// seq before the oldest event kept.
    base: u64,
    events: usize,
    bytes: usize,
    most_bytes: usize,
    keep_ms: u64,
}

impl Ring {
    /// Begins after `base`; keeps events for `keep_ms`, and at most `most_bytes` of them.
    #[must_use]
    pub fn new(log: Log, base: u64, most_bytes: usize, keep_ms: u64) -> Self {
        Self { log, blocks: VecDeque::new(), base, events: 0, bytes: 0, most_bytes, keep_ms }
    }

    /// Which log it is of.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The newest event kept; the base where there is none.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.base + self.events as u64
    }

    /// Bytes kept, roughly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the next events, which are consecutive and follow the newest; they act on those before them.
    pub fn push(&mut self, events: &[Event], now_ms: u64) {
        for event in events {
            debug_assert_eq!(event.seq, self.newest() + 1, "the ring has no holes");
            let mut event = event.clone();
            if let Some(target) = sequence::target_of(&event) {
                self.fold(&mut event, target);
            }
            if self.blocks.back().is_none_or(|block| block.events.len() >= BLOCK) {
                self.blocks.push_back(Block::default());
            }
            let Some(block) = self.blocks.back_mut() else { continue };
            let bytes = event.encoded_len() + 64;
            block.events.push(event);
            block.bytes += bytes;
            block.newest_ms = now_ms;
            block.encoded = PerDialect::default();
            self.bytes += bytes;
            self.events += 1;
        }
        self.trim(now_ms);
    }

    /// seq before the oldest event kept.
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Adds events from the store before the oldest, which they must reach; what the ring knows acts on them. `false`: they
    /// do not fit there.
    pub fn prepend(&mut self, mut events: Vec<Event>, now_ms: u64) -> bool {
        let consecutive = events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq);
        if !consecutive || events.last().is_none_or(|last| last.seq != self.base) {
            return false;
        }
        // Read before the newest changes, perhaps.
        let kept = self.blocks.iter().flat_map(|block| &block.events);
        let changes: Vec<Event> = kept.filter(|event| sequence::target_of(event).is_some()).cloned().collect();
        sequence::fold_page(&mut events, &changes);
        for chunk in events.rchunks(BLOCK) {
            let bytes = chunk.iter().map(|event| event.encoded_len() + 64).sum();
            self.blocks.push_front(Block { events: chunk.to_vec(), bytes, newest_ms: now_ms, encoded: PerDialect::default() });
            self.bytes += bytes;
            self.events += chunk.len();
            self.base -= chunk.len() as u64;
        }
        true
    }

    /// Lets an edit, recall or hide act on its target and on earlier edits of it, and those of its kind that came before
    /// act on it; the frames of what changed are dropped.
    fn fold(&mut self, later: &mut Event, target: u64) {
        for block in &mut self.blocks {
            if block.events.last().is_none_or(|last| last.seq < target) {
                continue;
            }
            let mut changed = false;
            for event in &mut block.events {
                changed |= sequence::fold_event(event, later);
                if sequence::target_of(event) == Some(target) {
                    sequence::fold_event(later, event);
                }
            }
            if changed {
                block.encoded = PerDialect::default();
            }
        }
    }

    fn trim(&mut self, now_ms: u64) {
        while let Some(oldest) = self.blocks.front() {
            let old = oldest.newest_ms + self.keep_ms < now_ms || self.bytes > self.most_bytes;
            if !old || self.events - oldest.events.len() < LEAST {
                return;
            }
            self.bytes -= oldest.bytes;
            self.events -= oldest.events.len();
            self.base += oldest.events.len() as u64;
            self.blocks.pop_front();
        }
    }

    /// The newest events, at most `count`.
    #[must_use]
    pub fn tail(&self, count: usize) -> Vec<Event> {
        let skip = self.events.saturating_sub(count);
        self.blocks.iter().flat_map(|block| &block.events).skip(skip).cloned().collect()
    }

    /// Whether nothing stands before the oldest event kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.base == 0
    }

    /// Everything after `after`, as frames; `None`: it goes back further than is kept, or is more than `most_bytes`.
    pub fn replay(&mut self, after: u64, dialect: Dialect, most_bytes: usize) -> Option<Vec<Frame>> {
        if after < self.base {
            return None;
        }
        let mut frames = Vec::new();
        let mut bytes = 0;
        for block in &mut self.blocks {
            let Some(last) = block.events.last().map(|event| event.seq).filter(|last| *last > after) else { continue };
            let first = last + 1 - block.events.len() as u64;
            if first > after {
                let encoded = block.encoded[dialect].get_or_insert_with(|| batch::encode_frames(&self.log, &block.events, 0, dialect));
                frames.extend_from_slice(encoded);
                bytes += block.bytes;
            } else {
                let rest = &block.events[(after + 1 - first) as usize..];
                frames.extend(batch::encode_frames(&self.log, rest, 0, dialect));
                bytes += block.bytes;
            }
            if bytes > most_bytes {
                return None;
            }
        }
        Some(frames)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::v1::{Comment, Edit, Hide, Recall, event::Kind};

    use super::*;

    fn log() -> Log {
        Log { conversation: "c".into(), epoch: 3 }
    }

    fn comment(seq: u64, text: &str) -> Event {
        Event { seq, author: 7, kind: Some(Kind::Comment(Comment { text: text.to_owned(), ..Comment::default() })), ..Event::default() }
    }

    fn decoded(frames: &[Frame], dialect: Dialect) -> Vec<Event> {
        frames.iter().flat_map(|frame| batch::decode_frame(frame, dialect).1).collect()
    }

    #[test]
    fn who_comes_back_gets_exactly_what_they_missed() {
        let mut ring = Ring::new(log(), 0, 1 << 20, 60_000);
        let events: Vec<Event> = (1..=300).map(|seq| comment(seq, "text")).collect();
        ring.push(&events, 0);
        for after in [0, 1, 127, 128, 129, 255, 299, 300] {
            for dialect in Dialect::ALL {
                let seqs: Vec<u64> =
                    decoded(&ring.replay(after, dialect, 1 << 20).unwrap(), dialect).iter().map(|event| event.seq).collect();
                assert_eq!(seqs, (after + 1..=300).collect::<Vec<_>>());
            }
        }
        assert!(ring.replay(0, Dialect::Proto, 1_000).is_none(), "too much to replay");
    }

    #[test]
    fn the_ring_leaks_no_hidden_text() {
        let mut ring = Ring::new(log(), 0, 1 << 20, 60_000);
        ring.push(&[comment(1, "secret word"), comment(2, "fine")], 0);
        // Encoded once with the secret in it.
        assert_eq!(decoded(&ring.replay(0, Dialect::Proto, 1 << 20).unwrap(), Dialect::Proto).len(), 2);
        ring.push(&[Event { seq: 3, author: 9, kind: Some(Kind::Hide(Hide { target: 1, reason: String::new() })), ..Event::default() }], 0);
        let shown = format!("{:?}", decoded(&ring.replay(0, Dialect::Proto, 1 << 20).unwrap(), Dialect::Proto));
        assert!(!shown.contains("secret") && shown.contains("fine"), "{shown}");
        assert!(!format!("{:?}", ring.tail(10)).contains("secret"));
    }

    #[test]
    fn what_is_read_back_from_the_store_leaks_no_hidden_text_either() {
        let mut ring = Ring::new(log(), 200, 1 << 20, 60_000);
        let hide = Event { seq: 201, kind: Some(Kind::Hide(Hide { target: 150, reason: String::new() })), ..Event::default() };
        ring.push(&[hide], 0);
        assert!(!ring.prepend((1..=199).map(|seq| comment(seq, "x")).collect(), 0), "199 does not reach 201");
        assert!(ring.prepend((1..=200).map(|seq| comment(seq, &format!("text {seq}."))).collect(), 0));
        assert!(ring.is_whole());
        let kept = decoded(&ring.replay(0, Dialect::Proto, 1 << 20).unwrap(), Dialect::Proto);
        assert_eq!(kept.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=201).collect::<Vec<_>>());
        let shown = format!("{kept:?}");
        assert!(shown.contains("text 149.") && !shown.contains("text 150."));
    }

    #[test]
    fn what_is_kept_is_bounded_by_time_and_bytes_but_for_the_tail() {
        let mut ring = Ring::new(log(), 1_000, 100_000, 60_000);
        let text = "x".repeat(300);
        (1_001..=3_000).for_each(|seq| ring.push(&[comment(seq, &text)], 0));
        assert!(ring.bytes() <= 100_000 + 128 * 400, "{}", ring.bytes());
        assert_eq!(ring.newest(), 3_000);
        assert!(ring.replay(1_500, Dialect::Proto, 1 << 20).is_none());
        assert!(ring.replay(2_900, Dialect::Proto, 1 << 20).is_some());
        ring.push(&[comment(3_001, "later")], 1_000_000);
        assert!(ring.tail(100).len() == 100 && ring.events < 300);
    }

    proptest! {
        #[test]
        fn ring_and_page_obey_one_fold(kinds in prop::collection::vec((0u8..4, 1u64..40), 1..120)) {
            let mut ring = Ring::new(log(), 0, 1 << 22, 60_000);
            let mut all = Vec::new();
            let mut versions = std::collections::HashMap::<u64, u32>::new();
            for (seq, (kind, target)) in (1u64..).zip(kinds) {
                let target = target.min(seq.saturating_sub(1)).max(1);
                let kind = match kind {
                    0 if seq > 1 => {
                        let version = versions.entry(target).or_default();
                        *version += 1;
                        Kind::Edit(Edit { target, version: *version, text: format!("edit {seq}") })
                    }
                    1 if seq > 1 => Kind::Recall(Recall { target, reason: String::new() }),
                    2 if seq > 1 => Kind::Hide(Hide { target, reason: "r".into() }),
                    _ => Kind::Comment(Comment { text: format!("text {seq}"), ..Comment::default() }),
                };
                let event = Event { seq, author: 7, kind: Some(kind), ..Event::default() };
                all.push(event.clone());
                ring.push(&[event], 0);
            }
            let mut page = all.clone();
            sequence::fold_page(&mut page, &all);
            let kept = decoded(&ring.replay(0, Dialect::Proto, 1 << 22).unwrap(), Dialect::Proto);
            prop_assert_eq!(kept, page);
        }
    }
}
