//! People joined a group or left it.

use proto::v1::MembersChanged;

use super::EventKind;

impl EventKind for MembersChanged {
    fn code(&self) -> i64 {
        21
    }

    fn is_act(&self) -> bool {
        true
    }
}
