//! Something said.

use proto::{
    codec,
    v1::{Comment, Event, Refusal, event::Kind},
};

use super::{EventKind, PostedKind, Right};

/// The code of comments.
pub const CODE: i64 = 1;

impl EventKind for Comment {
    fn code(&self) -> i64 {
        CODE
    }

    fn makes_unread(&self) -> bool {
        true
    }

    fn counts_as_speaking(&self) -> bool {
        true
    }

    fn comments_delta(&self) -> i64 {
        1
    }
}

impl PostedKind for Comment {
    fn check(&mut self) -> Result<(), Refusal> {
        (self.version, self.gone, self.restored) = (0, None, 0);
        codec::check_text(&self.text)
    }

    fn weight(&self) -> usize {
        self.text.len()
    }

    fn needs(&self) -> Right {
        Right::Post { slow: true }
    }

    fn refers_to(&self) -> Option<u64> {
        Some(self.reply_to).filter(|seq| *seq != 0)
    }
}

/// The comment that an event is.
#[must_use]
pub fn comment_in(event: &Event) -> Option<&Comment> {
    match &event.kind {
        Some(Kind::Comment(comment)) => Some(comment),
        _ => None,
    }
}

/// The same, to be changed.
pub(crate) fn comment_in_mut(event: &mut Event) -> Option<&mut Comment> {
    match &mut event.kind {
        Some(Kind::Comment(comment)) => Some(comment),
        _ => None,
    }
}
