//! Browsers that show a page from one of our addresses may call another of them: gateways have several.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Method, Request, StatusCode, header};

use super::state::Edge;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("authorization, content-type, x-grpc-web, x-user-agent, grpc-timeout, accept-language");
const ANSWER_HEADERS: HeaderValue = HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin, retry-after");

/// Answers what browsers ask beforehand, and lets allowed Origins read the answers.
pub(super) async fn allow(State(edge): State<Arc<Edge>>, request: Request<Body>, next: Next) -> Response {
    let origin = match edge.origins.check(request.headers()) {
        Ok(Some(_)) => request.headers().get(header::ORIGIN).cloned(),
        Ok(None) | Err(_) => None,
    };
    let asks_beforehand = request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let Some(origin) = origin else {
        return if asks_beforehand { StatusCode::FORBIDDEN.into_response() } else { next.run(request).await };
    };
    let mut response = if asks_beforehand {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        response
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANSWER_HEADERS);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    response
}
