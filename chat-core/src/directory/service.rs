//! The directory's gRPC service.

use std::{collections::HashMap, sync::Arc};

use proto::{
    internal::v1::{OrganisationsChanged, PeopleChanged, control_event::Kind},
    limits,
    v1::{
        CreateOrganisationRequest, CreatePersonRequest, CreateSignInLinkRequest, GetMeRequest, GetPeopleRequest, GetPeopleResponse,
        ImportReport, ImportRequest, ListOrganisationsRequest, ListOrganisationsResponse, Me, Organisation, Person, Refusal, RefusalCode,
        Role, SearchPeopleRequest, SignInLink, UpdatePersonRequest, directory_service_server::DirectoryService,
    },
};
use tonic::{Request, Response, Status};

use super::{
    NewPerson, PersonEntry, Roles, Snapshot, check_login, check_name,
    import::{complaint, parse_organisations, parse_people},
    may_administer, may_grant, rows,
};
use crate::{
    accounts::{Accounts, Caller},
    clock,
    control::Control,
    displays::{self, Displays},
    fault::Error,
    store::{Store, Tx},
};

/// People named in one event of the control log.
const PEOPLE_PER_EVENT: usize = 1_000;

/// Serves the directory.
pub struct DirectoryApi {
    /// The database.
    pub store: Store,
    /// Where every change is recorded.
    pub control: Arc<Control>,
    /// Who calls, and links for signing in.
    pub accounts: Arc<Accounts>,
    /// Screens, which need names to what they show.
    pub displays: Arc<Displays>,
}

fn invalid(field: &str) -> Refusal {
    Refusal::of(RefusalCode::Invalid).field(field)
}

/// As told to others; the login is for those who keep the directory, and for the person.
fn told(person: &PersonEntry, login: String) -> Person {
    Person {
        id: person.id,
        name: person.name.to_string(),
        organisation: person.organisation,
        roles: person.roles.iter().map(Into::into).collect(),
        disabled: person.disabled,
        login,
    }
}

/// As a screen shows them beside what they said.
fn shown(person: &PersonEntry) -> Person {
    Person { id: person.id, name: person.name.to_string(), organisation: person.organisation, ..Person::default() }
}

fn people_changed(ids: &[u32], what: &str) -> Vec<Kind> {
    let event = |chunk: &[u32]| Kind::PeopleChanged(PeopleChanged { people: chunk.to_vec(), what: what.to_owned() });
    ids.chunks(PEOPLE_PER_EVENT).map(event).collect()
}

fn taken(login: &str) -> Refusal {
    Refusal::of(RefusalCode::Conflict).field("login").words(format!("账号 {login} 已被使用。"), format!("The login {login} is taken."))
}

impl DirectoryApi {
    fn directory(&self) -> &Arc<super::Directory> {
        self.accounts.directory()
    }

    async fn caller<T>(&self, request: &Request<T>) -> Result<(Caller, Arc<Snapshot>), Error> {
        let caller = self.accounts.caller(request.metadata())?;
        Ok((caller, self.directory().snapshot()))
    }

    /// Ends a change: records it, commits, and waits until this process sees it.
    async fn finish(&self, mut tx: Tx<'static>, by: u32, kinds: Vec<Kind>) -> Result<(), Error> {
        let written = Control::record_all(&mut tx, by, kinds).await?;
        tx.commit().await?;
        self.control.committed();
        if let Some((position, _)) = written.last() {
            self.directory().wait_until(*position).await;
        }
        Ok(())
    }

    async fn person(&self, id: u32) -> Result<Person, Error> {
        let entry = self.directory().snapshot().person(id).cloned().ok_or(RefusalCode::NotFound)?;
        let login = rows::login_of(&self.store, id).await?.unwrap_or_default();
        Ok(told(&entry, login))
    }

