//! Which gRPC methods there are: those of the public package from its descriptors alone, and what the edge answers itself.

use std::collections::HashSet;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::service::Routes;

use crate::fault::Fault;

/// The one package that is forwarded.
const PUBLIC: &str = "yitang.v1.";

/// What the edge knows of the public package, from its descriptors alone.
pub(super) struct GrpcMethods {
    pub(super) streams: HashSet<String>,
    pub(super) unary: HashSet<String>,
    /// Reflection and health.
    pub(super) open: Routes,
    pub(super) health: tonic_health::server::HealthReporter,
}

impl GrpcMethods {
    pub(super) fn new() -> Result<Self, Fault> {
        let set = FileDescriptorSet::decode(proto::PUBLIC_DESCRIPTORS)
            .map_err(|error| Fault::Options(format!("the public descriptors cannot be read: {error}")))?;
        let (mut streams, mut unary) = (HashSet::new(), HashSet::new());
        for (path, streaming) in list_methods(&set) {
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
fn list_methods(set: &FileDescriptorSet) -> impl Iterator<Item = (String, bool)> {
    set.file.iter().flat_map(|file| {
        file.service.iter().flat_map(move |service| {
            service
                .method
                .iter()
                .map(move |method| (format!("/{}.{}/{}", file.package(), service.name(), method.name()), method.server_streaming()))
        })
    })
}

/// `/yitang.v1.Service/Method` and nothing that a later hop could read in another way.
pub(super) fn is_public(path: &str) -> bool {
    let name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(PUBLIC))
        .and_then(|path| path.split_once('/'))
        .is_some_and(|(service, method)| name(service) && name(method))
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
        let grpc = GrpcMethods::new().unwrap();
        assert!(grpc.streams.contains("/yitang.v1.ConversationService/Follow"));
        assert!(grpc.unary.contains("/yitang.v1.DirectoryService/GetMe"));
        assert!(grpc.streams.iter().chain(&grpc.unary).all(|path| is_public(path)));
    }
}
