//! What consultations put in their logs, in the control log, and so before people unasked.

use kernel::control::Record;
use proto::{
    internal::v1::{Concern, ConsultationCalled, RulesChanged, control_event::Kind as ControlKind},
    v1::{Audience, Change, ConsultationChanged, change::Brief, event::Kind},
};

use crate::rows::ConsultationRow;

/// This subject's name in the contract.
pub const NAME: &str = "consultations";

/// The event that its state or rules changed.
pub fn changed(row: &ConsultationRow, reason: &str) -> Kind {
    Kind::ConsultationChanged(ConsultationChanged {
        state: row.state() as i32,
        version: row.version as u32,
        slow_mode_s: row.slow_mode_s as u32,
        reason: reason.to_owned(),
    })
}

/// What all who may watch it are told unasked.
fn push(row: &ConsultationRow, urgent: bool) -> Change {
    let brief = Some(Brief::Consultation(row.to_brief()));
    Change { subject: NAME.to_owned(), id: row.id.to_string(), version: row.version as u64, gone: false, urgent, brief }
}

/// That its rules changed. `before`: whom it was shown to, where it is shown to fewer now.
pub fn record_change(row: &ConsultationRow, before: Vec<Audience>) -> Record {
    let conversation = row.id.to_string();
    let kind = ControlKind::RulesChanged(RulesChanged { conversation: conversation.clone(), people: Vec::new() });
    let concern = Concern { conversation, rights: true, change: Some(push(row, false)), before, ..Concern::default() };
    Record { concern, kind }
}

/// That all who may watch it are called.
pub fn record_call(row: &ConsultationRow) -> Record {
    let conversation = row.id.to_string();
    let kind = ControlKind::ConsultationCalled(ConsultationCalled { conversation: conversation.clone(), called_ms: row.called_ms });
    Record { concern: Concern { conversation, change: Some(push(row, true)), ..Concern::default() }, kind }
}
