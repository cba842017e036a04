//! What can go wrong on our side.

/// A fault of this gateway or of what it depends on; logged once where it is met, never shown in full to a client.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The settings do not make sense together.
    #[error("the gateway's settings: {0}")]
    Options(String),
    /// An upstream's address cannot be used.
    #[error("the upstream {uri}: {cause}")]
    Upstream {
        /// As it stands in the settings.
        uri: String,
        /// What tonic says.
        cause: tonic::transport::Error,
    },
    /// The system refused (sockets, threads).
    #[error("{doing}: {cause}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        cause: std::io::Error,
    },
}
