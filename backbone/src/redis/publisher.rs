//! Publishing: one connection to each server, over which many publications are under way at once. A server that is away
//! is tried by one caller at a time; all others are refused at once, so that it holds up nobody.

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
    room: Semaphore,
}

/// How a publication ended that did not succeed.
pub enum Failed {
    /// Another server serves the channel: `host:port`, where that was said.
    Moved(Option<String>),
    /// What else.
    For(PublishError),
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
    /// Since the last failure: when it is tried again, and how long it was waited for.
    away: Option<(Instant, Duration)>,
}

impl Publishers {
    /// None is connected to before something is published.
    pub fn new(options: RedisOptions) -> Self {
        Self { room: Semaphore::new(options.publishes_at_once.max(1)), servers: Mutex::default(), options }
    }

    /// A place among those under way, or a refusal at once.
    ///
    /// # Errors
    /// When too many are.
    pub fn enter(&self) -> Result<tokio::sync::SemaphorePermit<'_>, PublishError> {
        self.room.try_acquire().map_err(|_| PublishError::Unavailable("too much is being published".to_owned()))
    }

    /// Lets go of servers that serve nothing any more.
    pub fn keep(&self, topology: &Topology) {
        self.servers.lock().retain(|url, _| topology.nodes.iter().any(|node| node.url == *url));
    }

    /// Publishes at one server, within the time for one answer.
    ///
    /// # Errors
    /// When it was not taken, or that is not known.
    pub async fn publish(&self, url: &str, word: &str, channel: &str, payload: &Bytes) -> Result<(), Failed> {
        let server = self.servers.lock().entry(url.to_owned()).or_default().clone();
        let generation = server.state.lock().generation;
        let within = Duration::from_millis(self.options.answer_ms);
        match timeout(within, self.publish_at(&server, url, word, channel, payload)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // It took bytes and said nothing: of this connection nothing more is expected.
                self.failed(&server, generation);
                Err(Failed::For(PublishError::TimedOut(self.options.answer_ms)))
            }
        }
    }

    async fn publish_at(&self, server: &Server, url: &str, word: &str, channel: &str, payload: &Bytes) -> Result<(), Failed> {
        let (generation, mut connection) = self.connection(server, url).await.map_err(Failed::For)?;
        let Err(error) = redis::cmd(word).arg(channel).arg(payload.as_ref()).exec_async(&mut connection).await else {
            let mut state = server.state.lock();
            if state.generation == generation {
                state.away = None;
            }
            return Ok(());
        };
        if let Some((host, _)) = error.redirect_node() {
            // A host without a name is the one that was asked: then nobody knows where.
            return Err(Failed::Moved(Some(host.to_owned()).filter(|host| !host.starts_with(':'))));
        }
        if error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error() {
            self.failed(server, generation);
        }
        Err(Failed::For(unavailable(&error)))
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
        let away = server.state.lock().away;
        let _turn = match away {
            Some((again, _)) if Instant::now() < again => return Err(refused()),
            Some(_) => server.connecting.try_lock().map_err(|_| refused())?,
            None => server.connecting.lock().await,
        };
        // Others may have come first, and connected, or failed.
        if let Some(ready) = ready() {
            return Ok(ready);
        }
        let (generation, tried) = {
            let state = server.state.lock();
            (state.generation, state.away)
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
                self.failed(server, generation);
                Err(unavailable(&error))
            }
        }
    }

    fn failed(&self, server: &Server, generation: u64) {
        let mut state = server.state.lock();
        if state.generation != generation {
            return;
        }
        let (least, most) = (Duration::from_millis(self.options.retry_min_ms), Duration::from_millis(self.options.retry_max_ms));
        let wait = state.away.map_or(least, |(_, wait)| (wait * 2).min(most));
        state.generation += 1;
        state.connection = None;
        // Jitter: not everybody at once.
        state.away = Some((Instant::now() + wait.mul_f32(0.5 + rand::random::<f32>() / 2.0), wait));
    }
}

fn unavailable(error: &RedisError) -> PublishError {
    PublishError::Unavailable(error.to_string())
}
