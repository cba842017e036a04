//! The gRPC server of a role that runs apart.

use std::{future::Future, time::Duration};

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::settings::LifecycleSettings;

/// Serves until `stop`, then lets calls in flight finish for the time set and cuts what is left.
pub fn serve(
    listener: TcpListener,
    routes: Routes,
    settings: &LifecycleSettings,
    stop: CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + 'static {
    let keepalive = Duration::from_millis(settings.keepalive_ms.max(100));
    let finish = Duration::from_millis(settings.finish_ms);
    async move {
        let server = Server::builder()
            .http2_keepalive_interval(Some(keepalive))
            .http2_keepalive_timeout(Some(keepalive))
            .initial_stream_window_size(proto::http2::STREAM_WINDOW)
            .initial_connection_window_size(proto::http2::CONNECTION_WINDOW)
            .add_routes(routes)
            .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), stop.clone().cancelled_owned());
        // Streams do not end by themselves, so the wait for them is bounded.
        let limit = async {
            stop.cancelled().await;
            tokio::time::sleep(finish).await;
        };
        tokio::select! {
            ended = server => ended.context("serving gRPC"),
            () = limit => Ok(()),
        }
    }
}
