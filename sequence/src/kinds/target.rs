//! The event that a post acts on, as the server keeps it, and whether the post may act on it.

use proto::v1::{Refusal, RefusalCode};

use super::PostedKind;

/// Whether an event stands. Stored as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i64)]
pub enum Gone {
    /// It stands.
    #[default]
    Stands = 0,
    /// Its author took it back.
    Recalled = 1,
    /// A moderator took it away.
    Hidden = 2,
}

impl Gone {
    /// As stored.
    #[must_use]
    pub fn code(self) -> i64 {
        self as i64
    }

    /// From what is stored; anything unknown counts as taken back for good.
    #[must_use]
    pub fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Stands,
            2 => Self::Hidden,
            _ => Self::Recalled,
        }
    }
}

/// The row of a post's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The code of its kind.
    pub kind: i64,
    /// Of its newest text.
    pub version: u32,
    /// Whether it stands.
    pub gone: Gone,
}

/// The newest text of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestText {
    /// The whole text.
    pub text: String,
    /// Of the text; 0: as first posted.
    pub version: u32,
}

/// How a target must stand for a post to act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Neither recalled nor hidden.
    Stands,
    /// Hidden.
    Hidden,
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
