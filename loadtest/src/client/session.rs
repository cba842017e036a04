//! Who is signed in.

use serde::Deserialize;

/// One signed-in person.
#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    /// The session's token.
    pub token: String,
}

/// A person and the session, as the service knows them.
#[derive(Clone, Debug)]
pub struct Person {
    /// The person's id.
    pub person: u32,
    /// The session's id.
    pub session: String,
}
