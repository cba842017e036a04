//! A chat-core: the kernel, the subjects on it, and what gateways ask. The rules and the log are in the kernel; each subject is a
//! crate beside it and knows no other.

mod chat_core;
mod edge;
pub mod seed;
mod subjects;

pub use chat_core::ChatCore;
pub use kernel::{Error, Fault, log, store};
pub use subjects::{Options, migrations, option_sources};
