//! A gateway as a whole.

use std::sync::Arc;

use backbone::Backbone;
use clock::Clock;
use tokio::net::TcpListener;

use crate::{
    edge::{self, Edge},
    fault::Fault,
    hub::{Hub, HubParts, Placement},
    options::Options,
    tokens::ResumeTokens,
    upstream::{ChatCores, Upstream},
};

/// One running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    edge: Arc<Edge>,
    hub: Hub,
}

impl Gateway {
    /// Starts everything but the listening. `cores` and `presences` are the other roles; `clock` is the process's.
    ///
    /// # Errors
    /// When the settings do not make sense, or the system refuses.
    ///
    /// # Panics
    /// With [`Placement::ThisThread`], outside a `LocalSet`.
    pub async fn start(
        placement: Placement,
        mut options: Options,
        clock: Clock,
        cores: ChatCores,
        presences: Vec<Upstream>,
        backbone: Arc<dyn Backbone>,
    ) -> Result<Self, Fault> {
        if options.name.is_empty() {
            options.name = format!("gateway-{:08x}", rand::random::<u32>());
        }
        let tokens = ResumeTokens::new(&options.tokens, cores.clone())?;
        let hub = Hub::start(HubParts {
            name: options.name.clone(),
            placement,
            options: options.hub,
            clock: clock.clone(),
            chat_cores: cores.clone(),
            presences,
            backbone,
            tokens,
        })?;
        let edge = Edge::new(options.name, options.edge, clock, cores, hub.clone())?;
        tokio::spawn(Arc::clone(&edge).report_health());
        tokio::spawn(Arc::clone(&edge).reload_certificate());
        Ok(Self { edge, hub })
    }

    /// Serves a listener until [`Gateway::drain`] is called. May be called for several listeners.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn serve(&self, listener: TcpListener) -> Result<(), Fault> {
        edge::serve(Arc::clone(&self.edge), listener).await
    }

    /// Whether a balancer should send new clients here.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.edge.ready()
    }

    /// Not ready at once; stops listening; finishes what is in flight; closes the sockets spread over the time set.
    pub async fn drain(&self) {
        self.edge.stop_listening().await;
        tokio::join!(self.hub.drain(), self.edge.finish_requests());
    }
}
