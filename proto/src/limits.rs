//! Bounds that are part of the contract. Everything else that is bounded is bounded in the settings.

/// A comment's text, bytes of UTF-8.
pub const TEXT_BYTES: usize = 8 * 1024;
/// One frame from a client, bytes.
pub const FRAME_IN_BYTES: usize = 64 * 1024;
/// One frame to a client, bytes; larger batches are split.
pub const FRAME_OUT_BYTES: usize = 256 * 1024;
/// Events of one page.
pub const PAGE_EVENTS: u32 = 200;
/// Events of a page where the client named no limit.
pub const PAGE_EVENTS_DEFAULT: u32 = 50;
/// Events that come with a fresh subscription.
pub const TAIL_EVENTS: u32 = 100;
/// Conversations that one socket follows, and positions in one resume.
pub const SUBSCRIPTIONS: usize = 300;
/// The reason of a recall, hide or unhide, bytes.
pub const REASON_BYTES: usize = 1024;
/// The question of a poll, characters.
pub const POLL_QUESTION_CHARS: usize = 200;
/// Options of a poll.
pub const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=10;
/// One option of a poll, characters.
pub const POLL_OPTION_CHARS: usize = 80;
/// The value of a mark, bytes.
pub const MARK_VALUE_BYTES: usize = 64;
/// A title, characters.
pub const TITLE_CHARS: usize = 200;
/// A consultation's description, bytes.
pub const DESCRIPTION_BYTES: usize = 16 * 1024;
/// People in one GetPeople.
pub const PEOPLE_IDS: usize = 500;
/// A ticket or a resume token, bytes: ours are far shorter.
pub const CREDENTIAL_BYTES: usize = 4 * 1024;
/// What a client calls itself, characters.
pub const CLIENT_CHARS: usize = 64;
/// A resume is replayed up to here, bytes; beyond it the client pages.
pub const RESUME_BYTES: usize = 1024 * 1024;
/// The number of the contract: one more whenever a client of before could not go on. 1 (or none named) knew frames and methods that are
/// gone.
pub const CONTRACT: u32 = 2;
