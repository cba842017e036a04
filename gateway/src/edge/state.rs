//! The edge as a whole: what every request needs, and how it starts and stops.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clock::Clock;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{assets, client_address, credential, grpc_methods, options::EdgeOptions, origin, sessions, tls};
use crate::{fault::Fault, hub::Hub, upstream::ChatCores};

/// How often the health service learns whether this is ready.
const HEALTH_TICK: Duration = Duration::from_millis(200);

/// What every request needs.
pub(crate) struct Edge {
    pub(super) name: String,
    pub(super) options: EdgeOptions,
    pub(super) origins: origin::Origins,
    pub(super) cookie: credential::Cookie,
    pub(super) proxies: client_address::Proxies,
    pub(super) pages: assets::PageHeaders,
    pub(super) sessions: sessions::Sessions,
    pub(super) grpc: grpc_methods::GrpcMethods,
    pub(super) tls: Option<tls::Tls>,
    pub(super) cores: ChatCores,
    pub(super) hub: Hub,
    pub(super) clock: Clock,
    pub(super) connections: Arc<Semaphore>,
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) follows: Arc<Semaphore>,
    pub(super) draining: AtomicBool,
    /// Listening ends, connections finish what they are at.
    pub(super) stop: CancellationToken,
    /// Connections end at once.
    pub(super) abort: CancellationToken,
    pub(super) tracker: TaskTracker,
}

impl Edge {
    pub(crate) fn new(name: String, options: EdgeOptions, clock: Clock, cores: ChatCores, hub: Hub) -> Result<Arc<Self>, Fault> {
        let origins = origin::Origins::new(&options.public_url, &options.origins)?;
        Ok(Arc::new(Self {
            name,
            cookie: credential::Cookie::new(origins.secure()),
            proxies: client_address::Proxies::new(&options.trusted_proxies)?,
            pages: assets::PageHeaders::new(&origins),
            origins,
            sessions: sessions::Sessions::new(cores.clone(), &options),
            grpc: grpc_methods::GrpcMethods::new()?,
            tls: tls::Tls::new(&options)?,
            cores,
            hub,
            clock,
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

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Whether a balancer should send new clients here: a chat-core is heard, and nothing is being stopped.
    pub(crate) fn ready(&self) -> bool {
        !self.is_draining() && self.cores.control().is_alive(Duration::from_millis(self.options.ready_silence_ms))
    }

    /// Keeps the gRPC health service up to date with whether this is ready, until listening stops.
    pub(crate) async fn report_health(self: Arc<Self>) {
        loop {
            let ready = self.ready();
            let status = if ready { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
            self.grpc.health.set_service_status("", status).await;
            metrics::gauge!("yitang_gateway_ready").set(f64::from(u8::from(ready)));
            let busy = self.options.connections_most.saturating_sub(self.connections.available_permits());
            metrics::gauge!("yitang_gateway_http_connections").set(busy as f64);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(HEALTH_TICK) => {}
            }
        }
    }

    /// Reads the certificate again when it changes, as long as this listens.
    pub(crate) async fn reload_certificate(self: Arc<Self>) {
        if let Some(tls) = self.tls.clone() {
            tls.reload_when_changed(Duration::from_secs(self.options.tls_look_s.max(1)), self.stop.clone()).await;
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
