//! Consultations, as a gRPC service.

use std::sync::Arc;

use proto::v1::{
    CallConsultationRequest, Consultation, ConsultationState, CreateConsultationRequest, CreateDisplayLinkRequest, DisplayLink,
    EndDisplayLinkRequest, GetConsultationRequest, ListConsultationsRequest, ListConsultationsResponse, ListDisplayLinksRequest,
    ListDisplayLinksResponse, MutePersonRequest, MutePersonResponse, Refusal, RefusalCode, SetConsultationStateRequest,
    UpdateConsultationRequest, consultation_service_server::ConsultationService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{Consultations, rows, told};
use crate::{
    accounts::{Accounts, Caller},
    clock, conversations,
    displays::{self, Displays},
    fault::Error,
    moderation,
    rights::Asker,
};

/// Rows looked at for one page, at most: most are not for this person in a large body.
const LOOKED_AT: i64 = 2_000;
/// Rows read at once.
const STEP: i64 = 200;

/// Serves consultations.
pub struct ConsultationApi {
    /// What is served.
    pub consultations: Arc<Consultations>,
    /// Its screens.
    pub displays: Arc<Displays>,
    /// Who calls.
    pub accounts: Arc<Accounts>,
}

impl ConsultationApi {
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Refusal> {
        self.accounts.caller(request.metadata())
    }

    async fn list(&self, caller: &Caller, asked: &ListConsultationsRequest) -> Result<ListConsultationsResponse, Error> {
        let parts = &self.consultations.conversations;
        let limit = if asked.limit == 0 { 50 } else { asked.limit.min(200) } as usize;
        let mut offset: i64 = if asked.cursor.is_empty() {
            0
        } else {
            asked
                .cursor
                .parse()
                .ok()
                .filter(|offset| (0..10_000_000).contains(offset))
                .ok_or_else(|| Refusal::of(RefusalCode::Invalid).field("cursor"))?
        };
        let last = offset + LOOKED_AT;
        let mut consultations = Vec::new();
        loop {
            let page = rows::listed(&parts.store, STEP, offset).await?;
            let ids: Vec<Uuid> = page.iter().map(|row| row.id).collect();
            let heads = parts.log.heads(&ids).await?;
            let keys: Vec<_> = ids.iter().map(|id| (*id, caller.person.id)).collect();
            let marks = conversations::read_marks(&parts.store, &keys).await?;
            let directory = parts.rights.directory().snapshot();
            let asker = Asker { directory: &directory, person: &caller.person, now_ms: clock::now_ms() };
            for row in &page {
                offset += 1;
                let Some(head) = heads.iter().find(|head| head.conversation == row.id) else { continue };
                let rules = parts.rights.rules(head).await?;
                if rules.may_watch(asker).is_err() || asked.managed && rules.may_manage(asker).is_err() {
                    continue;
                }
                if !asked.states.is_empty() && !asked.states.contains(&(row.state() as i32)) {
                    continue;
                }
                let read = marks.get(&(row.id, caller.person.id)).copied().unwrap_or(0);
                consultations.push(told(row, head, read, &rules, asker)?);
                if consultations.len() >= limit {
                    return Ok(ListConsultationsResponse { consultations, next: offset.to_string() });
                }
            }
            if page.len() < STEP as usize {
                return Ok(ListConsultationsResponse { consultations, next: String::new() });
            }
            if offset >= last {
                return Ok(ListConsultationsResponse { consultations, next: offset.to_string() });
            }
        }
    }
}

#[tonic::async_trait]
impl ConsultationService for ConsultationApi {
    async fn list_consultations(&self, request: Request<ListConsultationsRequest>) -> Result<Response<ListConsultationsResponse>, Status> {
        let answer = async { self.list(&self.caller(&request)?, request.get_ref()).await };
        answer.await.map(Response::new).map_err(|error| error.status("listing consultations"))
    }

    async fn get_consultation(&self, request: Request<GetConsultationRequest>) -> Result<Response<Consultation>, Status> {
        let answer = async {
            let id = &request.get_ref().id;
            match displays::link_of(request.metadata()) {
                Some(link) => self.consultations.shown(&self.displays.screen(link).await?, id).await,
                None => self.consultations.get(&self.caller(&request)?, id).await,
            }
        };
        answer.await.map(Response::new).map_err(|error| error.status("showing a consultation"))
    }

    async fn create_consultation(&self, request: Request<CreateConsultationRequest>) -> Result<Response<Consultation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let id = self.consultations.create(&caller, request.into_inner()).await?;
            self.consultations.get(&caller, &id.to_string()).await
        };
        answer.await.map(Response::new).map_err(|error| error.status("making a consultation"))
    }

    async fn update_consultation(&self, request: Request<UpdateConsultationRequest>) -> Result<Response<Consultation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let id = self.consultations.update(&caller, request.into_inner()).await?;
            self.consultations.get(&caller, &id.to_string()).await
        };
        answer.await.map(Response::new).map_err(|error| error.status("changing a consultation"))
    }

    async fn set_consultation_state(&self, request: Request<SetConsultationStateRequest>) -> Result<Response<Consultation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let state = match request.get_ref().state() {
                ConsultationState::Unspecified => return Err(Refusal::of(RefusalCode::Invalid).field("state").into()),
                state => state,
            };
            let id = self.consultations.set_state(&caller, &request.get_ref().id, state).await?;
            self.consultations.get(&caller, &id.to_string()).await
        };
        answer.await.map(Response::new).map_err(|error| error.status("changing a consultation's state"))
    }

    async fn mute_person(&self, request: Request<MutePersonRequest>) -> Result<Response<MutePersonResponse>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            moderation::mute(&self.consultations.conversations, &caller, request.into_inner()).await
        };
        answer.await.map(|()| Response::new(MutePersonResponse {})).map_err(|error: Error| error.status("muting a person"))
    }

    async fn call_consultation(&self, request: Request<CallConsultationRequest>) -> Result<Response<Consultation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let id = self.consultations.call(&caller, &request.get_ref().id).await?;
            self.consultations.get(&caller, &id.to_string()).await
        };
        answer.await.map(Response::new).map_err(|error| error.status("calling all invited"))
    }

    async fn create_display_link(&self, request: Request<CreateDisplayLinkRequest>) -> Result<Response<DisplayLink>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            self.displays.create(&caller, request.into_inner()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("making a display link"))
    }

    async fn list_display_links(&self, request: Request<ListDisplayLinksRequest>) -> Result<Response<ListDisplayLinksResponse>, Status> {
        let answer = async {
            let links = self.displays.list(&self.caller(&request)?, &request.get_ref().id).await?;
            Ok(ListDisplayLinksResponse { links })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("listing display links"))
    }

    async fn end_display_link(&self, request: Request<EndDisplayLinkRequest>) -> Result<Response<DisplayLink>, Status> {
        let answer = async { self.displays.end(&self.caller(&request)?, &request.get_ref().id).await };
        answer.await.map(Response::new).map_err(|error: Error| error.status("ending a display link"))
    }
}
