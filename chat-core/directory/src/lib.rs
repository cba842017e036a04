//! The directory (通讯录) as people ask for it and as its administrators keep it. It is held in memory by the kernel.

mod administration;
mod import;
mod person;
mod rules;
mod service;

use std::sync::Arc;

use kernel::{Context, Subject, serve};
use proto::v1::directory_service_server::DirectoryServiceServer;

pub use import::{OrganisationLine, PersonLine, ROLE_NAMES, parse_organisations, parse_people};
pub use rules::{may_administer, may_grant};

/// This subject.
#[must_use]
pub fn subject(context: &Context) -> Subject {
    let service = Arc::new(service::Service { context: context.clone() });
    Subject::new("directory", move |services| serve!(services, DirectoryServiceServer, service.clone()))
}
