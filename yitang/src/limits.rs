//! Limits of this process, and how the kernel may hold its memory.

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::disable_transparent_huge_pages,
};

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

/// Keeps the memory of this process in small pages: the allocator asks for huge ones, and the kernel, which makes them in its
/// own time and of half-empty ranges too, then takes memory that nobody asked for (`docs/adr/0015-small-pages.md`). To be
/// called before threads start.
///
/// # Errors
/// When the kernel knows no such switch (before Linux 3.15, or built without huge pages); nothing is lost then but memory.
pub fn keep_small_pages() -> std::io::Result<()> {
    disable_transparent_huge_pages(true).map_err(Into::into)
}
