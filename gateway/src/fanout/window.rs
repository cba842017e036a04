//! When a room sends what it gathers: at once while it is quiet, once a window while it floods. The window widens by
//! itself as the cores fall behind, so that writing takes a part of the time and never all of it. Pure.

use std::collections::VecDeque;

/// Sends within one window that are a flood; fewer are people who answer one another, and wait for nothing.
const FLOOD: usize = 4;
/// How many times as long as its writing a window is at least: a quarter of a core for the room, the rest for others.
const SHARE: u64 = 4;
/// Sends that a core may not have written yet when the next one goes, while nothing is gathered.
const AHEAD: u32 = 2;

/// How the sockets' cores got on with what they were last sent: the worst of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// From the first write to the last, milliseconds.
    pub pass_ms: u64,
    /// A good part of the sockets did not take it whole.
    pub full: bool,
}

/// The bounds of a window.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Width while the cores keep up, milliseconds; 0: events are never gathered.
    pub least_ms: u32,
    /// Width at most, milliseconds.
    pub most_ms: u32,
    /// Bytes a second to all sockets together; past that the window widens; 0: no bound.
    pub bytes_per_s: u64,
}

/// Gathers events in floods.
#[derive(Debug)]
pub struct Window {
    bounds: Bounds,
    width_ms: u64,
    /// How long what was sent last takes by the budget of bytes, milliseconds.
    rest_ms: u64,
    /// The last few sends, by which a flood is known.
    sends: VecDeque<u64>,
    flooding: bool,
    last_ms: Option<u64>,
}

