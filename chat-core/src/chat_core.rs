//! A chat-core as a whole.

use std::{sync::Arc, time::Duration};

use backbone::Backbone;
use clock::Clock;
use kernel::{
    Context, Error, Fault, Services, Subject, Tasks,
    accounts::Accounts,
    control::Control,
    conversations::Conversations,
    directory::Directory,
    log::{Gatekeeper, Log},
    rights::Rights,
    serve,
    store::Store,
};
use proto::{internal::v1::edge_service_server::EdgeServiceServer, v1::SignInLink};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    edge::EdgeApi,
    subjects::{self, Options},
};

/// How long tasks have to end when it stops, and the database to close.
const TASKS_END_WITHIN: Duration = Duration::from_secs(10);
const STORE_CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// One running chat-core.
pub struct ChatCore {
    context: Context,
    subjects: Vec<Subject>,
    edge: Arc<EdgeApi>,
    first_organisation: String,
    draining: CancellationToken,
}

impl ChatCore {
    /// Opens the database, brings it to this executable's version, and starts everything but the serving.
    ///
    /// # Errors
    /// When the settings cannot be used, or the database cannot be reached.
    pub async fn start(options: Options, backbone: Arc<dyn Backbone>, clock: Clock) -> Result<Self, Fault> {
        // In boxes: they are long, and over once it runs.
        let store = Box::pin(Store::open(&options.store, clock.clone())).await?;
        Box::pin(store.migrate(&subjects::migrations())).await?;
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let control = Box::pin(Control::open(&store, &stop)).await?;
        let directory = Box::pin(Directory::open(&store, &control, &tasks)).await?;
        let rights = Rights::new(&store, &directory, options.rules_known);
        let gatekeeper: Arc<dyn Gatekeeper> = Arc::new(rights.clone());
        let log = Log::start(&store, &gatekeeper, &backbone, &options.log, &tasks, &stop);
        let accounts = Accounts::start(&store, &control, &directory, options.accounts.clone(), &tasks)?;
        let conversations = Arc::new(Conversations::new(&store, &backbone));
        let folding = store.clone();
        tasks.spawn("folding the database's log", |stop| folding.fold_logs(stop));
        let context = Context { store, log, control, rights, directory, accounts, conversations, clock, backbone, tasks };
        let subjects = subjects::start(&context, &options);
        let draining = CancellationToken::new();
        let edge = Arc::new(EdgeApi { context: context.clone(), draining: draining.clone() });
        Ok(Self { context, subjects, edge, first_organisation: options.first_organisation, draining })
    }

    /// All its services, for callers who show `key` (empty: whoever can reach them, that is this process only).
    #[must_use]
    pub fn routes(&self, key: &str) -> Routes {
        let mut services = Services::new(key);
        serve!(services, EdgeServiceServer, self.edge.clone());
        for subject in &self.subjects {
            (subject.serve)(&mut services);
        }
        services.into_routes()
    }

    /// Whether the database answers and every task that must live does.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        if let Some(task) = self.context.tasks.find_dead() {
            return Err(Fault::Stopped(task));
        }
        self.context.store.ping().await
    }

    /// Waits until a task that must live has died; gives its name. The process is then to be started anew.
    pub async fn died(&self) -> &'static str {
        self.context.tasks.died().await
    }

    /// Where there is nobody yet: the one-use link that makes the first operator.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_operator_link(&self) -> Result<Option<SignInLink>, Error> {
        self.context.accounts.first_operator_link(&self.first_organisation).await
    }

    /// Sessions of the first `count` members, without a password: for load tests, by an operator at the machine.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mint_sessions(&self, count: usize) -> Result<Vec<String>, Error> {
        self.context.accounts.mint_sessions(count, "minted").await
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.context.store
    }

    /// The kernel's parts.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Gateways' streams of posts end: what has been asked on them is answered, and no more is taken.
    pub fn drain(&self) {
        self.draining.cancel();
    }

    /// Writes what was taken, ends streams, and closes the database.
    pub async fn shutdown(self) {
        self.drain();
        if !self.context.tasks.shutdown(TASKS_END_WITHIN).await {
            tracing::warn!("some tasks did not end in time");
        }
        let _ = tokio::time::timeout(STORE_CLOSES_WITHIN, self.context.store.close()).await;
    }
}
