//! Pages that fit one frame. Pure.

use prost::Message as _;
use proto::{
    Subprotocol, limits,
    v1::{Event, Page, page_request::Where},
};

/// What is left for events beside the rest of a frame.
pub const EVENTS_BYTES: usize = limits::FRAME_OUT_BYTES - 8 * 1_024;

/// What an event takes on the wire at most; in JSON: names of fields, numbers in digits, escapes.
#[must_use]
pub fn wire_bytes(event: &Event, subprotocol: Subprotocol) -> usize {
    match subprotocol {
        Subprotocol::Proto => event.encoded_len() + 8,
        Subprotocol::Json => event.encoded_len() * 3 + 300,
    }
}

/// Which events of a page are kept first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The last.
    Newest,
    /// The first.
    Oldest,
    /// Those on either side of what the page is around.
    Around,
}

impl Keep {
    /// For a page asked for like this.
    #[must_use]
    pub fn for_request(place: Option<Where>) -> Self {
        match place {
            Some(Where::After(_)) => Self::Oldest,
            Some(Where::Around(_) | Where::FirstUnread(_) | Where::AtTimeMs(_)) => Self::Around,
            Some(Where::Before(_)) | None => Self::Newest,
        }
    }
}

/// Drops events at the ends until the page fits one frame, and marks those ends as not complete.
pub fn shrink_to_frame(page: &mut Page, keep: Keep, subprotocol: Subprotocol) {
    let mut bytes: usize = page.events.iter().map(|event| wire_bytes(event, subprotocol)).sum();
    let (mut first, mut end) = (0, page.events.len());
    while bytes > EVENTS_BYTES && end - first > 1 {
        let from_front = match keep {
            Keep::Newest => true,
            Keep::Oldest => false,
            Keep::Around => {
                let before = page.around.saturating_sub(page.events[first].seq);
                let after = page.events[end - 1].seq.saturating_sub(page.around);
                before >= after
            }
        };
        let dropped = if from_front {
            first += 1;
            first - 1
        } else {
            end -= 1;
            end
        };
        bytes -= wire_bytes(&page.events[dropped], subprotocol);
    }
    page.complete_before &= first == 0;
    page.complete_after &= end == page.events.len();
    page.events.truncate(end);
    page.events.drain(..first);
}

#[cfg(test)]
mod tests {
    use proto::v1::{Comment, ServerFrame, event::Kind, server_frame};

    use super::*;

    #[test]
    fn a_page_fits_one_frame_and_says_where_it_was_cut() {
        let event = |seq| Event {
            seq,
            kind: Some(Kind::Comment(Comment { text: "\"\n".repeat(4_000), ..Comment::default() })),
            ..Event::default()
        };
        let whole = Page { events: (1..=200).map(event).collect(), complete_before: true, complete_after: true, ..Page::default() };
        for subprotocol in [Subprotocol::Proto, Subprotocol::Json] {
            for (keep, has, complete) in [
                (Keep::Newest, 200, (false, true)),
                (Keep::Oldest, 1, (true, false)),
                (Keep::Around, 100, (false, false)),
                (Keep::Around, 2, (true, false)),
                (Keep::Around, 200, (false, true)),
            ] {
                let mut page = Page { around: has, ..whole.clone() };
                shrink_to_frame(&mut page, keep, subprotocol);
                assert!(page.events.iter().any(|event| event.seq == has), "{keep:?}");
                assert!(page.events.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
                assert_eq!((page.complete_before, page.complete_after), complete, "{keep:?}");
                assert!(page.events.len() >= 9);
                let frame = ServerFrame { re: 1, frame: Some(server_frame::Frame::Page(page)) };
                assert!(subprotocol.encode(&frame).len() <= limits::FRAME_OUT_BYTES);
            }
        }
        let mut small = Page { events: vec![event(1)], complete_before: true, ..Page::default() };
        shrink_to_frame(&mut small, Keep::Newest, Subprotocol::Json);
        assert_eq!((small.events.len(), small.complete_before), (1, true));
    }
}
