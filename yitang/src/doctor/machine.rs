//! Limits and file systems of this machine.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::{cli::Role, limits, settings::Settings};

/// Descriptors that are not sockets: files, the database, other roles, threads' own.
const OTHER_FILES: u64 = 500;
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// Enough open files for the connections allowed.
pub fn open_files(settings: &Settings, role: Role) -> Finding {
    let (current, maximum) = limits::open_files();
    let limit = maximum.or(current);
    let shown = limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
    let wanted = match role {
        Role::All | Role::Gateway => settings.gateway.edge.connections_most as u64 + OTHER_FILES,
        Role::ChatCore | Role::Presence => 4_096,
    };
    match limit {
        Some(limit) if limit < wanted => Finding::warning(
            format!("open files: {shown}; {wanted} would be used at most"),
            "raise LimitNOFILE (systemd) or ulimits (compose), or run more gateways: each socket is one",
        ),
        _ => Finding::ok(format!("open files: {shown}")),
    }
}

/// The data folder can be written, and lasts.
pub fn data_folder(settings: &Settings) -> Finding {
    let existing = nearest_existing(&settings.data);
    match rustix::fs::access(&existing, rustix::fs::Access::WRITE_OK) {
        Ok(()) => lasting(&existing),
        Err(error) => Finding::bad(
            format!("the data folder {}: {error}", settings.data.display()),
            "give it to the user that runs this, or set data to another folder",
        ),
    }
}

/// The file system under a path is one that keeps what was synced.
pub fn lasting(path: &Path) -> Finding {
    let existing = nearest_existing(path);
    match rustix::fs::statfs(&existing) {
        Ok(found) if matches!(found.f_type as u64, TMPFS_MAGIC | RAMFS_MAGIC) => Finding::bad(
            format!("{} is in memory (tmpfs)", existing.display()),
            "everything is gone when the machine restarts: use a folder on a disk",
        ),
        Ok(found) => Finding::ok(format!("{} is on a disk (file system {:#x})", existing.display(), found.f_type)),
        Err(error) => Finding::bad(format!("{}: {error}", existing.display()), "does the folder exist?"),
    }
}

fn nearest_existing(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("/")).to_owned()
}
