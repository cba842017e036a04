//! A chat-core as a whole.

use std::{sync::Arc, time::Duration};

use backbone::Backbone;
use proto::{
    internal::v1::edge_service_server::EdgeServiceServer,
    metadata,
    v1::{
        Refusal, RefusalCode, SignInLink, account_service_server::AccountServiceServer,
        consultation_service_server::ConsultationServiceServer, conversation_service_server::ConversationServiceServer,
        directory_service_server::DirectoryServiceServer,
    },
};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Status, service::Routes};

use crate::{
    Options,
    accounts::{AccountApi, Accounts},
    consultations::{ConsultationApi, Consultations},
    control::Control,
    conversations::{ConversationApi, Conversations},
    directory::{Directory, DirectoryApi},
    displays::Displays,
    edge::EdgeApi,
    fault::{Error, Fault},
    log::{Gatekeeper, Log},
    rights::Rights,
    store::Store,
};

/// Messages from other roles at most, bytes: an import of 100,000 people.
const MESSAGE_BYTES: usize = 16 << 20;

/// One running chat-core.
pub struct ChatCore {
    store: Store,
    accounts: Arc<Accounts>,
    conversations: Arc<Conversations>,
    consultations: Arc<Consultations>,
    displays: Arc<Displays>,
    control: Arc<Control>,
    followers: Arc<Semaphore>,
    first_organisation: String,
    tracker: TaskTracker,
    draining: CancellationToken,
    stop: CancellationToken,
}

impl ChatCore {
    /// Opens the database, brings it to this executable's version, and starts everything but the serving.
    ///
    /// # Errors
    /// When the settings cannot be used, or the database cannot be reached.
    pub async fn start(options: Options, backbone: Arc<dyn Backbone>) -> Result<Self, Fault> {
        // In boxes: they are long, and over once it runs.
        let store = Box::pin(Store::open(&options.store)).await?;
        Box::pin(store.migrate()).await?;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let control = Box::pin(Control::open(&store, &stop)).await?;
        let directory = Box::pin(Directory::open(&store, &control, &tracker, &stop)).await?;
        let rights = Rights::new(&store, &directory, options.rules_known);
        let gatekeeper: Arc<dyn Gatekeeper> = Arc::new(rights.clone());
        let log = Log::start(&store, &gatekeeper, &backbone, &options.log, &tracker, &stop);
        let sessions_per_link = options.displays.sessions_per_link;
        let accounts = Accounts::start(&store, &control, &directory, options.accounts, sessions_per_link, &tracker, &stop)?;
        let conversations = Arc::new(Conversations { store: store.clone(), log, rights, control: control.clone(), backbone });
        let consultations = Arc::new(Consultations { conversations: conversations.clone(), call_every_s: options.call_every_s });
        let displays = Arc::new(Displays { conversations: conversations.clone(), options: options.displays });
        consultations.keep_schedule(options.schedule_ms, &tracker, &stop);
        tracker.spawn(store.clone().fold_logs(stop.clone()));
        Ok(Self {
            store,
            accounts,
            conversations,
            consultations,
            displays,
            control,
            followers: Arc::new(Semaphore::new(options.log.followers)),
            first_organisation: options.first_organisation,
            tracker,
            draining: CancellationToken::new(),
            stop,
        })
    }

    /// All its services, for callers who show `key` (empty: whoever can reach them, that is this process only).
    #[must_use]
    pub fn routes(&self, key: &str) -> Routes {
        let guard = Guard { key: key.into() };
        let accounts = self.accounts.clone();
        let displays = self.displays.clone();
        let edge = EdgeApi {
            accounts: accounts.clone(),
            consultations: self.consultations.clone(),
            control: self.control.clone(),
            draining: self.draining.clone(),
        };
        let conversations =
            ConversationApi { conversations: self.conversations.clone(), accounts: accounts.clone(), followers: self.followers.clone() };
        let consultations =
            ConsultationApi { consultations: self.consultations.clone(), displays: displays.clone(), accounts: accounts.clone() };
        let directory = DirectoryApi { store: self.store.clone(), control: self.control.clone(), accounts: accounts.clone(), displays };
        macro_rules! guarded {
            ($server:ident, $service:expr) => {
                tonic::service::interceptor::InterceptedService::new(
                    $server::new($service).max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES),
                    guard.clone(),
                )
            };
        }
        Routes::new(guarded!(EdgeServiceServer, edge))
            .add_service(guarded!(ConversationServiceServer, conversations))
            .add_service(guarded!(ConsultationServiceServer, consultations))
            .add_service(guarded!(DirectoryServiceServer, directory))
            .add_service(guarded!(AccountServiceServer, AccountApi(accounts)))
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.store.ping().await
    }

    /// Where there is nobody yet: the one-use link that makes the first operator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_operator_link(&self) -> Result<Option<SignInLink>, Error> {
        self.accounts.first_operator_link(&self.first_organisation).await
    }

    /// Sessions of the first `count` members, without a password: for load tests, by an operator at the machine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mint_sessions(&self, count: usize) -> Result<Vec<String>, Error> {
        self.accounts.mint_sessions(count, "minted").await
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    pub(crate) fn conversations(&self) -> &Arc<Conversations> {
        &self.conversations
    }

    pub(crate) fn consultations(&self) -> &Arc<Consultations> {
        &self.consultations
    }

    /// Gateways' streams of posts end: what has been asked on them is answered, and no more is taken.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Writes what was taken, ends streams, and closes the database.
    pub async fn shutdown(self) {
        self.drain();
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(Duration::from_secs(10), self.tracker.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        let _ = tokio::time::timeout(Duration::from_secs(5), self.store.close()).await;
    }
}

/// Lets in only those who show the roles' shared key.
#[derive(Clone)]
struct Guard {
    key: Arc<str>,
}

impl tonic::service::Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        if !self.key.is_empty() {
            let shown = request.metadata().get(metadata::KEY).map(|value| value.as_bytes()).unwrap_or_default();
            if !bool::from(shown.ct_eq(self.key.as_bytes())) {
                return Err(Refusal::of(RefusalCode::Unauthenticated).into());
            }
        }
        Ok(request)
    }
}
