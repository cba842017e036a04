//! What is done to the service.

pub mod broadcast;
pub mod consultation;
pub mod crowd;
