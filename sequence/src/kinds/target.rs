//! The event that a post acts on, as the server keeps it.

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
