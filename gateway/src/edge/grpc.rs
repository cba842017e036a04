//! gRPC and gRPC-Web: every method of the public package is handed on to chat-core, without a line for any of them.
//! What is not of that package is answered here or by nobody: the services between roles cannot be named from outside.

use std::{collections::HashSet, convert::Infallible, sync::Arc};

use axum::{body::Body as AxumBody, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Request, header, request::Parts};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use proto::{
    internal::v1::Identity,
    metadata,
    v1::{Refusal, RefusalCode},
};
use tonic::{Status, body::Body, service::Routes};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Edge, api::collect, guarded};
use crate::Fault;

/// The one package that is forwarded.
const PUBLIC: &str = "yitang.v1.";

/// What goes on to chat-core of a caller's headers. An identity is not among them: the edge sets it.
const PASSED_ON: [HeaderName; 4] = [header::CONTENT_TYPE, header::TE, header::ACCEPT_LANGUAGE, header::USER_AGENT];
const PASSED_ON_GRPC: [&str; 5] = ["grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "traceparent", "tracestate"];

/// The frame's prefix around a message.
const PREFIX_BYTES: usize = 5;

/// What the edge knows of the public package, from its descriptors alone.
pub(super) struct Grpc {
    streams: HashSet<String>,
    unary: HashSet<String>,
    /// Reflection and health.
    open: Routes,
    pub(super) health: tonic_health::server::HealthReporter,
}

impl Grpc {
    pub(super) fn new() -> Result<Self, Fault> {
        let set = FileDescriptorSet::decode(proto::PUBLIC_DESCRIPTORS)
            .map_err(|error| Fault::Options(format!("the public descriptors cannot be read: {error}")))?;
        let (mut streams, mut unary) = (HashSet::new(), HashSet::new());
        for (path, streaming) in methods(&set) {
            if streaming {
                streams.insert(path)
            } else {
                unary.insert(path)
            };
        }
        let (health, health_service) = tonic_health::server::health_reporter();
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_file_descriptor_set(set.clone())
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let cannot = |error| Fault::Options(format!("reflection cannot be served: {error}"));
        let open = Routes::new(health_service)
            .add_service(reflection().build_v1().map_err(cannot)?)
            // Python's and older grpcurl's clients know this version only.
            .add_service(reflection().build_v1alpha().map_err(cannot)?)
            .prepare();
        Ok(Self { streams, unary, open, health })
    }
}

/// Each method's path, and whether its answer is a stream.
fn methods(set: &FileDescriptorSet) -> impl Iterator<Item = (String, bool)> {
    set.file.iter().flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            service
                .method
                .iter()
                .map(move |method| (format!("/{}.{}/{}", file.package(), service.name(), method.name()), method.server_streaming()))
        })
    })
}

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

/// `/yitang.v1.Service/Method` and nothing that a later hop could read in another way.
fn is_public(path: &str) -> bool {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(PUBLIC))
        .and_then(|path| path.split_once('/'))
        .is_some_and(|(service, method)| name(service) && name(method))
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
    strip(response.headers_mut());
    Ok(match permit {
        Some(permit) => response.map(|body| guarded::body(body, edge.cores.control().clone(), &identity, permit)),
        None => response,
    })
}

async fn authenticate(edge: &Edge, headers: &HeaderMap) -> Result<Identity, Refusal> {
    let credential = edge.cookie.read(headers);
    // Even a stranger is told first that the website is wrong.
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

/// What roles tell one another does not go out.
fn strip(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(metadata::PREFIX)).cloned().collect();
    ours.into_iter().for_each(|name| drop(headers.remove(name)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_package_has_a_way_on() {
        for public in ["/yitang.v1.DirectoryService/GetMe", "/yitang.v1.Later/Method_2"] {
            assert!(is_public(public), "{public}");
        }
        for other in [
            "/yitang.internal.v1.EdgeService/SignIn",
            "/yitang.v1.x/../yitang.internal.v1.EdgeService/SignIn",
            "/yitang.v1.x.EdgeService/SignIn",
            "/yitang.v1./Get",
            "/yitang.v1.DirectoryService/",
            "/yitang.v1.DirectoryService/GetMe/",
            "/yitang.v1.DirectoryService%2fGetMe/x",
            "//yitang.v1.DirectoryService/GetMe",
            "/yitang.v10.DirectoryService/GetMe",
            "/YITANG.V1.DirectoryService/GetMe",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(!is_public(other), "{other}");
        }
    }

    #[test]
    fn no_public_method_takes_a_stream_and_the_streams_that_answer_are_known() {
        let set = FileDescriptorSet::decode(proto::PUBLIC_DESCRIPTORS).unwrap();
        let takes_stream = set.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method).any(|m| m.client_streaming());
        assert!(!takes_stream, "the edge reads a request whole before it hands it on");
        let grpc = Grpc::new().unwrap();
        assert!(grpc.streams.contains("/yitang.v1.ConversationService/Follow"));
        assert!(grpc.unary.contains("/yitang.v1.DirectoryService/GetMe"));
        assert!(grpc.streams.iter().chain(&grpc.unary).all(|path| is_public(path)));
    }

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
