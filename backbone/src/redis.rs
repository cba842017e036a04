//! The backbone over Redis.