    async fn create_organisation(&self, caller: &Caller, asked: CreateOrganisationRequest) -> Result<Organisation, Error> {
        let directory = self.directory().snapshot();
        let code = asked.code.trim().to_owned();
        if code.is_empty() || code.len() > 64 {
            return Err(invalid("code").into());
        }
        let name = check_name(&asked.name)?;
        let level = if asked.parent == 0 {
            if !caller.person.roles.has(Role::Operator) {
                return Err(RefusalCode::Forbidden.into());
            }
            1
        } else {
            may_administer(&directory, &caller.person, asked.parent)?;
            directory.organisation(asked.parent).ok_or_else(|| invalid("parent"))?.level + 1
        };
        let mut tx = self.store.begin().await?;
        rows::lock(&mut tx).await?;
        if directory.organisation_by_code(&code).is_some() {
            return Err(Refusal::of(RefusalCode::Conflict).field("code").into());
        }
        let (id, _) = rows::next_ids(&mut tx).await?;
        let organisation = Organisation { id, code, name, parent: asked.parent, level };
        rows::insert_organisations(&mut tx, std::slice::from_ref(&organisation)).await?;
        let changed = Kind::OrganisationsChanged(OrganisationsChanged { organisations: vec![id] });
        self.finish(tx, caller.person.id, vec![changed]).await?;
        Ok(organisation)
    }

    async fn create_person(&self, caller: &Caller, asked: CreatePersonRequest) -> Result<Person, Error> {
        let directory = self.directory().snapshot();
        let roles = Roles::of(asked.roles());
        directory.organisation(asked.organisation).ok_or_else(|| invalid("organisation"))?;
        may_grant(&directory, &caller.person, asked.organisation, roles)?;
        let (login, name) = (check_login(&asked.login)?, check_name(&asked.name)?);
        let mut tx = self.store.begin().await?;
        rows::lock(&mut tx).await?;
        if rows::login_taken(&mut tx, &login).await? {
            return Err(taken(&login).into());
        }
        let (_, id) = rows::next_ids(&mut tx).await?;
        let person = NewPerson { id, login, name, organisation: asked.organisation, roles, password: None, demo: false };
        let now_ms = tx.now_ms().await?;
        rows::insert_people(&mut tx, &[person], now_ms).await?;
        self.finish(tx, caller.person.id, people_changed(&[id], "created")).await?;
        self.person(id).await
    }

    async fn update_person(&self, caller: &Caller, asked: UpdatePersonRequest) -> Result<Person, Error> {
        let directory = self.directory().snapshot();
        let before = directory.person(asked.id).ok_or(RefusalCode::NotFound)?;
        directory.organisation(asked.organisation).ok_or_else(|| invalid("organisation"))?;
        let roles = Roles::of(asked.roles());
        // What they are now, and what they are to be: both must be the caller's to give.
        may_grant(&directory, &caller.person, before.organisation, before.roles)?;
        may_grant(&directory, &caller.person, asked.organisation, roles)?;
        if asked.disabled && asked.id == caller.person.id {
            return Err(invalid("disabled").words("不能停用自己的账号。", "You cannot disable your own account.").into());
        }
        let after = PersonEntry {
            id: asked.id,
            name: check_name(&asked.name)?.into(),
            organisation: asked.organisation,
            roles,
            disabled: asked.disabled,
        };
        let mut tx = self.store.begin().await?;
        rows::lock(&mut tx).await?;
        rows::update_person(&mut tx, &after).await?;
        let mut kinds = if after.disabled { self.accounts.end_sessions_of(&mut tx, asked.id, None).await? } else { Vec::new() };
        kinds.extend(people_changed(&[asked.id], if after.disabled { "disabled" } else { "updated" }));
        self.finish(tx, caller.person.id, kinds).await?;
        self.person(asked.id).await
    }

