//! gRPC and gRPC-Web: every method of the public package is handed on to chat-core, without a line for any of them.
//! What is not of that package is answered here or by nobody: the services between roles cannot be named from outside.

use std::{convert::Infallible, sync::Arc};

use axum::{body::Body as AxumBody, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, request::Parts};
use proto::{
    internal::v1::Identity,
    metadata,
    v1::{Refusal, RefusalCode},
};
use tonic::{Status, body::Body};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{body::collect, grpc_methods::is_public, guarded, state::Edge};

/// What goes on to chat-core of a caller's headers. An identity is not among them: the edge sets it.
const PASSED_ON: [HeaderName; 4] = [header::CONTENT_TYPE, header::TE, header::ACCEPT_LANGUAGE, header::USER_AGENT];
const PASSED_ON_GRPC: [&str; 5] = ["grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "traceparent", "tracestate"];

/// The frame's prefix around a message.
const PREFIX_BYTES: usize = 5;

/// Whether a request is gRPC of either kind, by its content type.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    content_type(headers).starts_with("application/grpc")
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Answers a call.
pub(super) async fn call(edge: Arc<Edge>, request: Request<AxumBody>) -> Response {
    let web = content_type(request.headers()).starts_with("application/grpc-web");
    let answer = service_fn(move |request: Request<Body>| {
        let edge = Arc::clone(&edge);
        async move { Ok::<_, Infallible>(answer(&edge, request, web).await) }
    });
    match GrpcWebLayer::new().layer(answer).oneshot(request).await {
        Ok(response) => response.map(AxumBody::new),
        Err(never) => match never {},
    }
}

async fn answer(edge: &Arc<Edge>, request: Request<Body>, web: bool) -> http::Response<Body> {
    let path = request.uri().path();
    if is_public(path) {
        let refused = |refusal: Refusal| Status::from(refusal).into_http();
        return forward(edge, request, web).await.unwrap_or_else(refused);
    }
    let open = ["/grpc.reflection.v1.ServerReflection/", "/grpc.reflection.v1alpha.ServerReflection/", "/grpc.health.v1.Health/"];
    if !web && open.iter().any(|service| path.starts_with(service)) {
        return match edge.grpc.open.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    }
    Status::unimplemented("no such method here").into_http()
}

async fn forward(edge: &Arc<Edge>, request: Request<Body>, web: bool) -> Result<http::Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let identity = authenticate(edge, &parts.headers).await?;
    let path = parts.uri.path();
    if web && edge.grpc.streams.contains(path) {
        // To a browser, streams go by the socket.
        return Err(Refusal::of(RefusalCode::Unsupported));
    }
    let may_stream = !edge.grpc.unary.contains(path);
    let permit = if may_stream {
        Some(Arc::clone(&edge.follows).try_acquire_owned().map_err(|_| Refusal::of(RefusalCode::Overloaded))?)
    } else {
        None
    };
    let most = edge.options.message_bytes + PREFIX_BYTES;
    let message = collect(body, most, edge.options.body_ms).await?;
    let forwarded = forwarded_parts(&parts, &identity)?;
    let mut response = edge.cores.forward(&identity.session, forwarded, message).await?;
    remove_internal(response.headers_mut());
    Ok(match permit {
        Some(permit) => response.map(|body| guarded::guard(body, edge.cores.control().clone(), &identity, permit)),
        None => response,
    })
}

async fn authenticate(edge: &Edge, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let credential = edge.cookie.read(headers);
    // Also for somebody unknown, a wrong website is refused first.
    edge.origins.check(headers)?;
    let credential = credential.ok_or_else(|| Refusal::of(RefusalCode::Unauthenticated))?;
    edge.origins.check_change(headers, credential.shown)?;
    edge.sessions.check(&credential.token).await
}

/// The same method with the headers that may go on, and who it is for.
fn forwarded_parts(parts: &Parts, identity: &Identity) -> Result<Parts, Refusal> {
    let internal = |_| Refusal::of(RefusalCode::Internal);
    let path = parts.uri.path_and_query().map_or("/", |path| path.path());
    let (mut forwarded, ()) = Request::post(path).body(()).map_err(|_| Refusal::of(RefusalCode::Internal))?.into_parts();
    forwarded.version = http::Version::HTTP_2;
    let passed_on = PASSED_ON.iter().map(HeaderName::as_str).chain(PASSED_ON_GRPC);
    for name in passed_on {
        if let (Some(value), Ok(name)) = (parts.headers.get(name), HeaderName::try_from(name)) {
            forwarded.headers.insert(name, value.clone());
        }
    }
    forwarded.headers.insert(metadata::PERSON, HeaderValue::from(identity.person));
    forwarded.headers.insert(metadata::SESSION, HeaderValue::try_from(&identity.session).map_err(|error| internal(error.to_string()))?);
    if let Some(display) = &identity.display {
        forwarded.headers.insert(metadata::DISPLAY, HeaderValue::try_from(&display.link).map_err(|error| internal(error.to_string()))?);
    }
    Ok(forwarded)
}

/// Removes the headers that roles use among each other.
fn remove_internal(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(metadata::PREFIX)).cloned().collect();
    ours.into_iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_metadata_of_a_client_is_left_behind() {
        let (parts, ()) = Request::post("/yitang.v1.DirectoryService/GetMe")
            .header("x-yitang-person", "1")
            .header("x-yitang-key", "guess")
            .header("x-yitang-display", "guess")
            .header("authorization", "Bearer t")
            .header("cookie", "yitang-session=t")
            .header("grpc-timeout", "5S")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap()
            .into_parts();
        let identity = Identity { person: 7, session: "s".to_owned(), ..Identity::default() };
        let forwarded = forwarded_parts(&parts, &identity).unwrap().headers;
        assert_eq!(forwarded[metadata::PERSON], "7");
        assert_eq!(forwarded[metadata::SESSION], "s");
        assert_eq!(forwarded["grpc-timeout"], "5S");
        for gone in [metadata::KEY, metadata::DISPLAY, "authorization", "cookie"] {
            assert!(!forwarded.contains_key(gone), "{gone}");
        }
        let scope = proto::v1::DisplayScope { link: "l".to_owned(), conversation: "c".to_owned() };
        let screen = Identity { person: proto::display::FROM, session: "s".to_owned(), display: Some(scope), ..Identity::default() };
        assert_eq!(forwarded_parts(&parts, &screen).unwrap().headers[metadata::DISPLAY], "l");
    }
}
