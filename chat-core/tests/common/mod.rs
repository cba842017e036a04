//! Chat-cores with the demonstration in them, on either database, and clients of their services.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{sync::Arc, time::Duration};

use backbone::{Backbone, MemoryBackbone};
use chat_core::{ChatCore, Options, seed};
use clock::Clock;
use proto::{
    internal::v1::{
        ControlEvent, FollowControlRequest, ReadRequest, Submission, SubmitRequest, SubmitResponse, edge_service_client::EdgeServiceClient,
        submit_verdict::Verdict,
    },
    metadata,
    v1::{
        Comment, ConsultationState, Event, Page, PageRequest, Post, Receipt, Refusal, RefusalCode, SetConsultationStateRequest,
        account_service_client::AccountServiceClient, consultation_service_client::ConsultationServiceClient,
        conversation_service_client::ConversationServiceClient, directory_service_client::DirectoryServiceClient,
        display_service_client::DisplayServiceClient, moderation_service_client::ModerationServiceClient, page_request::Where,
        poll_service_client::PollServiceClient, post::Content,
    },
};
use testkit::Postgres;
use tokio::{net::TcpListener, sync::mpsc};
use tonic::{Request, Status, transport::Channel};
use uuid::Uuid;

/// A database of its own, gone with the test.
pub enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(Postgres, String),
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub fn postgres() -> Self {
        let server = Postgres::start();
        let url = server.create_database();
        Self::Postgres(server, url)
    }

    /// Each of the two.
    pub fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres()]
    }

    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}/yitang.db", folder.path().display()),
            Self::Postgres(_, url) => url.clone(),
        }
    }
}

/// One call with posts, and its answer.
pub async fn submit(edge: &EdgeServiceClient<Channel>, submissions: Vec<Submission>) -> SubmitResponse {
    let mut answers = edge.clone().submit(tokio_stream::once(SubmitRequest { submissions })).await.expect("a stream").into_inner();
    answers.message().await.expect("an answer").expect("one for each call")
}

/// A chat-core behind a port.
pub struct Core {
    pub core: Option<ChatCore>,
    /// The clock of all its parts.
    pub clock: Clock,
    pub edge: EdgeServiceClient<Channel>,
    pub conversations: ConversationServiceClient<Channel>,
    pub consultations: ConsultationServiceClient<Channel>,
    pub directory: DirectoryServiceClient<Channel>,
    pub accounts: AccountServiceClient<Channel>,
    pub displays: DisplayServiceClient<Channel>,
    pub moderation: ModerationServiceClient<Channel>,
    pub polls: PollServiceClient<Channel>,
    server: tokio::task::JoinHandle<()>,
}

impl Core {
    pub async fn start(url: &str) -> Self {
        Self::start_with(url, Arc::new(MemoryBackbone::new(1_024)), |_| {}).await
    }

