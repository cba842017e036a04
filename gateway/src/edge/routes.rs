//! What answers which path.

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, middleware, response::Response, routing::any};
use http::Request;

use super::{api, assets, cors, grpc, state::Edge, upgrade};

pub(super) fn router(edge: Arc<Edge>) -> Router {
    Router::new()
        .nest("/api/v1", api::routes())
        .route("/ws", any(upgrade_socket))
        .fallback(serve_rest)
        .layer(middleware::from_fn_with_state(Arc::clone(&edge), cors::allow))
        .with_state(edge)
}

async fn upgrade_socket(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Response {
    upgrade::upgrade(&edge, request)
}

async fn serve_rest(State(edge): State<Arc<Edge>>, request: Request<Body>) -> Response {
    if grpc::is_grpc(request.headers()) {
        return grpc::call(edge, request).await;
    }
    let (parts, _) = request.into_parts();
    assets::serve(&edge.pages, &parts)
}
