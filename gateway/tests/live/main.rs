//! A whole gateway over real sockets, with a chat-core of the tests and a backbone that can be cut.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod changes;
mod chaos;
mod client;
mod core;
mod joins;
mod lossy;
mod nodes;
mod presence;
mod rights;
mod rooms;
mod sessions;
mod sockets;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use backbone::Backbone;
use client::Client;
use core::Core;
use gateway::{ChatCores, Gateway, Options, Placement, Upstream};
use lossy::Lossy;
use presence::Presence;
use proto::{
    Subprotocol,
    internal::v1::{edge_service_server::EdgeServiceServer, presence_service_server::PresenceServiceServer},
    v1::{Welcome, sign_in::Credential},
};
use testkit::eventually;
use tokio::net::TcpListener;
use tonic::service::Routes;

/// Everything a test needs.
pub struct Hall {
    pub core: Core,
    pub backbone: Arc<Lossy>,
    pub gateway: Gateway,
    pub address: SocketAddr,
}

impl Hall {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let backbone = Lossy::new();
        let core = Core::new(backbone.clone());
        Self::over(core, backbone, change).await
    }

    /// A further gateway over the same chat-core.
    pub async fn over(core: Core, backbone: Arc<Lossy>, change: impl FnOnce(&mut Options)) -> Self {
        Self::full(core, backbone, None, change).await
    }

    /// The same, with an instance of presence.
    pub async fn full(core: Core, backbone: Arc<Lossy>, presence: Option<Presence>, change: impl FnOnce(&mut Options)) -> Self {
        Self::at(Placement::OwnThreads, core, backbone, presence, change).await
    }

    /// The same, and where its sockets live.
    pub async fn at(
        placement: Placement,
        core: Core,
        backbone: Arc<Lossy>,
        presence: Option<Presence>,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let mut options = Options::default();
        options.edge.drain_notice_ms = 0;
        options.hub.cores = 2;
        options.hub.drain_ms = 300;
        options.tokens.resume_key = "a key that all gateways of this test share".into();
        change(&mut options);
        let routes = Routes::new(EdgeServiceServer::new(core.clone()));
        let cores = ChatCores::new(options.upstream.clone(), vec![Upstream::local(routes)]);
        let presences = presence.map(|presence| Upstream::local(Routes::new(PresenceServiceServer::new(presence))));
        let presences = presences.into_iter().collect();
        let gateway =
            Gateway::start(placement, options, core.clock.clone(), cores, presences, backbone.clone() as Arc<dyn Backbone>).await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", testkit::free_port())).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = gateway.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        let ready = gateway.clone();
        eventually(Duration::from_secs(5), "a gateway that is ready", || async { ready.ready().then_some(()) }).await;
        Self { core, backbone, gateway, address }
    }

    pub async fn connect(&self, subprotocol: Subprotocol) -> Client {
        Client::connect(self.address, subprotocol, "").await.unwrap()
    }

    /// A client that has signed in, in a session named after the person.
    pub async fn signed_in(&self, person: u32, subprotocol: Subprotocol) -> (Client, Welcome) {
        let mut client = self.connect(subprotocol).await;
        let ticket = self.core.ticket(person, &format!("session-{person}"), "");
        let welcome = client.sign_in(Credential::Ticket(ticket), Vec::new()).await;
        (client, welcome)
    }

    pub async fn client(&self, person: u32) -> Client {
        self.signed_in(person, Subprotocol::Proto).await.0
    }
}
