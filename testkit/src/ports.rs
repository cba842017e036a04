//! Ports that nobody listens on.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range that systems hand out by themselves, so that no outgoing connection takes one meanwhile.
const FIRST: u16 = 15_000;
const LAST: u16 = 31_000;

/// A free port below 32,768. Different for each caller in this process, and most likely for other processes too.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = LAST - FIRST;
    let start = (std::process::id().wrapping_mul(131) % u32::from(span)) as u16;
    for _ in 0..span {
        let port = FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        // A cluster's node also listens on its port + 10,000; below 32,768 both.
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}