    async fn import_organisations(&self, caller: &Caller, asked: ImportRequest) -> Result<ImportReport, Error> {
        if !caller.person.roles.has(Role::Operator) {
            return Err(RefusalCode::Forbidden.into());
        }
        let lines = match parse_organisations(&asked.csv) {
            Ok(lines) => lines,
            Err(errors) => return Ok(ImportReport { errors, ..ImportReport::default() }),
        };
        let mut tx = self.store.begin().await?;
        rows::lock(&mut tx).await?;
        let (mut next, _) = rows::next_ids(&mut tx).await?;
        let standing = rows::organisations_within(&mut tx).await?;
        let mut by_code: HashMap<String, Organisation> = standing.into_iter().map(|one| (one.code.clone(), one)).collect();
        let mut report = ImportReport::default();
        let (mut added, mut renamed) = (Vec::new(), Vec::new());
        let mut lines = lines;
        lines.sort_by_key(|line| line.level);
        for line in lines {
            if let Some(known) = by_code.get(&line.code) {
                if known.name == line.name {
                    report.unchanged += 1;
                } else {
                    report.changed += 1;
                    renamed.push((known.id, line.name));
                }
                continue;
            }
            let parent = by_code.get(&line.parent_code).map(|parent| (parent.id, parent.level));
            let (parent, level) = match parent {
                Some((id, level)) if level + 1 == line.level => (id, line.level),
                None if line.parent_code.is_empty() && line.level == 1 => (0, 1),
                _ => {
                    report.errors.push(complaint(
                        line.line,
                        format!("上级单位“{}”不存在，或不是上一层级。", line.parent_code),
                        format!("The organisation above, \"{}\", does not exist or is not one level up.", line.parent_code),
                    ));
                    continue;
                }
            };
            let organisation = Organisation { id: next, code: line.code.clone(), name: line.name, parent, level };
            next += 1;
            by_code.insert(line.code, organisation.clone());
            added.push(organisation);
        }
        report.added = added.len() as u32;
        if !report.errors.is_empty() || asked.dry_run {
            return Ok(report);
        }
        rows::insert_organisations(&mut tx, &added).await?;
        for (id, name) in &renamed {
            rows::rename_organisation(&mut tx, *id, name).await?;
        }
        let organisations = added.iter().map(|one| one.id).chain(renamed.iter().map(|one| one.0)).collect();
        self.finish(tx, caller.person.id, vec![Kind::OrganisationsChanged(OrganisationsChanged { organisations })]).await?;
        Ok(report)
    }

    async fn import_people(&self, caller: &Caller, asked: ImportRequest) -> Result<ImportReport, Error> {
        let directory = self.directory().snapshot();
        let lines = match parse_people(&asked.csv) {
            Ok(lines) => lines,
            Err(errors) => return Ok(ImportReport { errors, ..ImportReport::default() }),
        };
        let mut tx = self.store.begin().await?;
        rows::lock(&mut tx).await?;
        let (_, mut next) = rows::next_ids(&mut tx).await?;
        // As they are under the lock: who was disabled while this was read stays disabled.
        let standing = rows::people_within(&mut tx).await?;
        let mut report = ImportReport::default();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        let by_code: HashMap<String, u32> = directory.organisations().into_iter().map(|one| (one.code, one.id)).collect();
        for line in lines {
            let Some(organisation) = by_code.get(&line.organisation_code).copied() else {
                let code = &line.organisation_code;
                report.errors.push(complaint(line.line, format!("单位代码 {code} 不存在。"), format!("There is no organisation {code}.")));
                continue;
            };
            let before = standing.get(&line.login);
            let may = may_grant(&directory, &caller.person, organisation, line.roles)
                .and_then(|()| before.map_or(Ok(()), |before| may_grant(&directory, &caller.person, before.organisation, before.roles)));
            if let Err(refusal) = may {
                report.errors.push(complaint(line.line, refusal.message_zh, refusal.message_en));
                continue;
            }
            match before {
                Some(before) => {
                    let after = PersonEntry { name: line.name.into(), organisation, roles: line.roles, ..before.clone() };
                    if after == *before {
                        report.unchanged += 1;
                    } else {
                        changed.push(after);
                    }
                }
                None => {
                    added.push(NewPerson {
                        id: next,
                        login: line.login,
                        name: line.name,
                        organisation,
                        roles: line.roles,
                        password: None,
                        demo: false,
                    });
                    next += 1;
                }
            }
        }
        (report.added, report.changed) = (added.len() as u32, changed.len() as u32);
        if !report.errors.is_empty() || asked.dry_run {
            return Ok(report);
        }
        let now_ms = tx.now_ms().await?;
        rows::insert_people(&mut tx, &added, now_ms).await?;
        rows::update_people(&mut tx, &changed).await?;
        let ids: Vec<u32> = added.iter().map(|one| one.id).chain(changed.iter().map(|one| one.id)).collect();
        self.finish(tx, caller.person.id, people_changed(&ids, "imported")).await?;
        Ok(report)
    }
}

