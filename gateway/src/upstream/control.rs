//! The control log as this gateway follows it: people, rights and sessions.

use std::{sync::Arc, time::Duration};

use proto::internal::v1::{ControlBatch, Identity};
use tokio::sync::broadcast;

/// What a follower of the control log is told.
#[derive(Clone, Debug)]
pub enum ControlNews {
    /// These events, each once, in order.
    Events(Arc<ControlBatch>),
    /// Something may have been missed (the follower lagged, or the log was made anew): look at everything again.
    Missed,
}

/// One follower's place in the feed.
#[derive(Debug)]
pub struct ControlEvents {
    receiver: broadcast::Receiver<ControlNews>,
}

impl ControlEvents {
    /// The next news; cancel-safe. `None`: the feed has ended with the gateway.
    pub async fn next(&mut self) -> Option<ControlNews> {
        match self.receiver.recv().await {
            Ok(news) => Some(news),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(ControlNews::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// The control log, followed from one chat-core or another. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ControlFeed {
    sender: broadcast::Sender<ControlNews>,
}

impl ControlFeed {
    pub(super) fn new(lag_most: usize) -> Self {
        Self { sender: broadcast::channel(lag_most).0 }
    }

    /// News from now on.
    #[must_use]
    pub fn follow(&self) -> ControlEvents {
        ControlEvents { receiver: self.sender.subscribe() }
    }

    /// Everything up to here has been told. 0: nothing was heard yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        0
    }

    /// How long ago a chat-core was last heard (it speaks at least every second); `None`: never yet.
    #[must_use]
    pub fn silent_for(&self) -> Option<Duration> {
        None
    }

    /// Waits until the feed is at `position`; `false`: not within this time.
    pub async fn reach(&self, _position: u64, _within: Duration) -> bool {
        false
    }

    /// Whether the feed knows of the session's end after the position that the identity was read at; `None`: it cannot
    /// know, for it does not go back that far or has not come that far.
    #[must_use]
    pub fn ended(&self, _identity: &Identity) -> Option<bool> {
        None
    }
}