impl Window {
    /// A window of a quiet room.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, width_ms: bounds.least_ms.into(), rest_ms: 0, sends: VecDeque::new(), flooding: false, last_ms: None }
    }

    /// `false`: every event is a frame of its own.
    #[must_use]
    pub fn gathers(&self) -> bool {
        self.bounds.least_ms > 0
    }

    /// Sends that a core may not have written yet when the next one goes. What is gathered waits for the writing of what was
    /// gathered before it: begun earlier, it would only stand in the core's queue, with less in it.
    #[must_use]
    pub fn ahead(&self) -> u32 {
        if self.flooding { 0 } else { AHEAD }
    }

    /// Whether more events are likely to go soon, by when the last went: within two windows in a flood, else within `talk_ms`.
    /// States may wait for them.
    #[must_use]
    pub fn expects(&self, now_ms: u64, talk_ms: u64) -> bool {
        let within_ms = if self.flooding { 2 * self.width_ms.max(self.rest_ms) } else { talk_ms };
        self.last_ms.is_some_and(|last| now_ms < last + within_ms)
    }

    /// When what waits now may go.
    #[must_use]
    pub fn due_ms(&self, now_ms: u64) -> u64 {
        match self.last_ms {
            Some(last) if self.flooding => now_ms.max(last + self.width_ms.max(self.rest_ms)),
            _ => now_ms,
        }
    }

    /// Records that `events` events are sent at `now_ms`. Gives the window that they were gathered in, for the clients, in ms: 0
    /// where they went at once.
    pub fn record_send(&mut self, now_ms: u64, events: usize, load: Load) -> u32 {
        let since = self.last_ms.replace(now_ms).map_or(u64::MAX, |last| now_ms.saturating_sub(last));
        if self.bounds.least_ms == 0 {
            return 0;
        }
        if self.flooding && (events <= 1 || since >= 20 * self.width_ms) {
            self.flooding = false;
            self.sends.clear();
            self.width_ms = self.bounds.least_ms.into();
            self.rest_ms = 0;
        }
        self.sends.push_back(now_ms);
        if self.sends.len() > FLOOD {
            self.sends.pop_front();
        }
        // What the sockets' cores could not take in time waited longer than the window.
        let gathered_ms = if self.flooding { since.max(self.width_ms).min(u64::from(u32::MAX)) as u32 } else { 0 };
        let first = self.sends.front().copied().unwrap_or(now_ms);
        self.flooding |= self.sends.len() == FLOOD && now_ms - first < u64::from(self.bounds.least_ms).max(self.width_ms);
        if self.flooding {
            self.adapt(load);
        }
        gathered_ms
    }

    /// Wider at once, narrower little by little: a window that swings is worse than one that is a little too wide.
    fn adapt(&mut self, load: Load) {
        let wanted = if load.full { (load.pass_ms * SHARE).max(self.width_ms * 2) } else { load.pass_ms * SHARE };
        let most = self.bounds.most_ms.max(self.bounds.least_ms);
        let target = wanted.clamp(self.bounds.least_ms.into(), most.into());
        self.width_ms = if target > self.width_ms { target } else { self.width_ms - (self.width_ms - target).div_ceil(4) };
    }

    /// Records the bytes of what was sent, for all sockets together.
    pub fn record_bytes(&mut self, bytes: u64) {
        let rest_ms = (bytes * 1_000).checked_div(self.bounds.bytes_per_s).unwrap_or(0);
        self.rest_ms = rest_ms.min(self.bounds.most_ms.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { least_ms: 50, most_ms: 500, bytes_per_s: 0 };

    /// Events at these times; each send takes the cores `pass_ms`. Gives when each was sent, and the windows.
    fn run(bounds: Bounds, pass_ms: u64, times: &[u64]) -> (Vec<u64>, Vec<u32>) {
        let mut window = Window::new(bounds);
        let (mut sent, mut windows, mut waiting) = (Vec::new(), Vec::new(), 0);
        let mut times = times.iter().peekable();
        let mut now = 0;
        while times.peek().is_some() || waiting > 0 {
            while times.next_if(|time| **time <= now).is_some() {
                waiting += 1;
            }
            if waiting > 0 && window.due_ms(now) <= now {
                windows.push(window.record_send(now, waiting, Load { pass_ms, full: false }));
                sent.extend(std::iter::repeat_n(now, waiting));
                waiting = 0;
            }
            now += 1;
        }
        (sent, windows)
    }

    fn flood(ms: u64) -> Vec<u64> {
        (0..ms / 2).map(|number| number * 2).collect()
    }

    #[test]
    fn a_quiet_room_sends_at_once_and_so_does_a_lively_one() {
        let talk: Vec<u64> = vec![100, 130, 500, 520, 530, 2_000, 2_001];
        assert_eq!(run(BOUNDS, 5, &talk), (talk.clone(), vec![0; talk.len()]));
    }

    #[test]
    fn a_flood_is_one_send_a_window_and_nobody_waits_longer() {
        let flood = flood(2_000);
        let (sent, windows) = run(BOUNDS, 5, &flood);
        assert!(windows.len() <= 2_000 / 50 + FLOOD + 1, "{}", windows.len());
        assert!(sent.iter().zip(&flood).all(|(sent, came)| sent - came <= 50));
        let off = Bounds { least_ms: 0, ..BOUNDS };
        assert_eq!(run(off, 5, &flood).0, flood, "off");
    }

    #[test]
    fn after_a_flood_the_room_is_quiet_again() {
        let mut times = flood(200);
        times.extend([5_000, 6_000]);
        let (sent, windows) = run(BOUNDS, 100, &times);
        assert_eq!(sent[100..], [5_000, 6_000]);
        assert_eq!(windows[windows.len() - 2..], [0, 0]);
    }

    #[test]
    fn the_window_widens_as_the_cores_fall_behind_and_narrows_again() {
        let (_, windows) = run(BOUNDS, 60, &flood(4_000));
        assert_eq!(windows.last(), Some(&240), "four times the writing");
        let (_, windows) = run(BOUNDS, 400, &flood(8_000));
        assert_eq!(windows.last(), Some(&500), "never above the most");
        let mut window = Window::new(BOUNDS);
        let mut now_ms = 0;
        let mut send = |load| {
            now_ms = window.due_ms(now_ms);
            window.record_send(now_ms, 5, load)
        };
        (0..10).for_each(|_| {
            send(Load { pass_ms: 5, full: true });
        });
        assert_eq!(send(Load::default()), 500, "sockets that do not take it widen it too");
        (0..20).for_each(|_| {
            send(Load::default());
        });
        assert_eq!(send(Load::default()), 50);
    }

    #[test]
    fn a_flood_is_expected_to_go_on_for_two_windows_and_waits_for_its_writing() {
        let mut window = Window::new(BOUNDS);
        assert!(!window.expects(0, 1_000) && window.ahead() == AHEAD);
        window.record_send(0, 1, Load::default());
        assert_eq!((window.expects(999, 1_000), window.expects(1_000, 1_000), window.expects(1, 0)), (true, false, false), "talk");
        (0..4).for_each(|now_ms| {
            window.record_send(now_ms, 5, Load::default());
        });
        assert_eq!((window.expects(102, 1_000), window.expects(103, 1_000), window.ahead()), (true, false, 0));
    }

    #[test]
    fn a_budget_of_bytes_widens_the_window() {
        let mut window = Window::new(Bounds { bytes_per_s: 1_000_000, ..BOUNDS });
        for now_ms in 0..4 {
            window.record_send(now_ms, 5, Load::default());
            window.record_bytes(200_000);
        }
        assert_eq!(window.due_ms(4), 3 + 200);
        window.record_bytes(10_000_000);
        assert_eq!(window.due_ms(4), 3 + 500, "never above the most");
    }
}
