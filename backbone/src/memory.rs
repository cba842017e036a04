//! The backbone of one process.
