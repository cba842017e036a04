//! The upgrade to a socket, by hand: what is validated is exactly what RFC 6455 asks, and nothing is read twice.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header, request::Parts};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto};
use proto::{
    Subprotocol,
    v1::{Refusal, RefusalCode},
};
use tokio::{net::TcpStream, sync::OwnedSemaphorePermit, time::timeout};
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{answer::Refused, connection::Connection, origin::Origins, state::Edge};
use crate::{hub::Hub, session::Accepted, socket::Stream};

/// Longest offer of subprotocols that is looked at, bytes.
const OFFER_MOST: usize = 256;

/// What an upgrade request asks for, once it is found good.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Handshake {
    subprotocol: Subprotocol,
    accept: String,
    origin: Option<String>,
}

/// Why not, and with which status.
#[derive(Debug)]
struct Rejected {
    status: StatusCode,
    refusal: Refusal,
}

impl Rejected {
    fn malformed(what: &str) -> Self {
        let refusal = Refusal::of(RefusalCode::Malformed)
            .words(format!("升级请求有误：{what}"), format!("Not a good upgrade request: {what}."))
            .field(what);
        Self { status: StatusCode::BAD_REQUEST, refusal }
    }

    fn with(status: StatusCode, code: RefusalCode) -> Self {
        Self { status, refusal: Refusal::of(code) }
    }
}

/// Validates an upgrade request. A request with a body, or one that only looks like an upgrade to a proxy, would let what
/// follows it be handover for something else.
fn validate(parts: &Parts, origins: &Origins) -> Result<Handshake, Rejected> {
    if parts.method != Method::GET {
        return Err(Rejected::with(StatusCode::METHOD_NOT_ALLOWED, RefusalCode::Unsupported));
    }
    if parts.version != Version::HTTP_11 {
        return Err(Rejected::with(StatusCode::HTTP_VERSION_NOT_SUPPORTED, RefusalCode::Unsupported));
    }
    let headers = &parts.headers;
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Rejected::malformed("transfer-encoding"));
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length != "0") {
        return Err(Rejected::malformed("content-length"));
    }
    if !read_only(headers, &header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err(Rejected { status: StatusCode::UPGRADE_REQUIRED, ..Rejected::malformed("upgrade") });
    }
    if !list_tokens(headers, &header::CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return Err(Rejected::malformed("connection"));
    }
    if read_only(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(Rejected { status: StatusCode::UPGRADE_REQUIRED, ..Rejected::malformed("sec-websocket-version") });
    }
    let key = read_only(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))
        .ok_or_else(|| Rejected::malformed("sec-websocket-key"))?;
    let origin = origins.check(headers).map_err(|refusal| Rejected { status: StatusCode::FORBIDDEN, refusal })?;
    let subprotocol = list_tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL)
        .find_map(Subprotocol::choose)
        .ok_or_else(|| Rejected::malformed("sec-websocket-protocol"))?;
    Ok(Handshake { subprotocol, accept: derive_accept_key(key.as_bytes()), origin: origin.map(str::to_owned) })
}

/// The value of a header that must be there once.
fn read_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

fn list_tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| value.len() <= OFFER_MOST)
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// Answers an upgrade request, and hands the connection over to the hub once the answer is out.
pub(super) fn upgrade(edge: &Edge, request: Request<Body>) -> Response {
    let (mut parts, _) = request.into_parts();
    let (handshake, permit) = match admit(edge, &parts) {
        Ok(admitted) => admitted,
        Err(rejected) => return reject(rejected),
    };
    let (Some(on_upgrade), Some(connection)) = (parts.extensions.remove::<OnUpgrade>(), parts.extensions.get::<Connection>().cloned())
    else {
        return reject(Rejected::with(StatusCode::INTERNAL_SERVER_ERROR, RefusalCode::Internal));
    };
    let client = edge.proxies.find_client(connection.peer, &parts.headers);
    let handover = Handover {
        subprotocol: handshake.subprotocol,
        origin: handshake.origin,
        peer: SocketAddr::new(client.address, connection.peer.port()),
        connection,
    };
    tokio::spawn(take_over(edge.hub.clone(), on_upgrade, handover, permit, Duration::from_millis(edge.options.head_ms)));

    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(handshake.subprotocol.name()));
    if let Ok(accept) = HeaderValue::try_from(handshake.accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

fn admit(edge: &Edge, parts: &Parts) -> Result<(Handshake, OwnedSemaphorePermit), Rejected> {
    let handshake = validate(parts, &edge.origins)?;
    if edge.stop.is_cancelled() || edge.is_draining() {
        return Err(Rejected::with(StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Draining));
    }
    let permit = edge.handshakes.clone().try_acquire_owned().map_err(|_| {
        // Spread those who come again.
        let refusal = Refusal::of(RefusalCode::Overloaded).retry_after_ms(rand::random_range(500..2_500));
        Rejected { status: StatusCode::SERVICE_UNAVAILABLE, refusal }
    })?;
    Ok((handshake, permit))
}

struct Handover {
    subprotocol: Subprotocol,
    origin: Option<String>,
    peer: SocketAddr,
    connection: Connection,
}

/// In a task of its own, so that nothing of the request stays in memory with the socket.
async fn take_over(hub: Hub, on_upgrade: OnUpgrade, handover: Handover, permit: OwnedSemaphorePermit, within: Duration) {
    let upgraded = match timeout(within, on_upgrade).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => return tracing::debug!(%error, "an upgrade was broken off"),
        Err(_) => return tracing::debug!("an upgrade did not end in time"),
    };
    let Some((stream, already_read)) = take_apart(upgraded) else {
        return tracing::error!("an upgraded connection is of another type than the listener's");
    };
    hub.accept(Accepted {
        stream,
        already_read,
        subprotocol: handover.subprotocol,
        origin: handover.origin,
        peer: handover.peer,
        since: handover.connection.since(),
    });
    drop(permit);
}

