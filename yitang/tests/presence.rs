//! Who is here, over several gateways, and after a restart of any part.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use backbone::{Backbone, MemoryBackbone};
use chat_core::{ChatCore, seed};
use clock::Clock;
use common::{SOON, Socket};
use gateway::{ChatCores, Gateway, Placement, Upstream};
use presence::Presence;
use proto::{
    Subprotocol,
    v1::{RoomState, server_frame, sign_in::Credential, state},
};
use tokio::net::TcpListener;

/// What the service promises after any restart.
const WHOLE: Duration = Duration::from_secs(3);

/// A role on a runtime of its own: killed, nothing of it goes on.
struct Role {
    address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Role {
    async fn start<F: Future<Output = SocketAddr> + Send + 'static>(role: F) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = runtime.spawn(role).await.unwrap();
        Self { address, runtime: Some(runtime) }
    }

    fn kill(&mut self) {
        self.runtime.take().into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn presence(address: SocketAddr) -> Role {
    Role::start(async move {
        let presence = Presence::start(presence::Options::default());
        let listener = testkit::eventually(SOON, "the port is free", || async { TcpListener::bind(address).await.ok() }).await;
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tonic::transport::Server::builder().add_routes(presence.routes()).serve_with_incoming(incoming).await.unwrap();
        });
        address
    })
    .await
}

async fn gateway(routes: tonic::service::Routes, presence: SocketAddr, backbone: Arc<dyn Backbone>, name: &'static str) -> Role {
    Role::start(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = gateway::Options { name: name.to_owned(), ..gateway::Options::default() };
        options.edge.public_url = format!("http://{address}");
        let cores = ChatCores::new(options.upstream.clone(), vec![Upstream::local(routes)]);
        let presence = Upstream::remote(&format!("http://{presence}"), "", &options.upstream).unwrap();
        let gateway = Gateway::start(Placement::OwnThreads, options, Clock::default(), cores, vec![presence], backbone).await.unwrap();
        let serving = gateway.clone();
        tokio::spawn(async move { serving.serve(listener).await.unwrap() });
        testkit::eventually(SOON, "the gateway is ready", || async { gateway.ready().then_some(()) }).await;
        address
    })
    .await
}

async fn until(socket: &mut Socket, within: Duration, what: &str, fits: impl Fn(&RoomState) -> bool) -> RoomState {
    let looked = socket.until(what, |frame| match &frame.frame {
        Some(server_frame::Frame::State(told)) => match &told.state {
            Some(state::State::Room(room)) if fits(room) => Some(room.clone()),
            _ => None,
        },
        _ => None,
    });
    tokio::time::timeout(within, looked).await.unwrap_or_else(|_| panic!("not within {within:?}: {what}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_counted_once_over_gateways_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let backbone: Arc<dyn Backbone> = Arc::new(MemoryBackbone::new(4_096));
    let mut options = chat_core::Options::default();
    options.store.url = format!("sqlite:{}/yitang.db", folder.path().display());
    let core = ChatCore::start(options, backbone.clone(), clock::Clock::default()).await.unwrap();
    let open = seed::seed_demo(&core).await.unwrap().open;
    let tokens = core.mint_sessions(6).await.unwrap();
    let mut first = presence(([127, 0, 0, 1], 0).into()).await;
    let one = gateway(core.routes(""), first.address, backbone.clone(), "one").await;
    let mut two = gateway(core.routes(""), first.address, backbone.clone(), "two").await;

    let enter = |address: SocketAddr, token: &str| {
        let (token, open) = (token.to_owned(), open.clone());
        async move {
            let ticket = {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                let request = format!(
                    "POST /api/v1/ticket HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                common::field(&answer, "ticket")
            };
            let mut socket = Socket::connect(address, Subprotocol::Proto, None).await.unwrap();
            socket.sign_in(Credential::Ticket(ticket)).await;
            socket.subscribe(&open, None).await;
            socket
        }
    };
    // Four people on five devices: one of them on both gateways.
    let mut viewer = enter(one.address, &tokens[0]).await;
    let mut others = vec![enter(one.address, &tokens[1]).await, enter(two.address, &tokens[1]).await];
    others.push(enter(two.address, &tokens[2]).await);
    others.push(enter(two.address, &tokens[3]).await);
    let four = |room: &RoomState| room.people_here == 4 && room.complete;
    let room = until(&mut viewer, SOON, "four people, not five devices", four).await;
    // Rolled up: the top of the tree holds everybody, whatever county they are of.
    assert_eq!(room.by_organisation.iter().map(|one| one.people).max(), Some(4));

    // Presence dies and comes back: marked incomplete until it knows again, then whole.
    first.kill();
    until(&mut viewer, SOON, "that the count may be too low", |room| !room.complete).await;
    let _again = presence(first.address).await;
    until(&mut viewer, WHOLE + Duration::from_secs(1), "whole again", four).await;

    // A gateway dies with everybody on it: within seconds they are gone.
    two.kill();
    let room = until(&mut viewer, Duration::from_secs(6), "two people are left", |room| room.people_here == 2).await;
    assert!(room.by_organisation.iter().all(|one| one.people <= 2));
    drop(others);
    core.shutdown().await;
}
