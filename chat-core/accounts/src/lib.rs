//! The caller's own account: sessions and password. Signing in itself is the kernel's, for gateways ask it.

use std::sync::Arc;

use kernel::{Context, Subject, answer, parse_id, serve};
use proto::v1::{
    ChangePasswordRequest, ChangePasswordResponse, EndOtherSessionsRequest, EndSessionRequest, EndSessionResponse, ListSessionsRequest,
    ListSessionsResponse, RefusalCode, Session,
    account_service_server::{AccountService, AccountServiceServer},
};
use tonic::{Request, Response, Status};

/// This subject.
#[must_use]
pub fn subject(context: &Context) -> Subject {
    let service = Arc::new(Service { context: context.clone() });
    Subject::new("accounts", move |services| serve!(services, AccountServiceServer, service.clone()))
}

struct Service {
    context: Context,
}

#[tonic::async_trait]
impl AccountService for Service {
    async fn list_sessions(&self, request: Request<ListSessionsRequest>) -> Result<Response<ListSessionsResponse>, Status> {
        answer("listing sessions", async {
            let caller = self.context.caller(&request)?;
            let rows = self.context.accounts.list_sessions(caller.person.id).await?;
            let sessions = rows.into_iter().map(|row| Session {
                id: row.id.to_string(),
                created_ms: row.created_ms,
                seen_ms: row.seen_ms,
                expires_ms: row.expires_ms,
                client: row.client,
                current: row.id == caller.session,
            });
            Ok(ListSessionsResponse { sessions: sessions.collect() })
        })
        .await
    }

    async fn end_session(&self, request: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        answer("ending a session", async {
            let caller = self.context.caller(&request)?;
            let id = parse_id(&request.get_ref().id, "id")?;
            let ended = self.context.accounts.end_session(id, Some(caller.person.id)).await?;
            if ended == 0 { Err(RefusalCode::NotFound.into()) } else { Ok(EndSessionResponse { ended }) }
        })
        .await
    }

    async fn end_other_sessions(&self, request: Request<EndOtherSessionsRequest>) -> Result<Response<EndSessionResponse>, Status> {
        answer("ending sessions", async {
            let caller = self.context.caller(&request)?;
            Ok(EndSessionResponse { ended: self.context.accounts.end_other_sessions(&caller).await? })
        })
        .await
    }

    async fn change_password(&self, request: Request<ChangePasswordRequest>) -> Result<Response<ChangePasswordResponse>, Status> {
        answer("changing a password", async {
            let caller = self.context.caller(&request)?;
            let ChangePasswordRequest { old_password, new_password } = request.into_inner();
            self.context.accounts.change_password(&caller, old_password, new_password).await?;
            Ok(ChangePasswordResponse {})
        })
        .await
    }
}
