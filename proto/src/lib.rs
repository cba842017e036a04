//! The contract: generated messages and services, the socket's codec, limits, close codes, refusals.

#![allow(clippy::large_enum_variant, reason = "generated oneofs")]

pub mod v1 {
    //! What clients and integrators speak.
    #![allow(clippy::all, missing_docs, rust_2018_idioms, reason = "generated")]
    tonic::include_proto!("yitang.v1");
    include!(concat!(env!("OUT_DIR"), "/yitang.v1.serde.rs"));
}

pub mod internal {
    //! What the roles speak among themselves.
    pub mod v1 {
        #![allow(clippy::all, missing_docs, rust_2018_idioms, reason = "generated")]
        tonic::include_proto!("yitang.internal.v1");
    }
}

/// The public package's `FileDescriptorSet`, for reflection at the edge and for generating clients.
pub const PUBLIC_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/public.bin"));

/// The same with what the roles speak among themselves; for tests that try each method, never to be served.
pub const ALL_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/all.bin"));

pub mod close;
pub mod codec;
pub mod display;
pub mod limits;
mod partition;
mod refusal;

pub use close::CloseCode;
pub use codec::Subprotocol;
pub use partition::{PARTITIONS, fnv, partition_of_conversation, partition_of_person};

/// How much may be under way unread on the connections between roles.
///
/// Fixed rather than adaptive: h2 counts every unread message of under 256 bytes as 256 bytes against half of the
/// connection's window and ends the connection as abused (ENHANCE_YOUR_CALM) when that is used up. An adaptive window begins
/// at 64 KiB, so some hundred and thirty calls that wait for an answer at once were enough.
pub mod http2 {
    /// Of one call, bytes.
    pub const STREAM_WINDOW: u32 = 4 << 20;
    /// Of one connection, bytes.
    pub const CONNECTION_WINDOW: u32 = 32 << 20;
}

/// Metadata that roles set on calls to one another; the edge strips whatever a client sends of it.
pub mod metadata {
    /// The roles' shared key.
    pub const KEY: &str = "x-yitang-key";
    /// The person a public call is made for (decimal).
    pub const PERSON: &str = "x-yitang-person";
    /// The session a public call is made in (UUID).
    pub const SESSION: &str = "x-yitang-session";
    /// The display link that a screen's public call is made with (UUID); there is no person then.
    pub const DISPLAY: &str = "x-yitang-display";
    /// Every name that begins so is ours.
    pub const PREFIX: &str = "x-yitang-";
}
