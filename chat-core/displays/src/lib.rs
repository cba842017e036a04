//! Screens in a hall: the links by which one shows a consultation. What a link grants, and the sessions of screens, are the
//! kernel's guests.

mod links;
mod options;

use std::sync::Arc;

use kernel::{Context, Subject, answer, serve};
use proto::v1::{
    CreateDisplayLinkRequest, DisplayLink, EndDisplayLinkRequest, ListDisplayLinksRequest, ListDisplayLinksResponse,
    display_service_server::{DisplayService, DisplayServiceServer},
};
use tonic::{Request, Response, Status};

pub use options::DisplayOptions;

use self::links::Links;

/// The source of its settings: what docs/settings.md says of them.
pub const OPTIONS_SOURCE: &str = include_str!("options.rs");

/// This subject.
#[must_use]
pub fn subject(context: &Context, options: &DisplayOptions) -> Subject {
    let service = Arc::new(Service { links: Links { context: context.clone(), options: options.clone() } });
    Subject::new("displays", move |services| serve!(services, DisplayServiceServer, service.clone()))
}

struct Service {
    links: Links,
}

#[tonic::async_trait]
impl DisplayService for Service {
    async fn create_display_link(&self, request: Request<CreateDisplayLinkRequest>) -> Result<Response<DisplayLink>, Status> {
        answer("making a display link", async {
            let caller = self.links.context.caller(&request)?;
            self.links.create(&caller, request.into_inner()).await
        })
        .await
    }

    async fn list_display_links(&self, request: Request<ListDisplayLinksRequest>) -> Result<Response<ListDisplayLinksResponse>, Status> {
        answer("listing display links", async {
            let links = self.links.list(&self.links.context.caller(&request)?, &request.get_ref().id).await?;
            Ok(ListDisplayLinksResponse { links })
        })
        .await
    }

    async fn end_display_link(&self, request: Request<EndDisplayLinkRequest>) -> Result<Response<DisplayLink>, Status> {
        answer("ending a display link", async { self.links.end(&self.links.context.caller(&request)?, &request.get_ref().id).await }).await
    }
}
