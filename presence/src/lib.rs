//! Who is here: rebuilt from the gateways' streams, kept in memory only; counts of people by room and organisation.

mod book;
mod options;
mod room;
mod service;

pub use book::{Book, SentCounts, StreamError, StreamId};
pub use options::Options;
pub use service::Presence;
