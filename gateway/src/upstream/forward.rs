//! Any public call, handed on to a node as it came.

use http::{Request, Response, request::Parts};
use http_body_util::Full;
use proto::v1::{Refusal, RefusalCode};
use tonic::body::Body;
use tower::ServiceExt as _;

use super::{
    chat_cores::ChatCores,
    failure::{Failure, was_never_sent},
};

impl ChatCores {
    /// Hands a gRPC request with its whole body to the node for `key`; to another one only where the first surely never
    /// had it, for what it does is not known here. The answer may be a stream.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub(crate) async fn forward(&self, key: &str, parts: Parts, body: bytes::Bytes) -> Result<Response<Body>, Refusal> {
        let within = self.call_deadline();
        self.nodes()
            .call(proto::fnv(key.as_bytes()), within, |node| {
                let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
                let upstream = node.upstream.clone();
                self.run_at_home(async move {
                    upstream.oneshot(request).await.map_err(|error| {
                        if was_never_sent(error.as_ref()) {
                            return Failure::node(error.to_string());
                        }
                        tracing::warn!(%error, "a forwarded call broke off");
                        node.mark_down("a forwarded call broke off");
                        Failure::Refused(Refusal::of(RefusalCode::Unavailable))
                    })
                })
            })
            .await
    }
}