#[tonic::async_trait]
impl DirectoryService for DirectoryApi {
    async fn get_me(&self, request: Request<GetMeRequest>) -> Result<Response<Me>, Status> {
        let answer = async {
            let (caller, directory) = self.caller(&request).await?;
            let path = directory.path(caller.person.organisation);
            let organisations = path.iter().filter_map(|id| directory.organisation(*id).cloned()).collect();
            let login = rows::login_of(&self.store, caller.person.id).await?.unwrap_or_default();
            Ok(Me { person: Some(told(&caller.person, login)), session: caller.session.to_string(), organisations })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("telling people who they are"))
    }

    async fn get_people(&self, request: Request<GetPeopleRequest>) -> Result<Response<GetPeopleResponse>, Status> {
        let answer = async {
            let screen = match displays::link_of(request.metadata()) {
                Some(link) => Some(self.displays.screen(link).await?),
                None => self.caller(&request).await.map(|_| None)?,
            };
            let directory = self.directory().snapshot();
            let ids = &request.get_ref().ids;
            if ids.len() > limits::PEOPLE_IDS {
                return Err(Refusal::of(RefusalCode::TooLarge).field("ids").into());
            }
            let people = match screen {
                // The names to what it shows, and not the directory.
                Some(screen) => {
                    let spoke = displays::rows::spoke(&self.store, screen.head.conversation, ids).await?;
                    spoke.iter().filter_map(|id| directory.person(*id)).map(|person| shown(person)).collect()
                }
                None => ids.iter().filter_map(|id| directory.person(*id)).map(|person| told(person, String::new())).collect(),
            };
            Ok(GetPeopleResponse { people })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("naming people"))
    }

    async fn search_people(&self, request: Request<SearchPeopleRequest>) -> Result<Response<GetPeopleResponse>, Status> {
        let answer = async {
            let (_, directory) = self.caller(&request).await?;
            let asked = request.get_ref();
            let text = asked.text.trim();
            if text.chars().count() > 64 {
                return Err(invalid("text").into());
            }
            let limit = if asked.limit == 0 { 20 } else { asked.limit.min(100) };
            let found = directory.search(text, asked.organisation, limit as usize);
            Ok(GetPeopleResponse { people: found.iter().map(|person| told(person, String::new())).collect() })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("searching for people"))
    }

    async fn list_organisations(&self, request: Request<ListOrganisationsRequest>) -> Result<Response<ListOrganisationsResponse>, Status> {
        let answer = async {
            match displays::link_of(request.metadata()) {
                Some(link) => drop(self.displays.screen(link).await?),
                None => drop(self.caller(&request).await?),
            }
            let directory = self.directory().snapshot();
            Ok(ListOrganisationsResponse { organisations: directory.organisations() })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("listing organisations"))
    }

    async fn create_organisation(&self, request: Request<CreateOrganisationRequest>) -> Result<Response<Organisation>, Status> {
        let answer = async {
            let (caller, _) = self.caller(&request).await?;
            self.create_organisation(&caller, request.into_inner()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("making an organisation"))
    }

    async fn create_person(&self, request: Request<CreatePersonRequest>) -> Result<Response<Person>, Status> {
        let answer = async {
            let (caller, _) = self.caller(&request).await?;
            self.create_person(&caller, request.into_inner()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("adding a person"))
    }

    async fn update_person(&self, request: Request<UpdatePersonRequest>) -> Result<Response<Person>, Status> {
        let answer = async {
            let (caller, _) = self.caller(&request).await?;
            self.update_person(&caller, request.into_inner()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("changing a person"))
    }

    async fn import_organisations(&self, request: Request<ImportRequest>) -> Result<Response<ImportReport>, Status> {
        let answer = async {
            let (caller, _) = self.caller(&request).await?;
            self.import_organisations(&caller, request.into_inner()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("importing organisations"))
    }

    async fn import_people(&self, request: Request<ImportRequest>) -> Result<Response<ImportReport>, Status> {
        let answer = async {
            let (caller, _) = self.caller(&request).await?;
            self.import_people(&caller, request.into_inner()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("importing people"))
    }

    async fn create_sign_in_link(&self, request: Request<CreateSignInLinkRequest>) -> Result<Response<SignInLink>, Status> {
        let answer = async {
            let (caller, directory) = self.caller(&request).await?;
            let person = directory.person(request.get_ref().person).ok_or(RefusalCode::NotFound)?;
            may_grant(&directory, &caller.person, person.organisation, person.roles)?;
            self.accounts.create_link(caller.person.id, person.id, clock::now_ms()).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("making a sign-in link"))
    }
}
