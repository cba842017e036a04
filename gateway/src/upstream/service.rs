//! One node of another role, in this process or over the network: the same calls either way.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response};
use tonic::{
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint},
};
use tower::{BoxError, Service};

use super::{cork, options::UpstreamOptions};
use crate::fault::Fault;

/// A node of another role, as a tonic service: give a clone to a generated client. Cheap to clone.
#[derive(Clone)]
pub struct Upstream {
    name: Arc<str>,
    key: Option<HeaderValue>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Local(Routes),
    Remote(Channel),
}

impl Upstream {
    /// A role in this process: its services are called directly, with no network between.
    #[must_use]
    pub fn local(routes: Routes) -> Self {
        Self { name: Arc::from("local"), key: None, kind: Kind::Local(routes.prepare()) }
    }

    /// A role at `uri` (`http://host:port`). Connects when first called, and again whenever the connection broke.
    ///
    /// # Errors
    /// When the URI or the key cannot be used.
    pub fn remote(uri: &str, key: &str, options: &UpstreamOptions) -> Result<Self, Fault> {
        let endpoint = Endpoint::from_shared(uri.to_owned()).map_err(|cause| Fault::Upstream { uri: uri.to_owned(), cause })?;
        let channel = endpoint
            .connect_timeout(Duration::from_millis(options.connect_ms))
            .http2_keep_alive_interval(Duration::from_millis(options.keepalive_ms))
            .keep_alive_timeout(Duration::from_millis(options.keepalive_ms))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(proto::http2::STREAM_WINDOW)
            .initial_connection_window_size(proto::http2::CONNECTION_WINDOW)
            .connect_with_connector_lazy(tower::service_fn(cork::connect));
        Self { name: Arc::from(uri), key: None, kind: Kind::Remote(channel) }.with_key(key)
    }

    /// The same, showing the roles' shared key on every call (empty: none).
    ///
    /// # Errors
    /// When the key is not printable ASCII.
    pub fn with_key(mut self, key: &str) -> Result<Self, Fault> {
        self.key = match key {
            "" => None,
            key => {
                let mut value =
                    HeaderValue::from_str(key).map_err(|_| Fault::Options("the roles' key must be printable ASCII".to_owned()))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(self)
    }

    /// What tells it from its siblings, the same for every gateway: its URI.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it runs in this process.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Local(_))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.name).finish()
    }
}

impl Service<Request<Body>> for Upstream {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.kind {
            Kind::Local(routes) => Service::<Request<Body>>::poll_ready(routes, context).map_err(|never| match never {}),
            Kind::Remote(channel) => channel.poll_ready(context).map_err(Into::into),
        }
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(key) = &self.key {
            request.headers_mut().insert(proto::metadata::KEY, key.clone());
        }
        match &mut self.kind {
            Kind::Local(routes) => {
                let answer = routes.call(request);
                Box::pin(async move { answer.await.map_err(|never| match never {}) })
            }
            Kind::Remote(channel) => {
                let answer = channel.call(request);
                Box::pin(async move { answer.await.map_err(Into::into) })
            }
        }
    }
}
