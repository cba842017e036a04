//! Close codes of the socket. 3000–3499 and 4000–4499 invite a reconnect; 3500–3999 and 4500–4999 do not.
//! (The ranges are Centrifugo's.) Codes of RFC 6455 are used as it says.

/// Why the server closes a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// RFC 6455: a frame that breaks the protocol.
    Protocol = 1002,
    /// RFC 6455: a text frame that is not UTF-8.
    NotUtf8 = 1007,
    /// RFC 6455: a message above [`crate::limits::FRAME_IN_BYTES`].
    TooBig = 1009,
    /// This gateway is being stopped; another one takes over.
    Draining = 3000,
    /// More waited for this socket than its bound; come back and resume.
    Slow = 3001,
    /// The service cannot serve this socket now.
    Unavailable = 3002,
    /// Too many are connecting.
    Overloaded = 3003,
    /// The first frame did not come in time.
    SignInTimeout = 3004,
    /// The ticket or resume token is not (or no longer) good: get a new ticket, then come back.
    CredentialRefused = 3005,
    /// Nothing was heard from the client.
    Silent = 3006,
    /// The session was ended: sign in again.
    SessionEnded = 3500,
    /// A frame that cannot be understood.
    Malformed = 3501,
    /// Frames came faster than allowed, in spite of refusals.
    Flooding = 3502,
    /// The first frame was not SignIn.
    SignInExpected = 3503,
    /// This person has too many sockets.
    TooManySockets = 3504,
    /// The client speaks an older contract: load its page anew.
    Outdated = 3505,
}

impl CloseCode {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason on the wire: English, ASCII, well under 123 bytes.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Protocol => "the frame breaks RFC 6455",
            Self::NotUtf8 => "a text frame must be UTF-8",
            Self::TooBig => "the message is larger than 64 KiB",
            Self::Draining => "this gateway is stopping; reconnect and resume",
            Self::Slow => "too much waits for this socket; reconnect and resume",
            Self::Unavailable => "the service is not available; reconnect later",
            Self::Overloaded => "too many are connecting; reconnect later",
            Self::SignInTimeout => "no sign-in within the time allowed",
            Self::CredentialRefused => "the ticket or resume token is not good; get a new ticket",
            Self::Silent => "nothing was heard from this client",
            Self::SessionEnded => "the session was ended; sign in again",
            Self::Malformed => "the frame cannot be understood",
            Self::Flooding => "frames came faster than allowed",
            Self::SignInExpected => "the first frame must be SignIn",
            Self::TooManySockets => "this person has too many connections",
            Self::Outdated => "this client is of an earlier version; reload it",
        }
    }

    /// Whether a client should come back by itself.
    #[must_use]
    pub fn invites_reconnect(self) -> bool {
        matches!(self.code(), 3000..=3499 | 4000..=4499)
    }
}

#[cfg(test)]
mod tests {
    use super::CloseCode;

    #[test]
    fn the_number_alone_tells_whether_to_reconnect() {
        assert!(CloseCode::Slow.invites_reconnect());
        assert!(CloseCode::CredentialRefused.invites_reconnect());
        assert!(!CloseCode::SessionEnded.invites_reconnect());
        assert!(!CloseCode::TooBig.invites_reconnect());
    }
}
