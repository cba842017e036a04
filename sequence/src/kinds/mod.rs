//! What the service must know of each kind of event, one file a kind. The list below is the only place in the tree that
//! matches on kinds: the log, the rights, the fold, the ring and the codec ask the traits.
//!
//! A new kind is its message in the contract, its file here, its `mod` line and its line in the list.

mod comment;
mod consultation_changed;
mod conversation_created;
mod edit;
mod hide;
mod members_changed;
mod poll;
mod poll_closed;
mod post;
mod recall;
mod target;
#[cfg(test)]
mod tests;
mod unhide;
mod vote;

use proto::v1::{
    Comment, ConsultationChanged, ConversationCreated, Edit, Event, Hide, MarkKind, MembersChanged, Poll, PollClosed, Recall, Refusal,
    RefusalCode, Unhide, Vote, event, post::Content, tombstone::Why,
};

pub(crate) use comment::comment_in_mut;
pub use comment::{CODE as COMMENT, comment_in};
pub use poll::{CODE as POLL, poll_in};
pub use post::{check_frame, check_post};
pub use target::{Gone, NewestText, Target, TargetState};

/// What is known of every kind of event. A kind says only what differs from the defaults.
pub trait EventKind {
    /// The number that the kind is stored under in the database. Never changes and is never given to another kind.
    fn code(&self) -> i64;

    /// Whether an event of this kind makes something unread: mseq counts it.
    fn makes_unread(&self) -> bool {
        false
    }

    /// Whether its author has spoken by it: they are counted among those who did, and slow mode counts from it.
    fn counts_as_speaking(&self) -> bool {
        false
    }

    /// What it adds to the number of comments that stand.
    fn comments_delta(&self) -> i64 {
        0
    }

    /// Whether it is an act of those who run the room, listed for its moderators.
    fn is_act(&self) -> bool {
        false
    }

    /// seq of the event that it acts on.
    fn target(&self) -> Option<u64> {
        None
    }

    /// How it changes the text of its target. Pages need every such event of a comment; other kinds leave at most a mark.
    fn rewrite(&self) -> Option<Rewrite<'_>> {
        None
    }

    /// Drops the text of the target that the event carries, once a later event replaced that text or took it away. Says whether
    /// there was one.
    fn clear_text(&mut self) -> bool {
        false
    }
}

/// How an event changes the text of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite<'a> {
    /// A newer text. `text` is empty where it was dropped since.
    Text {
        /// From 1; the highest wins.
        version: u32,
        /// The whole text.
        text: &'a str,
    },
    /// Taken away.
    Gone {
        /// By whom.
        why: Why,
        /// In their words; may be empty.
        reason: &'a str,
    },
    /// Given back, unless its author recalled it. `text` is empty where it was dropped since.
    Restored {
        /// Of the text.
        version: u32,
        /// The newest text when it was given back.
        text: &'a str,
    },
}

/// What is known besides of the kinds that people post.
pub trait PostedKind: EventKind {
    /// Holds it to the contract's bounds, brings it into its normal form, and clears what only the server says.
    ///
    /// # Errors
    /// MALFORMED, INVALID, TOO_LARGE or TEXT_… with the field.
    fn check(&mut self) -> Result<(), Refusal>;

    /// Bytes of text in it: what it costs to hold, roughly.
    fn weight(&self) -> usize {
        0
    }

    /// What its author must have the right to.
    fn needs(&self) -> Right;

    /// seq of an earlier event that it names without acting on it.
    fn refers_to(&self) -> Option<u64> {
        None
    }

    /// Codes of the kinds that its target may be of.
    fn target_kinds(&self) -> &'static [i64] {
        &[]
    }

    /// How its target must stand.
    fn target_state(&self) -> TargetState {
        TargetState::Stands
    }

    /// Whether [`PostedKind::apply`] must be given the target's newest text.
    fn needs_newest_text(&self) -> bool {
        false
    }

    /// Whether [`PostedKind::judge`] must be given the target itself.
    fn needs_target_event(&self) -> bool {
        false
    }

    /// The marks on its target that [`PostedKind::judge`] must be given: kind of mark, and whose (0: nobody's).
    fn needs_marks(&self, author: u32) -> Vec<(MarkKind, u32)> {
        let _ = author;
        Vec::new()
    }

    /// Judges it by what stands on its target. `target`: where [`PostedKind::needs_target_event`]; `marks`: those of
    /// [`PostedKind::needs_marks`] that stand.
    ///
    /// # Errors
    /// The refusal that its author is shown.
    fn judge(&self, target: Option<&Event>, marks: &[Mark]) -> Result<(), Refusal> {
        let _ = (target, marks);
        Ok(())
    }

    /// Changes the target's row as the server keeps it, and writes into the event what only the server says. `newest`: where
    /// [`PostedKind::needs_newest_text`].
    fn apply(&mut self, target: &mut Target, newest: Option<NewestText>) {
        let _ = (target, newest);
    }

    /// The mark that it leaves on its target.
    fn mark(&self, author: u32) -> Option<Mark> {
        let _ = author;
        None
    }
}

