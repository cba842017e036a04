//! Order and meaning of a conversation's events, pure: what comes next, what is missing, and what later events make of
//! earlier ones. chat-core's pages and streams, the gateways' rooms and the tests' checkers all use these same pieces.

mod cursor;
mod fold;
mod inbox;
pub mod kinds;
mod marks;
mod timeline;

pub use cursor::{Admit, Cursor};
pub use fold::{fold_event, fold_page, rewrites, target_of};
pub use inbox::{Inbox, Offer, Run};
pub use kinds::{check_frame, check_post};
pub use marks::{mark_set, sum_marks};
pub use timeline::{Entry, Timeline};
