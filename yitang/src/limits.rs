//! Limits of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files: (now, at most), `None` for no limit.
#[must_use]
pub fn open_files() -> (Option<u64>, Option<u64>) {
    let limit = getrlimit(Resource::Nofile);
    (limit.current, limit.maximum)
}

/// Raises the limit of open files as far as it goes: each socket is one.
pub fn raise_open_files() {
    let (current, maximum) = open_files();
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(?maximum, "open files"),
        Err(error) => tracing::warn!(%error, ?current, "the limit of open files could not be raised"),
    }
}