/// The connection itself, and what came early: a copy, since those few bytes would keep the whole read buffer of the
/// handshake.
fn take_apart(upgraded: Upgraded) -> Option<(Stream, Box<[u8]>)> {
    let upgraded = match auto::upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => return Some((Stream::Plain(parts.io.into_inner()), Box::from(parts.read_buf.as_ref()))),
        Err(upgraded) => upgraded,
    };
    let parts = auto::upgrade::downcast::<TokioIo<TlsStream<TcpStream>>>(upgraded).ok()?;
    let (tcp, connection) = parts.io.into_inner().into_inner();
    Some((Stream::Tls(tcp, Box::new(connection)), Box::from(parts.read_buf.as_ref())))
}

fn reject(rejected: Rejected) -> Response {
    let Rejected { status, refusal } = rejected;
    metrics::counter!("yitang_gateway_upgrades_refused_total", "code" => refusal.code().as_str_name()).increment(1);
    let mut response = Refused(refusal).into_response();
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // What follows such a request on this connection is not to be trusted.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 6] = [
        ("host", "127.0.0.1:8080"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "x, yitang.v1.json, yitang.v1.proto"),
    ];

    fn ask(change: impl FnOnce(&mut Parts)) -> Result<Handshake, StatusCode> {
        let mut request = Request::get("/ws");
        for (name, value) in GOOD {
            request = request.header(name, value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        change(&mut parts);
        let origins = Origins::new("http://127.0.0.1:8080", &[]).unwrap();
        validate(&parts, &origins).map_err(|rejected| rejected.status)
    }

    fn with(name: &'static str, value: &'static str) -> Result<Handshake, StatusCode> {
        ask(|parts| {
            parts.headers.insert(name, HeaderValue::from_static(value));
        })
    }

    #[test]
    fn a_good_request_is_answered_with_the_key_of_rfc_6455() {
        let good = ask(|_| {}).unwrap();
        assert_eq!(good.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!((good.subprotocol, good.origin), (Subprotocol::Json, None));
        assert_eq!(with("origin", "http://127.0.0.1:8080").unwrap().origin.as_deref(), Some("http://127.0.0.1:8080"));
        assert!(with("content-length", "0").is_ok());
    }

    #[test]
    fn upgrade_smuggling() {
        assert_eq!(ask(|parts| parts.method = Method::POST), Err(StatusCode::METHOD_NOT_ALLOWED));
        assert_eq!(ask(|parts| parts.version = Version::HTTP_10), Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED));
        let table = [
            ("content-length", "5", StatusCode::BAD_REQUEST),
            ("transfer-encoding", "chunked", StatusCode::BAD_REQUEST),
            ("upgrade", "h2c", StatusCode::UPGRADE_REQUIRED),
            ("upgrade", "websocket, h2c", StatusCode::UPGRADE_REQUIRED),
            ("connection", "keep-alive", StatusCode::BAD_REQUEST),
            ("sec-websocket-version", "8", StatusCode::UPGRADE_REQUIRED),
            ("sec-websocket-version", "13, 8", StatusCode::UPGRADE_REQUIRED),
            ("sec-websocket-key", "c2hvcnQ=", StatusCode::BAD_REQUEST),
            ("sec-websocket-key", "not base64 at all!!!!!!!", StatusCode::BAD_REQUEST),
            ("sec-websocket-protocol", "graphql-ws", StatusCode::BAD_REQUEST),
            ("origin", "http://127.0.0.1:8081", StatusCode::FORBIDDEN),
            ("origin", "null", StatusCode::FORBIDDEN),
        ];
        for (name, value, status) in table {
            assert_eq!(with(name, value), Err(status), "{name}: {value}");
        }
        for (name, _) in &GOOD[1..] {
            assert!(ask(|parts| drop(parts.headers.remove(*name))).is_err(), "without {name}");
        }
        for (name, value) in [("sec-websocket-key", GOOD[4].1), ("upgrade", "websocket"), ("origin", "http://127.0.0.1:8080")] {
            let twice = ask(|parts| {
                parts.headers.append(name, HeaderValue::from_static(value));
                parts.headers.append(name, HeaderValue::from_static(value));
            });
            assert!(twice.is_err(), "{name} twice");
        }
    }
}
