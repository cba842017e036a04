//! What is done to the service.

pub mod consultation;
