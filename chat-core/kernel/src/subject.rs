//! What a subject hands to the composition.

use std::{convert::Infallible, sync::Arc};

use proto::{
    metadata,
    v1::{Refusal, RefusalCode},
};
use subtle::ConstantTimeEq as _;
use tonic::{
    Request, Status,
    body::Body,
    server::NamedService,
    service::{Routes, RoutesBuilder, interceptor::InterceptedService},
};

use crate::store::Migrations;

/// Messages from other roles at most, bytes: an import of 100,000 people.
pub const MESSAGE_BYTES: usize = 16 << 20;

/// One subject of the house: what it serves, and its tables. Its background tasks are running when it is handed over
/// ([`crate::Tasks`]); its settings are part of the composition's options.
pub struct Subject {
    /// As in the contract's `Change.subject`.
    pub name: &'static str,
    /// Its tables beyond the kernel's.
    pub migrations: Option<Migrations>,
    /// Adds its services.
    pub serve: Box<dyn Fn(&mut Services) + Send + Sync>,
}

impl Subject {
    /// A subject without tables of its own.
    pub fn new(name: &'static str, serve: impl Fn(&mut Services) + Send + Sync + 'static) -> Self {
        Self { name, migrations: None, serve: Box::new(serve) }
    }
}

/// Services under one guard.
pub struct Services {
    routes: RoutesBuilder,
    guard: Guard,
}

impl Services {
    /// For callers who show `key` (empty: whoever can reach them, that is this process only).
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self { routes: RoutesBuilder::default(), guard: Guard { key: key.into() } }
    }

    /// Adds one. [`crate::serve!`] does, with the bounds of messages.
    pub fn add<S>(&mut self, service: S)
    where
        S: tower_service::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.routes.add_service(InterceptedService::new(service, self.guard.clone()));
    }

    /// All of them.
    #[must_use]
    pub fn into_routes(self) -> Routes {
        self.routes.routes()
    }
}

/// Adds a generated server over a shared implementation to [`Services`], with the bounds of messages.
#[macro_export]
macro_rules! serve {
    ($services:expr, $server:ident, $service:expr) => {
        $services.add(
            $server::from_arc($service).max_decoding_message_size($crate::MESSAGE_BYTES).max_encoding_message_size($crate::MESSAGE_BYTES),
        )
    };
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
