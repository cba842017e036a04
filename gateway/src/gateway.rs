//! A gateway as a whole.

use std::sync::Arc;

use backbone::Backbone;
use tokio::net::TcpListener;

use crate::{ChatCores, Fault, Options, ResumeTokens, Upstream, hub::Hub};

/// One running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    hub: Hub,
}

impl Gateway {
    /// Starts everything but the listening.
    ///
    /// # Errors
    /// When the settings do not make sense, or the system refuses.
    pub async fn start(options: Options, cores: ChatCores, presences: Vec<Upstream>, backbone: Arc<dyn Backbone>) -> Result<Self, Fault> {
        let tokens = ResumeTokens::new(&options.tokens, cores.clone())?;
        let hub = Hub::start(&options.name, cores, presences, backbone, tokens)?;
        Ok(Self { hub })
    }

    /// Serves a listener until [`Gateway::drain`] is called and its connections are gone.
    ///
    /// # Errors
    /// When the listener itself fails.
    pub async fn serve(&self, _listener: TcpListener) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether a balancer should send new clients here.
    #[must_use]
    pub fn ready(&self) -> bool {
        false
    }

    /// Not ready at once; stops accepting; finishes what is in flight; closes the sockets spread over the time set.
    pub async fn drain(&self) {
        self.hub.drain().await;
    }
}
