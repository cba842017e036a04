//! What is done to the service.

mod chat_core;
pub mod consultation;
pub mod floor;
pub mod judge;
pub mod meter;
pub mod post;
pub mod ramp;
pub mod room;
pub mod rooms;
pub mod setup;
pub mod soak;
pub mod storm;
