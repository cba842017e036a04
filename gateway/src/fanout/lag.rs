//! How far a core is with what a room has sent it: what the room's window goes by.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};

use super::window::Load;

/// The sockets count as behind where one in `FULL_PART` does not take a frame whole: not only one or two of them.
const FULL_PART: u32 = 4;

/// One core, as a room sees it.
#[derive(Clone, Debug, Default)]
pub struct Lag(Arc<Progress>);

#[derive(Debug, Default)]
struct Progress {
    ahead: AtomicU32,
    pass_ms: AtomicU32,
    full: AtomicBool,
}

impl Lag {
    /// Goes with what is sent to the core now.
    #[must_use]
    pub fn add_in_flight(&self) -> InFlight {
        self.0.ahead.fetch_add(1, Relaxed);
        InFlight { progress: self.0.clone(), began: None, sockets: 0, full: 0 }
    }

    /// Sends that the core has not written yet.
    #[must_use]
    pub fn ahead(&self) -> u32 {
        self.0.ahead.load(Relaxed)
    }

    /// How the last one went.
    #[must_use]
    pub fn load(&self) -> Load {
        Load { pass_ms: self.0.pass_ms.load(Relaxed).into(), full: self.0.full.load(Relaxed) }
    }
}

/// One send on its way through a core; when it is dropped, the room knows how it went.
#[derive(Debug)]
pub struct InFlight {
    progress: Arc<Progress>,
    began: Option<Instant>,
    sockets: u32,
    full: u32,
}

impl InFlight {
    /// Counts `sockets` that were written to, `full` of which did not take all of it.
    pub fn add_written(&mut self, sockets: u32, full: u32) {
        self.sockets += sockets;
        self.full += full;
    }

    /// The writing begins, or goes on.
    pub fn begin(&mut self) {
        self.began.get_or_insert_with(Instant::now);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(began) = self.began {
            let ms = began.elapsed().as_millis().min(u128::from(u32::MAX)) as u32;
            self.progress.pass_ms.store(ms, Relaxed);
            self.progress.full.store(self.full > 0 && self.full >= self.sockets.div_ceil(FULL_PART), Relaxed);
        }
        self.progress.ahead.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_knows_what_waits_on_a_core_and_how_the_last_send_went() {
        let lag = Lag::default();
        let (mut first, second) = (lag.add_in_flight(), lag.add_in_flight());
        assert_eq!(lag.ahead(), 2);
        first.begin();
        first.add_written(100, 25);
        drop(first);
        assert_eq!((lag.ahead(), lag.load().full), (1, true));
        drop(second);
        assert_eq!((lag.ahead(), lag.load().full), (0, true), "what was never written changes nothing");
        let mut third = lag.add_in_flight();
        third.begin();
        third.add_written(100, 24);
        drop(third);
        assert!(!lag.load().full);
    }
}
