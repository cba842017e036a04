//! HTTP: the API under /api/v1, the upgrade at /ws, the web client's files, gRPC and gRPC-Web forwarded to chat-core.

mod options;

pub use options::EdgeOptions;
