//! One socket, from the upgrade to Welcome.

use std::time::Duration;

use anyhow::Context as _;
use futures::{SinkExt as _, StreamExt as _};
use proto::{
    Subprotocol,
    v1::{ClientFrame, Position, ServerFrame, SignIn, Welcome, client_frame, server_frame, sign_in::Credential},
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _, protocol::WebSocketConfig},
};

const PROTOCOL: Subprotocol = Subprotocol::Proto;

/// A signed-in socket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    next_id: u32,
}

/// What came of waiting for the next frame.
pub enum Incoming {
    /// A frame.
    Frame(Box<ServerFrame>),
    /// The line broke or was closed; the close code, if there was one.
    Closed(Option<u16>),
}

impl Socket {
    /// Connects and signs in, asking to resume at `resume`.
    ///
    /// # Errors
    /// When the gateway cannot be reached, refuses, or does not answer within 10 s.
    pub async fn open(target: &str, credential: Credential, resume: Vec<Position>) -> anyhow::Result<(Self, Welcome)> {
        tokio::time::timeout(Duration::from_secs(10), Self::open_now(target, credential, resume)).await.context("no Welcome in 10 s")?
    }

    async fn open_now(target: &str, credential: Credential, resume: Vec<Position>) -> anyhow::Result<(Self, Welcome)> {
        let authority = target.strip_prefix("http://").context("targets are http://host:port")?;
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{authority}/ws").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", http::HeaderValue::from_static(PROTOCOL.name()));
        let config = WebSocketConfig::default().read_buffer_size(8 * 1024).write_buffer_size(0).max_write_buffer_size(1 << 20);
        let (stream, _) = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        let mut socket = Self { stream, next_id: 1 };
        let sign_in = SignIn {
            credential: Some(credential),
            client: "loadtest".into(),
            capabilities: vec![],
            resume,
            contract: proto::limits::CONTRACT,
        };
        socket.send(client_frame::Frame::SignIn(sign_in)).await?;
        match socket.next().await {
            Incoming::Frame(frame) => match frame.frame {
                Some(server_frame::Frame::Welcome(welcome)) => Ok((socket, welcome)),
                other => anyhow::bail!("instead of Welcome: {other:?}"),
            },
            Incoming::Closed(code) => anyhow::bail!("closed before Welcome ({code:?})"),
        }
    }

    /// Sends one frame; its id.
    ///
    /// # Errors
    /// When the line broke.
    pub async fn send(&mut self, frame: client_frame::Frame) -> anyhow::Result<u32> {
        let id = self.next_id;
        self.next_id += 1;
        let encoded = PROTOCOL.encode_client(&ClientFrame { id, frame: Some(frame) });
        self.stream.send(Message::Binary(encoded)).await?;
        Ok(id)
    }

    /// The next frame. Cancel-safe.
    pub async fn next(&mut self) -> Incoming {
        loop {
            match self.stream.next().await {
                Some(Ok(Message::Binary(message))) => match PROTOCOL.decode_server(&message) {
                    Ok(frame) => return Incoming::Frame(Box::new(frame)),
                    Err(error) => {
                        tracing::error!(error, "the server sent what cannot be decoded");
                        return Incoming::Closed(None);
                    }
                },
                Some(Ok(Message::Close(close))) => return Incoming::Closed(close.map(|close| close.code.into())),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "the connection broke");
                    return Incoming::Closed(None);
                }
                None => return Incoming::Closed(None),
            }
        }
    }
}
