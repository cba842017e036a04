//! Splits the bytes of a socket into frames. A frame that is known already is compared in the read buffer and not copied; only
//! an unknown one that is cut is kept. An idle socket holds no buffer.

use std::rc::Rc;

use super::{
    catalogue::{Catalogue, FrameId, Known, PREFIX_BYTES},
    wire::{self, Head},
};

/// The state between two reads: where in a frame the bytes so far end.
#[derive(Default)]
pub enum FrameReader {
    /// Between frames.
    #[default]
    Between,
    /// In a frame that begins as a known one does, and was the same so far.
    Known {
        /// The known one.
        known: Known,
        /// The header as it came.
        header: Rc<[u8]>,
        /// Bytes of its payload that have come.
        came: usize,
    },
    /// In another: its bytes so far, with its header.
    Kept(Vec<u8>),
}

/// A whole frame, or what is wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A frame that came before, to this socket or another, byte by byte.
    Known(FrameId),
    /// Another frame.
    Frame(u8, std::borrow::Cow<'a, [u8]>),
    /// Not a frame that a server may send.
    Broken,
}

impl FrameReader {
    /// Removes the next whole frame from the front of `rest`; `None`: `rest` is used up. With `keep`, known frames are returned with
    /// their bytes as well.
    pub fn next<'a>(&mut self, rest: &mut &'a [u8], catalogue: &Catalogue, keep: bool) -> Option<Step<'a>> {
        loop {
            if rest.is_empty() {
                return None;
            }
            match std::mem::take(self) {
                Self::Between => {
                    let head = match wire::head(rest) {
                        None => {
                            *self = Self::Kept(rest.to_vec());
                            *rest = &[];
                            return None;
                        }
                        Some(None) => return Some(Step::Broken),
                        Some(Some(head)) => head,
                    };
                    if let Some(payload) = rest.get(head.start..head.end) {
                        *rest = &rest[head.end..];
                        if head.opcode == 2
                            && !keep
                            && let Some(id) = catalogue.find(payload)
                        {
                            return Some(Step::Known(id));
                        }
                        return Some(Step::Frame(head.opcode, payload.into()));
                    }
                    *self = begin_frame(rest, head, catalogue, keep);
                    *rest = &[];
                }
                Self::Known { known, header, came } => {
                    let wanted = &known.bytes[came..];
                    let length = wanted.len().min(rest.len());
                    if wanted[..length] != rest[..length] {
                        // It was the same up to here.
                        let mut bytes = header.to_vec();
                        bytes.extend_from_slice(&known.bytes[..came]);
                        *self = Self::Kept(bytes);
                        continue;
                    }
                    *rest = &rest[length..];
                    if length == wanted.len() {
                        return Some(Step::Known(known.id));
                    }
                    *self = Self::Known { known, header, came: came + length };
                }
                Self::Kept(mut bytes) => {
                    let end = match wire::head(&bytes) {
                        // The header itself is cut: add bytes one by one until it is whole.
                        None => {
                            bytes.push(rest[0]);
                            *rest = &rest[1..];
                            *self = Self::Kept(bytes);
                            continue;
                        }
                        Some(None) => return Some(Step::Broken),
                        Some(Some(head)) => head,
                    };
                    let length = end.end.saturating_sub(bytes.len()).min(rest.len());
                    bytes.reserve_exact(end.end.saturating_sub(bytes.len()));
                    bytes.extend_from_slice(&rest[..length]);
                    *rest = &rest[length..];
                    if bytes.len() < end.end {
                        *self = Self::Kept(bytes);
                        return None;
                    }
                    if end.opcode == 2
                        && !keep
                        && let Some(id) = catalogue.find(&bytes[end.start..])
                    {
                        return Some(Step::Known(id));
                    }
                    bytes.drain(..end.start);
                    return Some(Step::Frame(end.opcode, bytes.into()));
                }
            }
        }
    }
}

/// The state after the beginning of a frame.
fn begin_frame(bytes: &[u8], head: Head, catalogue: &Catalogue, keep: bool) -> FrameReader {
    let payload = &bytes[head.start..];
    if head.opcode == 2
        && !keep
        && payload.len() >= PREFIX_BYTES
        && let Some(known) = catalogue.candidate(head.end - head.start, payload)
        && known.bytes.starts_with(payload)
    {
        return FrameReader::Known { known: known.clone(), header: bytes[..head.start].into(), came: payload.len() };
    }
    let mut kept = Vec::with_capacity(head.end);
    kept.extend_from_slice(bytes);
    FrameReader::Kept(kept)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generator::catalogue::tests::payload;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x82];
        match payload.len() {
            length @ 0..=125 => frame.push(length as u8),
            length => {
                frame.push(126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        frame
    }

    /// The payloads in the order that they come in, whether known or not; `learn` as a generator does.
    fn read_all(stream: &[u8], cuts: &[usize], catalogue: &mut Catalogue) -> Vec<Vec<u8>> {
        let (mut reader, mut found, mut start) = (FrameReader::default(), Vec::new(), 0);
        for end in cuts.iter().copied().chain([stream.len()]) {
            let mut rest = &stream[start..end];
            start = end;
            loop {
                let step = reader.next(&mut rest, catalogue, false);
                match step {
                    None => break,
                    Some(Step::Known(id)) => found.push(vec![id as u8]),
                    Some(Step::Frame(2, payload)) => {
                        let payload = payload.into_owned();
                        let _ = catalogue.decode(&payload);
                        found.push(payload);
                    }
                    Some(other) => panic!("{other:?}"),
                }
            }
            assert!(rest.is_empty());
        }
        found
    }

    #[test]
    fn a_frame_that_differs_at_its_end_only_is_not_taken_for_the_known_one() {
        let mut catalogue = Catalogue::new("run", &["room".to_owned()], 100);
        let known = payload(1, 4, false);
        catalogue.decode(&known).map(|_| ()).expect("a batch");
        let mut other = known.clone();
        // The last byte of the last text, before the window's two.
        let at = other.len() - 3;
        other[at] ^= 1;
        for stream in [framed(&known), framed(&other)] {
            for cut in 1..stream.len() {
                let mut own = Catalogue::new("run", &["room".to_owned()], 100);
                own.decode(&known).map(|_| ()).expect("a batch");
                let found = read_all(&stream, &[cut], &mut own);
                let expected = if stream == framed(&known) { vec![0] } else { other.clone() };
                assert_eq!(found, [expected], "cut at {cut}");
            }
        }
    }

    proptest! {
        /// However a stream is cut, the same frames come out, and the second time all are known.
        #[test]
        fn however_it_is_cut_the_frames_are_the_same(
            counts in proptest::collection::vec(1_u64..6, 1..6),
            mut cuts in proptest::collection::vec(0_usize..4_000, 0..12),
        ) {
            let mut first = 1;
            let payloads: Vec<Vec<u8>> = counts
                .iter()
                .map(|count| {
                    first += count;
                    payload(first - count, *count, count % 2 == 0)
                })
                .collect();
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
            cuts.retain(|cut| *cut < stream.len());
            cuts.sort_unstable();
            let mut catalogue = Catalogue::new("run", &["room".to_owned()], 100);
            prop_assert_eq!(read_all(&stream, &cuts, &mut catalogue), payloads.clone());
            let again: Vec<Vec<u8>> = (0..payloads.len()).map(|id| vec![id as u8]).collect();
            prop_assert_eq!(read_all(&stream, &cuts, &mut catalogue), again);
        }
    }
}
