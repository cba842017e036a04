//! HTTP: the API under /api/v1, the upgrade at /ws, the web client's files, gRPC and gRPC-Web forwarded to chat-core.

mod answer;
mod api;
mod assets;
mod body;
mod client_address;
mod connection;
mod cors;
mod credential;
mod grpc;
mod grpc_methods;
mod guarded;
mod options;
mod origin;
mod routes;
mod server;
mod sessions;
mod state;
mod tls;
mod upgrade;

pub use options::EdgeOptions;
pub(crate) use server::serve;
pub(crate) use state::Edge;
