//! Connections: accepted, bounded in number, each with its deadlines, until the edge stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::OwnedSemaphorePermit,
    time::{sleep, sleep_until, timeout},
};
use tower::ServiceExt as _;

use super::{connection::Connection, options::EdgeOptions, routes, state::Edge};
use crate::fault::Fault;

/// The answer to those who come when every connection is taken.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// How soon accepting is tried again when the system refused.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Accepts connections until the edge stops listening.
///
/// # Errors
/// Never by a single connection; only when the listener is no longer one.
pub(crate) async fn serve(edge: Arc<Edge>, listener: TcpListener) -> Result<(), Fault> {
    let builder = Arc::new(build_http(&edge.options));
    let router = routes::router(Arc::clone(&edge));
    loop {
        let accepted = tokio::select! {
            () = edge.stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => accept(&edge, &builder, &router, stream, peer),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                // Out of descriptors, most likely: those who are here go on, and some will leave.
                tracing::error!(%error, "no connection can be accepted for the moment");
                metrics::counter!("yitang_gateway_accept_errors_total").increment(1);
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

fn concerns_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted)
}

fn accept(edge: &Arc<Edge>, builder: &Arc<auto::Builder<TokioExecutor>>, router: &Router, stream: TcpStream, peer: SocketAddr) {
    let Ok(permit) = Arc::clone(&edge.connections).try_acquire_owned() else {
        metrics::counter!("yitang_gateway_connections_refused_total").increment(1);
        let _ = stream.try_write(FULL);
        return;
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection that is gone already");
        return;
    }
    edge.tracker.spawn(serve_connection(Arc::clone(edge), Arc::clone(builder), router.clone(), stream, peer, permit));
}

/// Over TLS where a certificate is set. Its handshake counts against the deadline of the first head.
async fn serve_connection(
    edge: Arc<Edge>,
    builder: Arc<auto::Builder<TokioExecutor>>,
    router: Router,
    stream: TcpStream,
    peer: SocketAddr,
    _permit: OwnedSemaphorePermit,
) {
    let connection = Connection::new(peer);
    let Some(tls) = &edge.tls else { return serve_http(&edge, &builder, router, stream, connection).await };
    let handshake = timeout(Duration::from_millis(edge.options.head_ms), tls.acceptor().accept(stream));
    match edge.abort.run_until_cancelled(handshake).await {
        Some(Ok(Ok(stream))) => serve_http(&edge, &builder, router, stream, connection).await,
        Some(Ok(Err(error))) => {
            metrics::counter!("yitang_gateway_tls_refused_total").increment(1);
            tracing::debug!(%error, %peer, "a TLS handshake failed");
        }
        Some(Err(_)) => metrics::counter!("yitang_gateway_connections_silent_total").increment(1),
        None => {}
    }
}

async fn serve_http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    edge: &Edge,
    builder: &auto::Builder<TokioExecutor>,
    router: Router,
    stream: S,
    connection: Connection,
) {
    let head_by = connection.accepted() + Duration::from_millis(edge.options.head_ms);
    let service = {
        let connection = connection.clone();
        service_fn(move |mut request: Request<Incoming>| {
            connection.count_request();
            request.extensions_mut().insert(connection.clone());
            router.clone().oneshot(request.map(Body::new))
        })
    };
    let mut serving = std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut first_head = std::pin::pin!(sleep_until(head_by.into()));
    let (mut waiting, mut stopping) = (true, false);
    loop {
        tokio::select! {
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended in disorder");
                }
                return;
            }
            // hyper's own deadline begins only once it knows which version of HTTP is spoken.
            () = first_head.as_mut(), if waiting => {
                waiting = false;
                if connection.requests() == 0 {
                    metrics::counter!("yitang_gateway_connections_silent_total").increment(1);
                    return;
                }
            }
            () = edge.stop.cancelled(), if !stopping => {
                stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            () = edge.abort.cancelled() => return,
        }
    }
}

fn build_http(options: &EdgeOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let head_bytes = options.head_bytes.max(8_192);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(options.head_ms))
        .max_buf_size(head_bytes)
        .half_close(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(options.streams_most)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    builder
}
