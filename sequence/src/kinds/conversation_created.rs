//! The first event of a conversation.

use proto::v1::ConversationCreated;

use super::EventKind;

impl EventKind for ConversationCreated {
    fn code(&self) -> i64 {
        22
    }
}
