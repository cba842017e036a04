//! The whole service in the test's process, over a real Redis, and clients of it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use backbone::{Backbone, MemoryBackbone, RedisBackbone, RedisOptions};
use bytes::Bytes;
use chat_core::{ChatCore, seed};
use clock::Clock;
use futures::{SinkExt as _, StreamExt as _};
use gateway::{ChatCores, Gateway, Placement, Upstream};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use presence::Presence;
use proto::{
    Subprotocol,
    v1::{ClientFrame, Position, ServerFrame, SignIn, Subscribe, Welcome, client_frame, server_frame, sign_in::Credential},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

pub const SOON: Duration = Duration::from_secs(10);
/// What the service promises for rights and sessions.
pub const A_SECOND: Duration = Duration::from_secs(1);

/// All roles, with the demonstration.
pub struct Service {
    pub address: SocketAddr,
    pub core: ChatCore,
    pub gateway: Gateway,
    /// The consultation that is open.
    pub open: String,
    _folder: tempfile::TempDir,
}

impl Service {
    pub async fn start() -> Self {
        Self::start_over(Arc::new(MemoryBackbone::new(4_096))).await
    }

    pub async fn start_over_redis(redis: &testkit::Redis) -> Self {
        let options = RedisOptions { url: redis.url(), ..RedisOptions::default() };
        Self::start_over(Arc::new(RedisBackbone::connect(options).unwrap())).await
    }

    pub async fn start_over(backbone: Arc<dyn Backbone>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = chat_core::Options::default();
        options.store.url = format!("sqlite:{}/yitang.db", folder.path().display());
        let core = ChatCore::start(options, backbone.clone(), clock::Clock::default()).await.unwrap();
        let open = seed::seed_demo(&core).await.unwrap().open;
        let presence = Presence::start(presence::Options::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut options = gateway::Options::default();
        options.edge.public_url = format!("http://{address}");
        let cores = ChatCores::new(options.upstream.clone(), vec![Upstream::local(core.routes(""))]);
        let presences = vec![Upstream::local(presence.routes())];
        let gateway = Gateway::start(Placement::OwnThreads, options, Clock::default(), cores, presences, backbone).await.unwrap();
        let serving = gateway.clone();
        tokio::spawn(async move { serving.serve(listener).await.unwrap() });
        let this = Self { address, core, gateway, open, _folder: folder };
        testkit::eventually(SOON, "the gateway is ready", || async { this.gateway.ready().then_some(()) }).await;
        this
    }

    /// One request; status and body.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        http(self.address, method, path, headers, body).await
    }

    /// Signs in as somebody of the demonstration; the session's token.
    pub async fn sign_in(&self, login: &str) -> String {
        sign_in(self.address, login).await
    }

    pub async fn ticket(&self, token: &str) -> String {
        ticket(self.address, token).await
    }

    /// A socket that has signed in.
    pub async fn socket(&self, token: &str) -> Socket {
        Socket::signed_in(self.address, Subprotocol::Proto, token).await
    }

    /// A gRPC request's metadata with the session of this token.
    pub fn with_token<T>(token: &str, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        request
    }

    pub async fn channel(&self) -> tonic::transport::Channel {
        tonic::transport::Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }
}

/// One request to a gateway; status and body.
pub async fn http(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let client: HttpClient<_, Full<Bytes>> = HttpClient::builder(TokioExecutor::new()).build_http();
    let mut request = http::Request::builder().method(method).uri(format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-type", "application/json").body(Full::from(body.to_owned())).unwrap();
    let answer = client.request(request).await.unwrap();
    let status = answer.status().as_u16();
    (status, String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned())
}

/// Signs in as somebody of the demonstration; the session's token.
pub async fn sign_in(address: SocketAddr, login: &str) -> String {
    let body = format!(r#"{{"login":"{login}","password":"{}","token":true}}"#, seed::PASSWORD);
    let (status, answer) = http(address, "POST", "/api/v1/sign-in", &[], &body).await;
    assert_eq!(status, 200, "{answer}");
    field(&answer, "token")
}

pub async fn ticket(address: SocketAddr, token: &str) -> String {
    let (status, answer) = http(address, "POST", "/api/v1/ticket", &[("authorization", &format!("Bearer {token}"))], "").await;
    assert_eq!(status, 200, "{answer}");
    field(&answer, "ticket")
}

/// A string in flat JSON.
pub fn field(json: &str, name: &str) -> String {
    let after = json.split(&format!("\"{name}\":\"")).nth(1).unwrap_or_else(|| panic!("no {name} in {json}"));
    after.split('"').next().unwrap().to_owned()
}

/// A client's socket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    subprotocol: Subprotocol,
    id: u32,
    pub welcome: Option<Welcome>,
}

impl Socket {
    pub async fn connect(address: SocketAddr, subprotocol: Subprotocol, origin: Option<&str>) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", subprotocol.name().parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await.map_err(|error| error.to_string())?;
        Ok(Self { stream, subprotocol, id: 0, welcome: None })
    }

    /// Signed in with the session of this token.
    pub async fn signed_in(address: SocketAddr, subprotocol: Subprotocol, token: &str) -> Self {
        let ticket = ticket(address, token).await;
        let mut socket = Self::connect(address, subprotocol, None).await.unwrap();
        socket.sign_in(Credential::Ticket(ticket)).await;
        socket
    }

    pub async fn send(&mut self, frame: client_frame::Frame) -> u32 {
        self.id += 1;
        let encoded = self.subprotocol.encode_client(&ClientFrame { id: self.id, frame: Some(frame) });
        let message = match self.subprotocol {
            Subprotocol::Proto => Message::Binary(encoded),
            Subprotocol::Json => Message::text(String::from_utf8(encoded.to_vec()).unwrap()),
        };
        self.stream.send(message).await.unwrap();
        self.id
    }

    /// The next frame, or how it was closed.
    pub async fn next(&mut self) -> Result<ServerFrame, Option<CloseFrame>> {
        loop {
            let message = tokio::time::timeout(SOON, self.stream.next()).await.expect("something in time");
            match message {
                Some(Ok(Message::Binary(bytes))) => return Ok(self.subprotocol.decode_server(&bytes).unwrap()),
                Some(Ok(Message::Text(text))) => return Ok(self.subprotocol.decode_server(text.as_bytes()).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    pub async fn sign_in(&mut self, credential: Credential) {
        let asked = SignIn { credential: Some(credential), client: "test".into(), contract: proto::limits::CONTRACT, ..SignIn::default() };
        self.send(client_frame::Frame::SignIn(asked)).await;
        match self.next().await.expect("an answer").frame {
            Some(server_frame::Frame::Welcome(welcome)) => self.welcome = Some(welcome),
            other => panic!("instead of Welcome: {other:?}"),
        }
    }

    /// The first frame that fits; others are dropped.
    pub async fn until<T>(&mut self, what: &str, mut fits: impl FnMut(&ServerFrame) -> Option<T>) -> T {
        let looked = async {
            loop {
                let frame = self.next().await.unwrap_or_else(|close| panic!("closed ({close:?}) before {what}"));
                if let Some(found) = fits(&frame) {
                    return found;
                }
            }
        };
        tokio::time::timeout(SOON, looked).await.unwrap_or_else(|_| panic!("not in time: {what}"))
    }

    /// The answer to a frame.
    pub async fn answer(&mut self, frame: client_frame::Frame) -> server_frame::Frame {
        let id = self.send(frame).await;
        self.until("the answer", |frame| (frame.re == id).then(|| frame.frame.clone().unwrap())).await
    }

    pub async fn subscribe(&mut self, conversation: &str, after: Option<Position>) -> proto::v1::Subscribed {
        let asked = Subscribe { conversation: conversation.to_owned(), after, tail: 50 };
        match self.answer(client_frame::Frame::Subscribe(asked)).await {
            server_frame::Frame::Subscribed(subscribed) => subscribed,
            other => panic!("instead of Subscribed: {other:?}"),
        }
    }

    /// Reads until it is closed; with which code.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Err(close) = self.next().await {
                return close.map(|close| close.code.into());
            }
        }
    }
}