    pub async fn start_with(url: &str, backbone: Arc<dyn Backbone>, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        options.store.url = url.to_owned();
        options.accounts.argon2_kib = 64;
        options.accounts.argon2_passes = 1;
        change(&mut options);
        let clock = Clock::default();
        let core = ChatCore::start(options, backbone, clock.clone()).await.expect("a chat-core starts");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = core.routes("");
        let server = tokio::spawn(async move {
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming).await.unwrap();
        });
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self {
            core: Some(core),
            clock,
            edge: EdgeServiceClient::new(channel.clone()),
            conversations: ConversationServiceClient::new(channel.clone()),
            consultations: ConsultationServiceClient::new(channel.clone()),
            directory: DirectoryServiceClient::new(channel.clone()),
            accounts: AccountServiceClient::new(channel.clone()),
            displays: DisplayServiceClient::new(channel.clone()),
            moderation: ModerationServiceClient::new(channel.clone()),
            polls: PollServiceClient::new(channel),
            server,
        }
    }

    /// With the demonstration; gives the id of the consultation that is open.
    pub async fn seeded(url: &str) -> (Self, String) {
        let core = Self::start(url).await;
        let seeded = seed::seed_demo(core.core.as_ref().unwrap()).await.expect("the demonstration is made");
        (core, seeded.open)
    }

    pub async fn stop(mut self) {
        self.server.abort();
        if let Some(core) = self.core.take() {
            core.shutdown().await;
        }
    }

    pub async fn submit(&mut self, person: u32, post: Post) -> Result<Receipt, Refusal> {
        self.submit_all(vec![(person, post)]).await.remove(0)
    }

    pub async fn submit_all(&mut self, posts: Vec<(u32, Post)>) -> Vec<Result<Receipt, Refusal>> {
        let submissions = posts.into_iter().map(|(person, post)| Submission { person, session: String::new(), post: Some(post) }).collect();
        let answer = submit(&self.edge, submissions).await;
        answer
            .verdicts
            .into_iter()
            .map(|verdict| match verdict.verdict.expect("a verdict") {
                Verdict::Receipt(receipt) => Ok(receipt),
                Verdict::Refusal(refusal) => Err(refusal),
            })
            .collect()
    }

    /// Of this login, as the directory has it.
    pub async fn person(&mut self, login: &str) -> u32 {
        let request = proto::internal::v1::SignInRequest {
            login: login.to_owned(),
            password: seed::PASSWORD.to_owned(),
            client: "test".to_owned(),
            address: String::new(),
            loopback: true,
        };
        let answer = self.edge.sign_in(request).await.unwrap().into_inner();
        match answer.outcome.unwrap() {
            proto::internal::v1::sign_in_response::Outcome::SignedIn(signed_in) => signed_in.identity.unwrap().person,
            proto::internal::v1::sign_in_response::Outcome::Refusal(refusal) => panic!("{refusal:?}"),
        }
    }
}

impl Core {
    /// A stretch of a log, as gateways read it.
    pub async fn read(&mut self, conversation: &str, place: Where, limit: u32) -> Page {
        let page = PageRequest { conversation: conversation.to_owned(), epoch: 0, r#where: Some(place), limit };
        self.edge.read(ReadRequest { conversation: conversation.to_owned(), page: Some(page), person: 0 }).await.unwrap().into_inner()
    }

    /// The event at a position, as later events left it.
    pub async fn event(&mut self, conversation: &str, seq: u64) -> Event {
        self.read(conversation, Where::After(seq - 1), 1).await.events.remove(0)
    }

    /// Opens, pauses, closes … a consultation.
    pub async fn set_state(&mut self, person: u32, id: &str, state: ConsultationState) {
        let asked = SetConsultationStateRequest { id: id.to_owned(), state: state.into(), reason: String::new() };
        self.consultations.set_consultation_state(by(person, asked)).await.unwrap();
    }

    /// The control log from now on.
    pub async fn follow_control(&mut self) -> mpsc::UnboundedReceiver<ControlEvent> {
        let mut stream = self.edge.follow_control(FollowControlRequest::default()).await.unwrap().into_inner();
        stream.message().await.unwrap().expect("where it stands");
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(batch)) = stream.message().await {
                for event in batch.events {
                    let _ = sender.send(event);
                }
            }
        });
        receiver
    }
}

/// Why a call was refused.
pub fn code(status: Status) -> RefusalCode {
    Refusal::from_status(&status).code()
}

/// A request as the edge sends it for a person.
pub fn by<T>(person: u32, message: T) -> Request<T> {
    by_session(person, &Uuid::nil().to_string(), message)
}

pub fn by_session<T>(person: u32, session: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(metadata::PERSON, person.to_string().parse().unwrap());
    request.metadata_mut().insert(metadata::SESSION, session.parse().unwrap());
    request
}

pub fn post(conversation: &str, content: Content) -> Post {
    Post { conversation: conversation.to_owned(), client_id: Uuid::now_v7().to_string(), content: Some(content) }
}

pub fn comment(conversation: &str, text: &str) -> Post {
    post(conversation, Content::Comment(Comment { text: text.to_owned(), ..Comment::default() }))
}

pub fn seq(receipt: &Receipt) -> u64 {
    receipt.position.as_ref().unwrap().seq
}

pub const SOON: Duration = Duration::from_secs(10);
