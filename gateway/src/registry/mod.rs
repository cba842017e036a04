//! Who is connected to what on one core: its sockets by slot, by person and by room. One [`Registration`] owns a socket's
//! life here: while it lives the socket can be found, and when it is dropped the socket is in nothing any more.

mod core;
mod members;
mod options;
mod registration;
mod session;
mod shared;
mod socket_count;
mod subscription;
mod wheel;

pub use self::{
    core::Core,
    members::{Members, Turn},
    options::HubOptions,
    registration::Registration,
    session::Session,
    shared::Shared,
    socket_count::SocketCount,
    subscription::Subscription,
    wheel::Checks,
};
