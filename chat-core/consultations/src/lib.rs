//! Live consultations (请你来协商): their record, states, schedule and call. What they allow whom is written as rules of their
//! conversation, which the kernel judges by.

mod change;
mod draft;
mod list;
mod options;
mod rows;
mod rules;
mod scheduler;
mod service;

use std::sync::Arc;

use kernel::{Context, Error, Subject, conversations::NewConversation, log::Appended, serve, store::Tx};
use proto::v1::{ConsultationState, consultation_service_server::ConsultationServiceServer};
use uuid::Uuid;

pub use draft::Draft;
pub use options::ConsultationOptions;
pub use rows::count_consultations;

use self::{change::Consultations, rows::ConsultationRow, service::Service};

/// The source of its settings: what docs/settings.md says of them.
pub const OPTIONS_SOURCE: &str = include_str!("options.rs");

/// This subject's name in the contract.
const NAME: &str = "consultations";

/// This subject; its schedule is kept from now on.
#[must_use]
pub fn subject(context: &Context, options: &ConsultationOptions) -> Subject {
    let consultations = Consultations { context: context.clone(), call_every_s: options.call_every_s };
    scheduler::start(&consultations, options.schedule_ms);
    let service = Arc::new(Service { consultations });
    Subject::new(NAME, move |services| serve!(services, ConsultationServiceServer, service.clone()))
}

/// Writes a new consultation inside a transaction: scheduled where an opening time is given, a draft where not. After the commit,
/// what it gives is to be announced.
///
/// # Errors
/// When the client_id was used already; a fault.
pub async fn insert(tx: &mut Tx<'_>, by: u32, client_id: &str, organisation: u32, draft: Draft) -> Result<(Uuid, Appended), Error> {
    let row = ConsultationRow::from_draft(by, organisation, draft);
    let new = NewConversation {
        id: row.id,
        title: &row.title,
        created_by: by,
        client_id: Some(client_id),
        direct: None,
        members: &[],
        rules: rules::rule_set(&row)?,
        first: change::changed(&row, ""),
    };
    let appended = kernel::conversations::create_conversation(tx, new).await?;
    let now_ms = tx.clock().now_ms();
    rows::insert_consultation(tx, &row, now_ms).await?;
    Ok((row.id, appended))
}

/// Opens one without anybody's request; for the demonstration.
///
/// # Errors
/// NOT_FOUND; a fault.
pub async fn open(context: &Context, id: Uuid, by: u32) -> Result<(), Error> {
    let consultations = Consultations { context: context.clone(), call_every_s: 0 };
    consultations.set_state_for_service(id, by, ConsultationState::Open).await
}
