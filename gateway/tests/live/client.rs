//! A client of the tests: a real socket, and the history as a client keeps it.

use std::{io::Read as _, net::SocketAddr, time::Duration};

use futures::{SinkExt as _, StreamExt as _};
use prost::Message as _;
use proto::{
    Subprotocol,
    v1::{
        ClientFrame, Comment, Event, Events, Position, Post, Refusal, ServerFrame, SignIn, Subscribe, Subscribed, Welcome, batch::Body,
        client_frame, post, server_frame, sign_in::Credential,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};
use uuid::Uuid;

pub const WITHIN: Duration = Duration::from_secs(10);

/// What a client's socket goes over.
pub trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

pub struct Client {
    pub socket: WebSocketStream<Box<dyn Line>>,
    pub subprotocol: Subprotocol,
    /// What it says that it can do.
    pub capabilities: Vec<i32>,
    /// Batches that came deflated.
    pub deflated: usize,
    next_id: u32,
    /// What came and was not asked for yet.
    kept: Vec<ServerFrame>,
}

impl Client {
    pub async fn connect(address: SocketAddr, subprotocol: Subprotocol, origin: &str) -> Result<Self, tungstenite::Error> {
        let stream = TcpStream::connect(address).await?;
        Self::over(Box::new(stream), address, subprotocol, origin).await
    }

    pub async fn over(
        line: Box<dyn Line>,
        address: SocketAddr,
        subprotocol: Subprotocol,
        origin: &str,
    ) -> Result<Self, tungstenite::Error> {
        let mut request = format!("ws://{address}/ws").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", subprotocol.name().parse().unwrap());
        if !origin.is_empty() {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::client_async(request, line).await?;
        Ok(Self { socket, subprotocol, capabilities: Vec::new(), deflated: 0, next_id: 0, kept: Vec::new() })
    }

    pub async fn send(&mut self, frame: client_frame::Frame) -> u32 {
        self.next_id += 1;
        let id = self.next_id;
        let bytes = self.subprotocol.encode_client(&ClientFrame { id, frame: Some(frame) });
        let message = match self.subprotocol {
            Subprotocol::Proto => Message::Binary(bytes),
            Subprotocol::Json => Message::text(String::from_utf8(bytes.to_vec()).unwrap()),
        };
        self.socket.send(message).await.unwrap();
        id
    }

    /// The next frame; `Err`: the close.
    pub async fn next(&mut self) -> Result<ServerFrame, Option<CloseFrame>> {
        loop {
            match timeout(WITHIN, self.socket.next()).await.expect("nothing came in time") {
                Some(Ok(Message::Binary(bytes))) => return Ok(self.subprotocol.decode_server(&bytes).unwrap()),
                Some(Ok(Message::Text(text))) => return Ok(self.subprotocol.decode_server(text.as_bytes()).unwrap()),
                Some(Ok(Message::Close(close))) => return Err(close),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// The first frame, of those kept and those to come, that `wanted` takes; the others are kept.
    pub async fn wait<T>(&mut self, mut wanted: impl FnMut(&ServerFrame) -> Option<T>) -> T {
        if let Some((at, found)) = self.kept.iter().enumerate().find_map(|(at, frame)| wanted(frame).map(|found| (at, found))) {
            self.kept.remove(at);
            return found;
        }
        loop {
            let frame = self.next().await.expect("closed");
            match wanted(&frame) {
                Some(found) => return found,
                None => self.kept.push(frame),
            }
        }
    }

    /// Reads until the close, and gives its code.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Ok(frame) => self.kept.push(frame),
                Err(close) => return close.map(|close| close.code.into()),
            }
        }
    }

    pub async fn sign_in(&mut self, credential: Credential, resume: Vec<Position>) -> Welcome {
        let sign_in = SignIn {
            credential: Some(credential),
            client: "test".into(),
            capabilities: self.capabilities.clone(),
            resume,
            contract: proto::limits::CONTRACT,
        };
        let id = self.send(client_frame::Frame::SignIn(sign_in)).await;
        self.wait(|frame| match &frame.frame {
            Some(server_frame::Frame::Welcome(welcome)) if frame.re == id => Some(welcome.clone()),
            _ => None,
        })
        .await
    }

    pub async fn subscribe(&mut self, room: Uuid, after: Option<Position>, tail: u32) -> Result<Subscribed, Refusal> {
        let id = self.send(client_frame::Frame::Subscribe(Subscribe { conversation: room.to_string(), after, tail })).await;
        self.answer(id).await
    }

    pub async fn answer(&mut self, id: u32) -> Result<Subscribed, Refusal> {
        self.wait(|frame| match &frame.frame {
            Some(server_frame::Frame::Subscribed(subscribed)) if frame.re == id => Some(Ok(subscribed.clone())),
            Some(server_frame::Frame::Refusal(refusal)) if frame.re == id => Some(Err(refusal.clone())),
            _ => None,
        })
        .await
    }

    pub async fn post(&mut self, room: Uuid, text: &str) -> u32 {
        let content = Some(post::Content::Comment(Comment { text: text.to_owned(), ..Comment::default() }));
        let post = Post { conversation: room.to_string(), client_id: Uuid::now_v7().to_string(), content };
        self.send(client_frame::Frame::Post(post)).await
    }

    /// Live events of a room after `after` until `until` was seen; panics where one is missing, doubled or out of order.
    pub async fn events(&mut self, room: Uuid, after: u64, until: u64) -> Vec<Event> {
        let room = room.to_string();
        let mut events: Vec<Event> = Vec::new();
        while after + (events.len() as u64) < until {
            let batch = self
                .wait(|frame| match &frame.frame {
                    Some(server_frame::Frame::Batch(batch)) if batch.conversation == room => Some(batch.clone()),
                    _ => None,
                })
                .await;
            let body = match batch.body.unwrap() {
                Body::Events(body) => body,
                Body::Deflated(deflated) => {
                    self.deflated += 1;
                    let mut encoded = Vec::new();
                    flate2::read::DeflateDecoder::new(deflated.as_ref()).read_to_end(&mut encoded).unwrap();
                    Events::decode(encoded.as_slice()).unwrap()
                }
            };
            assert_eq!(batch.count as usize, body.events.len());
            for event in body.events {
                assert_eq!(event.seq, after + events.len() as u64 + 1, "each event once, in order, none missing");
                events.push(event);
            }
        }
        events
    }
}
