//! Moderation: muting, and the list of what was done to a conversation. Hiding and giving back are posts, judged like all posts.

mod acts;
mod mute;
mod rows;

use std::sync::Arc;

use kernel::{Context, Subject, answer, serve, store::Migrations};
use proto::v1::{
    ListActsRequest, ListActsResponse, MutePersonRequest, MutePersonResponse,
    moderation_service_server::{ModerationService, ModerationServiceServer},
};
use sqlx::migrate::Migrator;
use tonic::{Request, Response, Status};

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");
/// Its tables.
pub static MIGRATIONS: Migrations = Migrations { sqlite: &SQLITE, postgres: &POSTGRES };

/// This subject.
#[must_use]
pub fn subject(context: &Context) -> Subject {
    let service = Arc::new(Service { context: context.clone() });
    Subject::new("moderation", move |services| serve!(services, ModerationServiceServer, service.clone()))
}

struct Service {
    context: Context,
}

#[tonic::async_trait]
impl ModerationService for Service {
    async fn mute_person(&self, request: Request<MutePersonRequest>) -> Result<Response<MutePersonResponse>, Status> {
        answer("muting a person", async {
            mute::mute(&self.context, &self.context.caller(&request)?, request.get_ref()).await?;
            Ok(MutePersonResponse {})
        })
        .await
    }

    async fn list_acts(&self, request: Request<ListActsRequest>) -> Result<Response<ListActsResponse>, Status> {
        answer("listing acts", async { acts::list(&self.context, &self.context.caller(&request)?, request.get_ref()).await }).await
    }
}
