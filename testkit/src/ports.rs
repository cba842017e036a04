//! Free ports for tests.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range from which the kernel takes ports of outgoing connections.
const FIRST: u16 = 15_000;
const LAST: u16 = 31_000;

/// A free port below 32,768. No other call, in any process, returns it while this process runs.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = LAST - FIRST;
    let start = (std::process::id().wrapping_mul(131) % u32::from(span)) as u16;
    for _ in 0..span {
        let port = FIRST + ((u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed))) % u32::from(span)) as u16;
        if reserve(port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}

/// Reserves a port by a lock on a file, which the kernel drops when this process ends: a port that another test is about to
/// listen on still looks free.
fn reserve(port: u16) -> bool {
    // A folder for each user, for one user may not open another's files.
    let user = std::env::var("USER").unwrap_or_default();
    let folder: PathBuf = std::env::temp_dir().join(format!("yitang-ports-{user}"));
    let _ = fs::create_dir(&folder);
    let Ok(file) = File::options().create(true).append(true).open(folder.join(port.to_string())) else {
        // Without a lock, only a port that is listened on is known to be taken.
        return true;
    };
    let taken = file.try_lock().is_ok();
    if taken {
        // Left open, and so locked, until the process ends.
        std::mem::forget(file);
    }
    taken
}
