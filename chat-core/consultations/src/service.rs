//! Consultations, as a gRPC service.

use kernel::{Error, accounts::Caller, answer, parse_id};
use proto::v1::{
    CallConsultationRequest, Consultation, CreateConsultationRequest, GetConsultationRequest, ListConsultationsRequest,
    ListConsultationsResponse, Refusal, RefusalCode, SetConsultationStateRequest, UpdateConsultationRequest,
    consultation_service_server::ConsultationService,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{change::Consultations, list, rows};

/// Serves consultations.
pub struct Service {
    /// The consultations, with the kernel beneath them.
    pub consultations: Consultations,
}

impl Service {
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Refusal> {
        self.consultations.context.caller(request)
    }

    async fn show(&self, caller: &Caller, id: Uuid) -> Result<Consultation, Error> {
        list::find(&self.consultations.context, caller, &id.to_string()).await
    }
}

#[tonic::async_trait]
impl ConsultationService for Service {
    async fn list_consultations(&self, request: Request<ListConsultationsRequest>) -> Result<Response<ListConsultationsResponse>, Status> {
        answer("listing consultations", async { list::list(&self.consultations.context, &self.caller(&request)?, request.get_ref()).await })
            .await
    }

    async fn get_consultation(&self, request: Request<GetConsultationRequest>) -> Result<Response<Consultation>, Status> {
        answer("showing a consultation", async {
            let (context, id) = (&self.consultations.context, &request.get_ref().id);
            let Some(guest) = context.guest(request.metadata()).await? else {
                return list::find(context, &self.caller(&request)?, id).await;
            };
            // A screen shows what all who may watch see, and nothing of who they are.
            if parse_id(id, "id")? != guest.head.conversation {
                return Err(Refusal::of(RefusalCode::NotFound).field("id").into());
            }
            let row = rows::find_consultation(&context.store, guest.head.conversation).await?.ok_or(RefusalCode::NotFound)?;
            Ok(list::show_public(&row, &guest.head))
        })
        .await
    }

    async fn create_consultation(&self, request: Request<CreateConsultationRequest>) -> Result<Response<Consultation>, Status> {
        answer("making a consultation", async {
            let caller = self.caller(&request)?;
            let id = self.consultations.create(&caller, request.into_inner()).await?;
            self.show(&caller, id).await
        })
        .await
    }

    async fn update_consultation(&self, request: Request<UpdateConsultationRequest>) -> Result<Response<Consultation>, Status> {
        answer("changing a consultation", async {
            let caller = self.caller(&request)?;
            let id = self.consultations.update(&caller, request.into_inner()).await?;
            self.show(&caller, id).await
        })
        .await
    }

    async fn set_consultation_state(&self, request: Request<SetConsultationStateRequest>) -> Result<Response<Consultation>, Status> {
        answer("changing a consultation's state", async {
            let caller = self.caller(&request)?;
            let id = self.consultations.set_state(&caller, request.into_inner()).await?;
            self.show(&caller, id).await
        })
        .await
    }

    async fn call_consultation(&self, request: Request<CallConsultationRequest>) -> Result<Response<Consultation>, Status> {
        answer("calling all invited", async {
            let caller = self.caller(&request)?;
            let id = self.consultations.call(&caller, &request.get_ref().id).await?;
            self.show(&caller, id).await
        })
        .await
    }
}
