//! The directory's gRPC service.

use std::sync::Arc;

use kernel::{
    Context, Error,
    accounts::Caller,
    answer,
    directory::{Snapshot, cards::find_cards, rows},
};
use proto::{
    limits,
    v1::{
        CreateOrganisationRequest, CreatePersonRequest, CreateSignInLinkRequest, GetCardsRequest, GetCardsResponse, GetMeRequest,
        GetPeopleRequest, GetPeopleResponse, ImportReport, ImportRequest, ListOrganisationsRequest, ListOrganisationsResponse, Me,
        Organisation, Person, Refusal, RefusalCode, SearchPeopleRequest, SignInLink, UpdatePersonRequest,
        directory_service_server::DirectoryService,
    },
};
use tonic::{Request, Response, Status};

use crate::{
    administration,
    person::{to_proto, to_proto_for_guest},
    rules::{invalid, may_grant},
};

/// Serves the directory.
pub struct Service {
    /// The kernel.
    pub context: Context,
}

impl Service {
    fn caller<T>(&self, request: &Request<T>) -> Result<(Caller, Arc<Snapshot>), Error> {
        Ok((self.context.caller(request)?, self.context.directory.snapshot()))
    }
}

#[tonic::async_trait]
impl DirectoryService for Service {
    async fn get_me(&self, request: Request<GetMeRequest>) -> Result<Response<Me>, Status> {
        answer("telling people who they are", async {
            let (caller, directory) = self.caller(&request)?;
            let path = directory.path(caller.person.organisation);
            let organisations = path.iter().filter_map(|id| directory.organisation(*id).cloned()).collect();
            let login = rows::find_login(&self.context.store, caller.person.id).await?.unwrap_or_default();
            Ok(Me { person: Some(to_proto(&caller.person, login)), session: caller.session.to_string(), organisations })
        })
        .await
    }

    async fn get_people(&self, request: Request<GetPeopleRequest>) -> Result<Response<GetPeopleResponse>, Status> {
        answer("naming people", async {
            let guest = self.context.guest(request.metadata()).await?;
            if guest.is_none() {
                self.caller(&request)?;
            }
            let directory = self.context.directory.snapshot();
            let ids = &request.get_ref().ids;
            if ids.len() > limits::PEOPLE_IDS {
                return Err(Refusal::of(RefusalCode::TooLarge).field("ids").into());
            }
            let people = match guest {
                // The names to what it shows, and not the directory.
                Some(guest) => {
                    let spoke = self.context.log.find_speakers(guest.head.conversation, ids).await?;
                    spoke.iter().filter_map(|id| directory.person(*id)).map(|person| to_proto_for_guest(person)).collect()
                }
                None => ids.iter().filter_map(|id| directory.person(*id)).map(|person| to_proto(person, String::new())).collect(),
            };
            Ok(GetPeopleResponse { people })
        })
        .await
    }

    async fn get_cards(&self, request: Request<GetCardsRequest>) -> Result<Response<GetCardsResponse>, Status> {
        answer("showing people as they were", async {
            let guest = self.context.guest(request.metadata()).await?;
            if guest.is_none() {
                self.caller(&request)?;
            }
            let ids = &request.get_ref().ids;
            if ids.len() > limits::PEOPLE_IDS {
                return Err(Refusal::of(RefusalCode::TooLarge).field("ids").into());
            }
            let mut cards = find_cards(&self.context.store, ids).await?;
            if let Some(guest) = guest {
                let people: Vec<u32> = cards.iter().map(|card| card.person as u32).collect();
                let spoke = self.context.log.find_speakers(guest.head.conversation, &people).await?;
                cards.retain(|card| spoke.contains(&(card.person as u32)));
            }
            Ok(GetCardsResponse { cards: cards.into_iter().map(|card| card.to_proto()).collect() })
        })
        .await
    }

    async fn search_people(&self, request: Request<SearchPeopleRequest>) -> Result<Response<GetPeopleResponse>, Status> {
        answer("searching for people", async {
            let (_, directory) = self.caller(&request)?;
            let asked = request.get_ref();
            let text = asked.text.trim();
            if text.chars().count() > 64 {
                return Err(invalid("text").into());
            }
            let limit = if asked.limit == 0 { 20 } else { asked.limit.min(100) };
            let found = directory.search(text, asked.organisation, limit as usize);
            Ok(GetPeopleResponse { people: found.iter().map(|person| to_proto(person, String::new())).collect() })
        })
        .await
    }

    async fn list_organisations(&self, request: Request<ListOrganisationsRequest>) -> Result<Response<ListOrganisationsResponse>, Status> {
        answer("listing organisations", async {
            if self.context.guest(request.metadata()).await?.is_none() {
                self.caller(&request)?;
            }
            let directory = self.context.directory.snapshot();
            Ok(ListOrganisationsResponse { organisations: directory.organisations() })
        })
        .await
    }

    async fn create_organisation(&self, request: Request<CreateOrganisationRequest>) -> Result<Response<Organisation>, Status> {
        answer("making an organisation", async {
            let (caller, _) = self.caller(&request)?;
            administration::create_organisation(&self.context, &caller, request.into_inner()).await
        })
        .await
    }

    async fn create_person(&self, request: Request<CreatePersonRequest>) -> Result<Response<Person>, Status> {
        answer("adding a person", async {
            let (caller, _) = self.caller(&request)?;
            administration::create_person(&self.context, &caller, request.into_inner()).await
        })
        .await
    }

    async fn update_person(&self, request: Request<UpdatePersonRequest>) -> Result<Response<Person>, Status> {
        answer("changing a person", async {
            let (caller, _) = self.caller(&request)?;
            administration::update_person(&self.context, &caller, request.into_inner()).await
        })
        .await
    }

    async fn import_organisations(&self, request: Request<ImportRequest>) -> Result<Response<ImportReport>, Status> {
        answer("importing organisations", async {
            let (caller, _) = self.caller(&request)?;
            administration::import_organisations(&self.context, &caller, request.into_inner()).await
        })
        .await
    }

    async fn import_people(&self, request: Request<ImportRequest>) -> Result<Response<ImportReport>, Status> {
        answer("importing people", async {
            let (caller, _) = self.caller(&request)?;
            administration::import_people(&self.context, &caller, request.into_inner()).await
        })
        .await
    }

    async fn create_sign_in_link(&self, request: Request<CreateSignInLinkRequest>) -> Result<Response<SignInLink>, Status> {
        answer("making a sign-in link", async {
            let (caller, directory) = self.caller(&request)?;
            let person = directory.person(request.get_ref().person).ok_or(RefusalCode::NotFound)?;
            may_grant(&directory, &caller.person, person.organisation, person.roles)?;
            self.context.accounts.create_link(caller.person.id, person.id, self.context.clock.now_ms()).await
        })
        .await
    }
}