impl dyn PostedKind + '_ {
    /// Judges whether it may act on its target; `None`: there is no such event.
    ///
    /// # Errors
    /// NOT_FOUND with the field `target`, TARGET_GONE; CONFLICT where only what is hidden could be acted on.
    pub fn judge_target(&self, target: Option<&Target>) -> Result<(), Refusal> {
        if self.target().is_none() {
            return Ok(());
        }
        let target = target
            .filter(|target| self.target_kinds().contains(&target.kind))
            .ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("target"))?;
        match (self.target_state(), target.gone) {
            (TargetState::Stands, Gone::Stands) | (TargetState::Hidden, Gone::Hidden) => Ok(()),
            (TargetState::Hidden, Gone::Stands) => {
                Err(Refusal::of(RefusalCode::Conflict).words("该条发言未被隐藏。", "That comment is not hidden."))
            }
            _ => Err(Refusal::of(RefusalCode::TargetGone)),
        }
    }
}

/// What somebody must have the right to in order to post something. Judged by whoever knows the conversation's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To post here now; `slow`: and to have waited as long as slow mode asks.
    Post {
        /// Whether slow mode bears on it.
        slow: bool,
    },
    /// To ask everybody here: to post here now, and where it is not a conversation of their own (a group, say), to moderate it. Slow mode
    /// bears on it.
    Ask,
    /// To post here now, about something of their own.
    PostOwn,
    /// To take back something of their own: also when posting is paused or they are muted, not once the room is closed.
    TakeBackOwn,
    /// To moderate here.
    Moderate,
    /// To moderate here; or to post here now, about something of their own.
    ModerateOrPostOwn,
}

/// A mark on an event as the server keeps it: one for each target, kind of mark and person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which mark.
    pub mark: MarkKind,
    /// Whose; 0: nobody's, there is one for all.
    pub person: u32,
    /// At most [`proto::limits::MARK_VALUE_BYTES`].
    pub value: String,
}

macro_rules! kinds {
    ($(posted $posted:ident;)* $(recorded $recorded:ident;)*) => {
        /// What is known of an event's kind.
        #[must_use]
        pub fn as_kind(kind: &event::Kind) -> &dyn EventKind {
            match kind {
                $(event::Kind::$posted(it) => it,)*
                $(event::Kind::$recorded(it) => it,)*
            }
        }

        /// The same, to be changed.
        #[must_use]
        pub fn as_kind_mut(kind: &mut event::Kind) -> &mut dyn EventKind {
            match kind {
                $(event::Kind::$posted(it) => it,)*
                $(event::Kind::$recorded(it) => it,)*
            }
        }

        /// What is known of a post's content.
        #[must_use]
        pub fn as_posted(content: &Content) -> &dyn PostedKind {
            match content {
                $(Content::$posted(it) => it,)*
            }
        }

        /// The same, to be checked and completed.
        #[must_use]
        pub fn as_posted_mut(content: &mut Content) -> &mut dyn PostedKind {
            match content {
                $(Content::$posted(it) => it,)*
            }
        }

        /// The event's kind that a post becomes.
        #[must_use]
        pub fn event_kind(content: Content) -> event::Kind {
            match content {
                $(Content::$posted(it) => event::Kind::$posted(it),)*
            }
        }

        /// An empty content of each kind that people post.
        #[must_use]
        pub fn all_posted() -> Vec<Content> {
            vec![$(Content::$posted($posted::default()),)*]
        }

        /// An empty event's kind of each kind there is.
        #[must_use]
        pub fn all() -> Vec<event::Kind> {
            vec![$(event::Kind::$posted($posted::default()),)* $(event::Kind::$recorded($recorded::default()),)*]
        }
    };
}

// `posted`: by people, as a post's content. `recorded`: by the service alone.
kinds! {
    posted Comment;
    posted Edit;
    posted Recall;
    posted Hide;
    posted Unhide;
    posted Poll;
    posted Vote;
    posted PollClosed;
    recorded ConsultationChanged;
    recorded MembersChanged;
    recorded ConversationCreated;
}

/// Codes of the kinds that something holds of, ascending: for queries that ask for those alone.
#[must_use]
pub fn codes_where(holds: impl Fn(&dyn EventKind) -> bool) -> Vec<i64> {
    let mut codes: Vec<i64> = all().iter().map(as_kind).filter(|kind| holds(*kind)).map(EventKind::code).collect();
    codes.sort_unstable();
    codes
}

/// Codes of the kinds that change their target's text.
#[must_use]
pub fn rewriting_codes() -> Vec<i64> {
    codes_where(|kind| kind.rewrite().is_some())
}

/// Codes of the acts of those who run a room.
#[must_use]
pub fn act_codes() -> Vec<i64> {
    codes_where(|kind| kind.is_act())
}
