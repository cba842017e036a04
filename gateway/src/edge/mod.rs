//! HTTP: the API under /api/v1, the upgrade at /ws, the web client's files, gRPC and gRPC-Web forwarded to chat-core.

mod answer;
mod api;
mod assets;
mod client_address;
mod cors;
mod credential;
mod grpc;
mod guarded;
mod options;
mod origin;
mod rate;
mod server;
mod sessions;
mod tls;
mod upgrade;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, middleware, response::Response, routing::any};
use http::Request;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{ChatCores, Fault, hub::Hub};

pub use options::EdgeOptions;
pub(crate) use server::serve;

/// What every request needs.
pub(crate) struct Edge {
    name: String,
    options: EdgeOptions,
    origins: origin::Origins,
    cookie: credential::Cookie,
    proxies: client_address::Proxies,
    pages: assets::PageHeaders,
    sessions: sessions::Sessions,
    grpc: grpc::Grpc,
    tls: Option<tls::Tls>,
    cores: ChatCores,
    hub: Hub,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    follows: Arc<Semaphore>,
    draining: AtomicBool,
    /// Listening ends, connections finish what they are at.
    stop: CancellationToken,
    /// Connections end at once.
    abort: CancellationToken,
    tracker: TaskTracker,
}

impl Edge {
    pub(crate) fn new(name: String, options: EdgeOptions, cores: ChatCores, hub: Hub) -> Result<Arc<Self>, Fault> {
        let origins = origin::Origins::new(&options.public_url, &options.origins)?;
        Ok(Arc::new(Self {
            name,
            cookie: credential::Cookie::new(origins.secure()),
            proxies: client_address::Proxies::new(&options.trusted_proxies)?,
            pages: assets::PageHeaders::new(&origins),
            origins,
            sessions: sessions::Sessions::new(cores.clone(), &options),
            grpc: grpc::Grpc::new()?,
            tls: tls::Tls::new(&options)?,
            cores,
            hub,
            connections: Arc::new(Semaphore::new(options.connections_most)),
            handshakes: Arc::new(Semaphore::new(options.handshakes_most)),
            follows: Arc::new(Semaphore::new(options.follows_most)),
            draining: AtomicBool::new(false),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tracker: TaskTracker::new(),
            options,
        }))
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether a balancer should send new clients here: a chat-core is heard, and nothing is being stopped.
    pub(crate) fn ready(&self) -> bool {
        !self.draining() && self.cores.control().alive(Duration::from_millis(self.options.ready_silence_ms))
    }

    /// Tells the gRPC health service whether this is ready, as long as it lives.
    pub(crate) async fn tell_health(self: Arc<Self>) {
        loop {
            let ready = self.ready();
            let status = if ready { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
            self.grpc.health.set_service_status("", status).await;
            metrics::gauge!("yitang_gateway_ready").set(f64::from(u8::from(ready)));
            let busy = self.options.connections_most.saturating_sub(self.connections.available_permits());
            metrics::gauge!("yitang_gateway_http_connections").set(busy as f64);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
            }
        }
    }

    /// Reads the certificate again when it changes, as long as this listens.
    pub(crate) async fn keep_certificate_fresh(self: Arc<Self>) {
        if let Some(tls) = self.tls.clone() {
            tls.keep_fresh(Duration::from_secs(self.options.tls_look_s.max(1)), self.stop.clone()).await;
        }
    }

    /// Not ready from now on; listening goes on for the notice that was set, so that balancers see it first.
    pub(crate) async fn stop_listening(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.grpc.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        tokio::time::sleep(Duration::from_millis(self.options.drain_notice_ms)).await;
        self.stop.cancel();
    }

    /// Lets requests in flight finish, for the time set.
    pub(crate) async fn finish_requests(&self) {
        self.tracker.close();
        let within = Duration::from_millis(self.options.drain_requests_ms);
        if tokio::time::timeout(within, self.tracker.wait()).await.is_err() {
            tracing::warn!(connections = self.tracker.len(), "connections did not finish in time and are cut");
            self.abort.cancel();
            self.tracker.wait().await;
        }
    }
}

fn router(edge: Arc<Edge>) -> Router {
    Router::new()
        .nest("/api/v1", api::routes())
        .route("/ws", any(socket))
        .fallback(everything_else)
        .layer(middleware::from_fn_with_state(Arc::clone(&edge), cors::allow))
        .with_state(edge)
}

async fn socket(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Response {
    upgrade::upgrade(&edge, request)
}

async fn everything_else(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Response {
    if grpc::is_grpc(request.headers()) {
        return grpc::call(edge, request).await;
    }
    let (parts, _) = request.into_parts();
    assets::serve(&edge.pages, &parts)
}
