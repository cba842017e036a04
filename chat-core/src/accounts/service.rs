//! The caller's own account, as a gRPC service.

use std::sync::Arc;

use proto::v1::{
    ChangePasswordRequest, ChangePasswordResponse, EndOtherSessionsRequest, EndSessionRequest, EndSessionResponse, ListSessionsRequest,
    ListSessionsResponse, Session, account_service_server::AccountService,
};
use proto::v1::{Refusal, RefusalCode};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Accounts, rows};
use crate::{clock, fault::Error};

/// Serves accounts.
pub struct AccountApi(pub Arc<Accounts>);

#[tonic::async_trait]
impl AccountService for AccountApi {
    async fn list_sessions(&self, request: Request<ListSessionsRequest>) -> Result<Response<ListSessionsResponse>, Status> {
        let answer = async {
            let caller = self.0.caller(request.metadata())?;
            let rows = rows::sessions_of(&self.0.store, caller.person.id.into(), clock::now_ms()).await?;
            let sessions = rows
                .into_iter()
                .map(|row| Session {
                    id: row.id.to_string(),
                    created_ms: row.created_ms,
                    seen_ms: row.seen_ms,
                    expires_ms: row.expires_ms,
                    client: row.client,
                    current: row.id == caller.session,
                })
                .collect();
            Ok(ListSessionsResponse { sessions })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("listing sessions"))
    }

    async fn end_session(&self, request: Request<EndSessionRequest>) -> Result<Response<EndSessionResponse>, Status> {
        let answer = async {
            let caller = self.0.caller(request.metadata())?;
            let id = Uuid::try_parse(&request.get_ref().id).map_err(|_| Refusal::of(RefusalCode::Invalid).field("id"))?;
            let ended = self.0.end_session(id, Some(caller.person.id)).await?;
            if ended == 0 { Err(RefusalCode::NotFound.into()) } else { Ok(EndSessionResponse { ended }) }
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("ending a session"))
    }

    async fn end_other_sessions(&self, request: Request<EndOtherSessionsRequest>) -> Result<Response<EndSessionResponse>, Status> {
        let answer = async {
            let caller = self.0.caller(request.metadata())?;
            let mut tx = self.0.store.begin().await?;
            let kinds = self.0.end_sessions_of(&mut tx, caller.person.id, Some(caller.session)).await?;
            let ended = kinds.len() as u32;
            self.0.finish(tx, caller.person.id, kinds).await?;
            Ok(EndSessionResponse { ended })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("ending sessions"))
    }

    async fn change_password(&self, request: Request<ChangePasswordRequest>) -> Result<Response<ChangePasswordResponse>, Status> {
        let answer = async {
            let caller = self.0.caller(request.metadata())?;
            let asked = request.into_inner();
            self.0.change_password(&caller, asked.old_password, asked.new_password).await?;
            Ok(ChangePasswordResponse {})
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("changing a password"))
    }
}
