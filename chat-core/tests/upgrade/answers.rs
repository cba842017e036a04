//! What a chat-core answers to everybody whom a fixture knows, as JSON: asked once of the executable that made the database, and
//! asked again of the one that opened it.

use std::collections::BTreeMap;

use proto::{
    internal::v1::{
        CheckSessionsRequest, FollowControlRequest, HeadsRequest, Identity, ReadRequest, Submission, SubmitRequest, WatchAsk, WatchRequest,
        control_event::Kind, edge_service_client::EdgeServiceClient, submit_verdict::Verdict,
    },
    metadata,
    v1::{
        GetConsultationRequest, GetConversationRequest, GetMeRequest, GetPeopleRequest, ListConsultationsRequest, ListConversationsRequest,
        ListDisplayLinksRequest, ListOrganisationsRequest, ListSessionsRequest, PageRequest, Post, Receipt, Refusal, SearchPeopleRequest,
        account_service_client::AccountServiceClient, consultation_service_client::ConsultationServiceClient,
        conversation_service_client::ConversationServiceClient, directory_service_client::DirectoryServiceClient,
        display_service_client::DisplayServiceClient, moderation_service_client::ModerationServiceClient, page_request::Where,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tonic::{Request, Response, Status, transport::Channel};
use uuid::Uuid;

/// The services of one chat-core.
#[derive(Clone)]
pub struct Services {
    pub edge: EdgeServiceClient<Channel>,
    pub conversations: ConversationServiceClient<Channel>,
    pub consultations: ConsultationServiceClient<Channel>,
    pub directory: DirectoryServiceClient<Channel>,
    pub accounts: AccountServiceClient<Channel>,
    pub displays: DisplayServiceClient<Channel>,
    pub moderation: ModerationServiceClient<Channel>,
    /// The roles' shared key; empty where none is asked for.
    pub key: String,
}

/// Whom and what a fixture holds, with the secrets that open it.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Known {
    /// By login: the person's number.
    pub people: BTreeMap<String, u32>,
    /// By login.
    pub passwords: BTreeMap<String, String>,
    /// By the name that the fixture's maker gave it: the conversation's id.
    pub conversations: BTreeMap<String, String>,
    /// Those of them that are consultations.
    pub consultations: Vec<String>,
    /// Tokens of people's sessions.
    pub sessions: Vec<KnownSession>,
    pub screens: Vec<KnownScreen>,
    /// A sign-in link that nobody has used, and whose it is.
    pub link_unused: (String, u32),
    pub link_used: String,
    /// Posts with the receipts that they were answered with.
    pub posts: Vec<KnownPost>,
    /// The epoch of the control log.
    pub control_epoch: u32,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct KnownSession {
    pub person: u32,
    pub token: String,
    pub ended: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct KnownScreen {
    /// The display link.
    pub link: String,
    /// What stands in its address.
    pub secret: String,
    pub consultation: String,
    pub token: String,
    pub ended: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct KnownPost {
    pub person: u32,
    pub post: Post,
    pub receipt: Receipt,
}

/// Fields that say when something was last looked at, or how long it takes until something: they go on by themselves.
const MOVING: [&str; 3] = ["seenMs", "lastSeenMs", "retryAfterMs"];

fn tidy(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(name, _)| !MOVING.contains(&name.as_str())).map(|(name, value)| (name, tidy(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(tidy).collect(),
        other => other,
    }
}

fn to_json<T: Serialize>(answer: Result<Response<T>, Status>) -> Value {
    match answer {
        Ok(answer) => tidy(serde_json::to_value(answer.into_inner()).unwrap()),
        Err(status) => refused(&Refusal::from_status(&status)),
    }
}

fn refused(refusal: &Refusal) -> Value {
    json!({ "refusal": refusal.code().as_str_name() })
}

impl Services {
    pub fn by<T>(&self, person: u32, message: T) -> Request<T> {
        self.with(message, &[(metadata::PERSON, person.to_string()), (metadata::SESSION, Uuid::nil().to_string())])
    }

    fn by_screen<T>(&self, link: &str, message: T) -> Request<T> {
        self.with(message, &[(metadata::DISPLAY, link.to_owned())])
    }

    pub fn of_gateway<T>(&self, message: T) -> Request<T> {
        self.with(message, &[])
    }

    fn with<T>(&self, message: T, said: &[(&'static str, String)]) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in said.iter().chain([&(metadata::KEY, self.key.clone())]) {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        request
    }

    pub async fn submit(&mut self, person: u32, post: Post) -> Result<Receipt, Refusal> {
        let submission = Submission { person, session: Uuid::nil().to_string(), post: Some(post) };
        let request = self.of_gateway(tokio_stream::once(SubmitRequest { submissions: vec![submission] }));
        let answer = self.edge.submit(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
        match answer.verdicts.into_iter().next().and_then(|verdict| verdict.verdict).unwrap() {
            Verdict::Receipt(receipt) => Ok(receipt),
            Verdict::Refusal(refusal) => Err(refusal),
        }
    }
}

/// Everything that is asked. It changes nothing: posts are sent again that stand already.
pub async fn ask(services: &mut Services, known: &Known) -> BTreeMap<String, Value> {
    let mut answers = BTreeMap::new();
    answers.insert("heads".to_owned(), heads(services, known).await);
    answers.insert("control".to_owned(), control(services, known).await);
    answers.insert("sessions".to_owned(), sessions(services, known).await);
    for (name, id) in &known.conversations {
        answers.insert(format!("pages of {name}"), pages(services, id).await);
    }
    for (login, person) in &known.people {
        answers.insert(format!("{login}'s lists"), lists(services, known, *person).await);
        for (name, id) in &known.conversations {
            let consultation = known.consultations.contains(name);
            answers.insert(format!("{login} in {name}"), rights(services, *person, id, consultation).await);
        }
    }
    for (number, screen) in known.screens.iter().enumerate() {
        answers.insert(format!("screen {number}"), shown(services, known, screen).await);
    }
    for (number, known) in known.posts.iter().enumerate() {
        let answer = services.submit(known.person, known.post.clone()).await;
        let answer = answer.map_or_else(|refusal| refused(&refusal), |receipt| serde_json::to_value(receipt).unwrap());
        answers.insert(format!("post {number} sent again"), answer);
    }
    answers
}

async fn heads(services: &mut Services, known: &Known) -> Value {
    let asked = HeadsRequest { conversations: known.conversations.values().cloned().collect(), ..HeadsRequest::default() };
    let request = services.of_gateway(asked);
    let heads = services.edge.heads(request).await.unwrap().into_inner().heads;
    let heads = heads.into_iter().map(|head| {
        let told = json!({
            "epoch": head.epoch, "seq": head.seq, "mseq": head.mseq, "people_spoke": head.people_spoke, "comments": head.comments,
        });
        (head.conversation, told)
    });
    heads.collect::<serde_json::Map<_, _>>().into()
}

/// Every event of the control log: when, by whom, what.
async fn control(services: &mut Services, known: &Known) -> Value {
    let request = services.of_gateway(FollowControlRequest { after: 0, epoch: known.control_epoch });
    let mut batches = services.edge.follow_control(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    loop {
        let batch = batches.message().await.unwrap().expect("a batch at least every second");
        if batch.events.is_empty() {
            return events.into();
        }
        events.extend(batch.events.into_iter().map(|event| {
            let what = match event.kind {
                Some(Kind::SessionStarted(it)) => json!(["session started", it.session, it.person]),
                Some(Kind::SessionEnded(it)) => json!(["session ended", it.session, it.person]),
                Some(Kind::PeopleChanged(it)) => json!(["people", it.what, it.people]),
                Some(Kind::RulesChanged(it)) => json!(["rules", it.conversation, it.people]),
                Some(Kind::OrganisationsChanged(it)) => json!(["organisations", it.organisations]),
                Some(Kind::MuteChanged(it)) => json!(["mute", it.conversation, it.person, it.until_ms, it.reason]),
                Some(Kind::ConsultationCalled(it)) => json!(["called", it.conversation, it.called_ms]),
                Some(Kind::DisplayLinkCreated(it)) => json!(["link", it.link, it.conversation, it.label, it.expires_ms]),
                Some(Kind::DisplayLinkEnded(it)) => json!(["link ended", it.link, it.conversation]),
                None => Value::Null,
            };
            json!([event.position, event.time_ms, event.by, what])
        }));
    }
}

/// Whose the tokens are, of people and of screens.
async fn sessions(services: &mut Services, known: &Known) -> Value {
    let tokens = known.sessions.iter().map(|session| session.token.clone()).chain(known.screens.iter().map(|screen| screen.token.clone()));
    let request = services.of_gateway(CheckSessionsRequest { tokens: tokens.collect() });
    let checked = services.edge.check_sessions(request).await.unwrap().into_inner().sessions;
    checked.into_iter().map(|checked| checked.identity.map_or(Value::Null, |identity| identity_json(&identity))).collect()
}

fn identity_json(identity: &Identity) -> Value {
    let display = identity.display.as_ref().map(|scope| json!([scope.link, scope.conversation]));
    json!({
        "person": identity.person, "session": identity.session, "path": identity.path, "expires_ms": identity.session_expires_ms,
        "display": display,
    })
}

/// The whole log in pages, and pages of each other kind.
async fn pages(services: &mut Services, id: &str) -> Value {
    let mut whole: Vec<Value> = Vec::new();
    let mut times = Vec::new();
    loop {
        let page = read(services, id, Where::After(times.len() as u64), 200).await;
        times.extend(page.events.iter().map(|event| event.time_ms));
        let complete = page.complete_after;
        whole.push(serde_json::to_value(page).unwrap());
        if complete {
            break;
        }
    }
    let middle = times.len() / 2;
    let mut of = BTreeMap::from([("whole", Value::Array(whole))]);
    let ways = [("newest", Where::Before(0)), ("around", Where::Around(middle as u64 + 1)), ("at a time", Where::AtTimeMs(times[middle]))];
    for (name, place) in ways {
        of.insert(name, serde_json::to_value(read(services, id, place, 5).await).unwrap());
    }
    json!(of)
}

pub async fn read(services: &mut Services, id: &str, place: Where, limit: u32) -> proto::v1::Page {
    let page = PageRequest { conversation: id.to_owned(), epoch: 0, r#where: Some(place), limit };
    let request = services.of_gateway(ReadRequest { conversation: id.to_owned(), page: Some(page), person: 0 });
    services.edge.read(request).await.unwrap().into_inner()
}

async fn lists(services: &mut Services, known: &Known, person: u32) -> Value {
    let everybody: Vec<u32> = known.people.values().copied().collect();
    let me = services.by(person, GetMeRequest {});
    let tree = services.by(person, ListOrganisationsRequest {});
    let people = services.by(person, GetPeopleRequest { ids: everybody });
    let found = services.by(person, SearchPeopleRequest { text: "委员".to_owned(), limit: 5, ..SearchPeopleRequest::default() });
    let conversations = services.by(person, ListConversationsRequest { limit: 200, cursor: String::new() });
    let consultations = services.by(person, ListConsultationsRequest { limit: 100, ..ListConsultationsRequest::default() });
    let managed = services.by(person, ListConsultationsRequest { limit: 100, managed: true, ..ListConsultationsRequest::default() });
    let sessions = services.by(person, ListSessionsRequest {});
    json!({
        "me": to_json(services.directory.get_me(me).await),
        "organisations": to_json(services.directory.list_organisations(tree).await),
        "people": to_json(services.directory.get_people(people).await),
        "found": to_json(services.directory.search_people(found).await),
        "conversations": to_json(services.conversations.list_conversations(conversations).await),
        "consultations": to_json(services.consultations.list_consultations(consultations).await),
        "managed": to_json(services.consultations.list_consultations(managed).await),
        "sessions": to_json(services.accounts.list_sessions(sessions).await),
    })
}

/// What one person may do in one conversation, and what it says to them.
async fn rights(services: &mut Services, person: u32, id: &str, consultation: bool) -> Value {
    let id = id.to_owned();
    let asked = WatchAsk { person, session: Uuid::nil().to_string(), conversation: id.clone(), display: String::new() };
    let asked = services.of_gateway(WatchRequest { asks: vec![asked] });
    let verdict = services.edge.watch(asked).await.unwrap().into_inner().verdicts.remove(0);
    let watch = match &verdict.refusal {
        Some(refusal) => refused(refusal),
        None => json!({
            "kind": verdict.kind, "read_mseq": verdict.read_mseq, "may_post": verdict.may_post, "may_moderate": verdict.may_moderate,
            "post_refusal": verdict.post_refusal.as_ref().map(refused), "valid_until_ms": verdict.valid_until_ms, "people": verdict.people,
        }),
    };
    let get = services.by(person, GetConversationRequest { id: id.clone() });
    let unread = PageRequest { conversation: id.clone(), epoch: 0, r#where: Some(Where::FirstUnread(true)), limit: 3 };
    let unread = services.by(person, unread);
    let mut told = json!({
        "watch": watch,
        "conversation": to_json(services.conversations.get_conversation(get).await),
        "first unread": to_json(services.conversations.get_page(unread).await),
    });
    if consultation {
        let get = services.by(person, GetConsultationRequest { id: id.clone() });
        told["consultation"] = to_json(services.consultations.get_consultation(get).await);
        let links = services.by(person, ListDisplayLinksRequest { id });
        told["display links"] = to_json(services.displays.list_display_links(links).await);
    }
    told
}

/// What a screen is shown.
async fn shown(services: &mut Services, known: &Known, screen: &KnownScreen) -> Value {
    let consultation = services.by_screen(&screen.link, GetConsultationRequest { id: screen.consultation.clone() });
    let people = services.by_screen(&screen.link, GetPeopleRequest { ids: known.people.values().copied().collect() });
    let tree = services.by_screen(&screen.link, ListOrganisationsRequest {});
    // In whatever order they come.
    let mut people = services.directory.get_people(people).await;
    if let Ok(people) = &mut people {
        people.get_mut().people.sort_by_key(|person| person.id);
    }
    json!({
        "consultation": to_json(services.consultations.get_consultation(consultation).await),
        "people": to_json(people),
        "organisations": to_json(services.directory.list_organisations(tree).await),
    })
}
