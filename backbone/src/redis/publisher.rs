//! Publishing: one connection to each server, shared by all publications to it. While a server is away one caller at a time tries to
//! connect; all others are refused at once rather than wait for it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use parking_lot::Mutex;
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    RedisOptions,
    topology::{Topology, client, config},
};
use crate::PublishError;

/// All servers that are published to.
pub struct Publishers {
    options: RedisOptions,
    servers: Mutex<HashMap<String, Arc<Server>>>,
    permits: Semaphore,
}

/// How a publication ended that did not succeed.
pub enum Failed {
    /// Another server serves the channel: `host:port`, where that was said.
    Moved(Option<String>),
    /// Any other failure.
    Error(PublishError),
}

#[derive(Default)]
struct Server {
    state: Mutex<State>,
    /// Held by whoever connects.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    /// Counts connections made and lost, so that one failure is counted once however many were under way.
    generation: u64,
    /// After a failure: the next try, and the wait before it.
    retry: Option<(Instant, Duration)>,
}

impl Publishers {
    /// Connects to nothing: a server is connected to when something is first published there.
    pub fn new(options: RedisOptions) -> Self {
        Self { permits: Semaphore::new(options.publishes_at_once.max(1)), servers: Mutex::default(), options }
    }

    /// A permit to publish, held while the publication is under way.
    ///
    /// # Errors
    /// At once, when `publishes_at_once` are under way.
    pub fn acquire(&self) -> Result<tokio::sync::SemaphorePermit<'_>, PublishError> {
        self.permits.try_acquire().map_err(|_| PublishError::Unavailable("too much is being published".to_owned()))
    }

    /// Drops the connections to servers that are not in the topology.
    pub fn retain(&self, topology: &Topology) {
        self.servers.lock().retain(|url, _| topology.nodes.iter().any(|node| node.url == *url));
    }

    /// Publishes at one server, within the time for one answer.
    ///
    /// # Errors
    /// When it was not accepted, or that is not known.
    pub async fn publish(&self, url: &str, word: &str, channel: &str, payload: &Bytes) -> Result<(), Failed> {
        let server = self.servers.lock().entry(url.to_owned()).or_default().clone();
        let generation = server.state.lock().generation;
        let within = Duration::from_millis(self.options.answer_ms);
        match timeout(within, self.publish_at(&server, url, word, channel, payload)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // It accepted bytes and answered nothing: this connection is not used again.
                self.record_failure(&server, generation);
                Err(Failed::Error(PublishError::TimedOut(self.options.answer_ms)))
            }
        }
    }

    async fn publish_at(&self, server: &Server, url: &str, word: &str, channel: &str, payload: &Bytes) -> Result<(), Failed> {
        let (generation, mut connection) = self.connection(server, url).await.map_err(Failed::Error)?;
        let Err(error) = redis::cmd(word).arg(channel).arg(payload.as_ref()).exec_async(&mut connection).await else {
            let mut state = server.state.lock();
            if state.generation == generation {
                state.retry = None;
            }
            return Ok(());
        };
        if let Some((host, _)) = error.redirect_node() {
            // A redirect without a host names the server that was asked: where the slot is now is not known.
            return Err(Failed::Moved(Some(host.to_owned()).filter(|host| !host.starts_with(':'))));
        }
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() {
            self.record_failure(server, generation);
        }
        Err(Failed::Error(unavailable(&error)))
    }

    async fn connection(&self, server: &Server, url: &str) -> Result<(u64, MultiplexedConnection), PublishError> {
        let refused = || PublishError::Unavailable("the server is away, and being tried again".to_owned());
        let ready = || {
            let state = server.state.lock();
            state.connection.clone().map(|connection| (state.generation, connection))
        };
        if let Some(ready) = ready() {
            return Ok(ready);
        }
        let retry = server.state.lock().retry;
        let _turn = match retry {
            Some((again, _)) if Instant::now() < again => return Err(refused()),
            Some(_) => server.connecting.try_lock().map_err(|_| refused())?,
            None => server.connecting.lock().await,
        };
        // Another caller may have connected, or failed to, while this one waited for its turn.
        if let Some(ready) = ready() {
            return Ok(ready);
        }
        let (generation, tried) = {
            let state = server.state.lock();
            (state.generation, state.retry)
        };
        if tried.is_some_and(|(again, _)| Instant::now() < again) {
            return Err(refused());
        }
        let made = async { client(url)?.get_multiplexed_async_connection_with_config(&config(&self.options)).await }.await;
        match made {
            Ok(connection) => {
                let mut state = server.state.lock();
                state.generation += 1;
                state.connection = Some(connection.clone());
                Ok((state.generation, connection))
            }
            Err(error) => {
                self.record_failure(server, generation);
                Err(unavailable(&error))
            }
        }
    }

    fn record_failure(&self, server: &Server, generation: u64) {
        let mut state = server.state.lock();
        if state.generation != generation {
            return;
        }
        let (least, most) = (Duration::from_millis(self.options.retry_min_ms), Duration::from_millis(self.options.retry_max_ms));
        let wait = state.retry.map_or(least, |(_, wait)| (wait * 2).min(most));
        state.generation += 1;
        state.connection = None;
        // Jitter, for all roles lose a server at the same time.
        state.retry = Some((Instant::now() + wait.mul_f32(0.5 + rand::random::<f32>() / 2.0), wait));
    }
}

fn unavailable(error: &RedisError) -> PublishError {
    PublishError::Unavailable(error.to_string())
}
