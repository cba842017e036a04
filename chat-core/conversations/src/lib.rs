//! Direct and group conversations: made, changed, listed, read and followed without a socket.

mod people;
mod rules;
mod service;

use std::sync::Arc;

use kernel::{Context, Subject, serve};
use proto::v1::conversation_service_server::ConversationServiceServer;
use tokio::sync::Semaphore;

pub use rules::{direct_rules, group_rules};

/// This subject. `followers`: streams of Follow at once.
#[must_use]
pub fn subject(context: &Context, followers: usize) -> Subject {
    let service = Arc::new(service::Service { context: context.clone(), followers: Arc::new(Semaphore::new(followers)) });
    Subject::new("conversations", move |services| serve!(services, ConversationServiceServer, service.clone()))
}
