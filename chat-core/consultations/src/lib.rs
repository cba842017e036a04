//! Live consultations (请你来协商): their record, states, schedule and call. What they allow whom is written as rules of their
//! conversation, which the kernel judges by.

mod change;
mod creation;
mod draft;
mod events;
mod list;
mod options;
mod rows;
mod rules;
mod scheduler;
mod service;

use std::sync::Arc;

use kernel::{Context, Error, Subject, serve};
use proto::v1::{ConsultationState, consultation_service_server::ConsultationServiceServer};
use uuid::Uuid;

pub use creation::insert;
pub use draft::Draft;
pub use options::ConsultationOptions;
pub use rows::count_consultations;

use self::{change::Consultations, events::NAME, service::Service};

/// The source of its settings: what docs/settings.md says of them.
pub const OPTIONS_SOURCE: &str = include_str!("options.rs");

/// This subject; its schedule is kept from now on.
#[must_use]
pub fn subject(context: &Context, options: &ConsultationOptions) -> Subject {
    let consultations = Consultations { context: context.clone(), call_every_s: options.call_every_s };
    scheduler::start(&consultations, options.schedule_ms);
    let service = Arc::new(Service { consultations });
    Subject::new(NAME, move |services| serve!(services, ConsultationServiceServer, service.clone()))
}

/// Opens one without anybody's request; for the demonstration.
///
/// # Errors
/// NOT_FOUND; a fault.
pub async fn open(context: &Context, id: Uuid, by: u32) -> Result<(), Error> {
    let consultations = Consultations { context: context.clone(), call_every_s: 0 };
    consultations.set_state_for_service(id, by, ConsultationState::Open).await
}
