//! A consultation was made, scheduled, opened, paused, closed, or its rules changed.

use proto::v1::ConsultationChanged;

use super::EventKind;

impl EventKind for ConsultationChanged {
    fn code(&self) -> i64 {
        20
    }

    fn is_act(&self) -> bool {
        true
    }
}
