//! What a failed call means: the caller's affair, the node's, or a matter of time.

use std::error::Error as _;

use proto::v1::{Refusal, RefusalCode};
use tonic::{Code, Status};

/// Why a call did not succeed.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// An answer: trying elsewhere would give the same.
    Refused(Refusal),
    /// The node answers that it cannot for the moment; another may.
    Later(Refusal),
    /// The node could not be reached or broke off: another may have to, and whether it did its work is unknown.
    Node(String),
}

impl Failure {
    pub(super) fn node(why: impl Into<String>) -> Self {
        Self::Node(why.into())
    }

    /// A refusal that a node gave for one thing of a batch.
    pub(super) fn from_refusal(refusal: Refusal) -> Self {
        match refusal.code() {
            RefusalCode::Unavailable | RefusalCode::Draining => Self::Later(refusal),
            _ => Self::Refused(refusal),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // A refusal travels in the details; the transport's own failures have none.
        if !status.details().is_empty() {
            return Self::from_refusal(Refusal::from_status(&status));
        }
        match status.code() {
            // HTTP/2 calls it an internal error of the call when a connection is closed under it.
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown | Code::Internal => Self::Node(describe(&status)),
            code => {
                tracing::error!(%code, message = status.message(), "chat-core answered what it never should");
                Self::Refused(Refusal::of(RefusalCode::Internal))
            }
        }
    }
}

fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Whether a request surely never left for the node, so that it may be sent elsewhere whatever it does.
pub(super) fn was_never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && matches!(error.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::HostUnreachable)
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_canceled()
        {
            return true;
        }
        cause = error.source();
    }
    false
}
