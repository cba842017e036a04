//! In what form a client is sent frames: its subprotocol, and whether it inflates. One frame is made for all of one dialect.

use std::ops::{Index, IndexMut};

use proto::{
    Subprotocol,
    v1::{Capability, SignIn},
};

/// How frames for a client are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Protobuf.
    Proto,
    /// Protobuf; batches may be deflated.
    Deflate,
    /// Canonical JSON.
    Json,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Proto, Self::Deflate, Self::Json];

    /// By what the client said when it signed in. In JSON, bytes would be text again and larger than they were: never deflated.
    #[must_use]
    pub fn negotiate(subprotocol: Subprotocol, asked: &SignIn) -> Self {
        match subprotocol {
            Subprotocol::Json => Self::Json,
            Subprotocol::Proto if asked.capabilities().any(|capability| capability == Capability::DeflateRaw) => Self::Deflate,
            Subprotocol::Proto => Self::Proto,
        }
    }

    /// The subprotocol that it is of.
    #[must_use]
    pub fn subprotocol(self) -> Subprotocol {
        match self {
            Self::Proto | Self::Deflate => Subprotocol::Proto,
            Self::Json => Subprotocol::Json,
        }
    }
}

/// One of something for each dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerDialect<T>([T; 3]);

impl<T> PerDialect<T> {
    /// Makes one for each.
    pub fn from_fn(mut make: impl FnMut(Dialect) -> T) -> Self {
        Self(Dialect::ALL.map(&mut make))
    }
}

impl<T> Index<Dialect> for PerDialect<T> {
    type Output = T;

    fn index(&self, dialect: Dialect) -> &T {
        &self.0[dialect as usize]
    }
}

impl<T> IndexMut<Dialect> for PerDialect<T> {
    fn index_mut(&mut self, dialect: Dialect) -> &mut T {
        &mut self.0[dialect as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_sent_what_it_said_it_can_read() {
        let said = |capabilities: &[Capability]| SignIn {
            capabilities: capabilities.iter().map(|capability| *capability as i32).collect(),
            ..SignIn::default()
        };
        assert_eq!(Dialect::negotiate(Subprotocol::Proto, &said(&[])), Dialect::Proto);
        assert_eq!(Dialect::negotiate(Subprotocol::Proto, &said(&[Capability::DeflateRaw])), Dialect::Deflate);
        assert_eq!(Dialect::negotiate(Subprotocol::Json, &said(&[Capability::DeflateRaw])), Dialect::Json);
    }
}
