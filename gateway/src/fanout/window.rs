//! When a room sends what it gathers: at once while it is quiet, once a window while it floods. Pure.

use std::collections::VecDeque;

/// So many sends within one window are a flood; fewer are people who answer one another, and wait for nothing.
const FLOOD: usize = 4;

/// Gathers events in floods.
#[derive(Debug)]
pub struct Window {
    window_ms: u64,
    /// When it last sent, the newest at the back.
    sends: VecDeque<u64>,
    flooding: bool,
}

impl Window {
    /// Floods are gathered for `window_ms`; 0: never.
    #[must_use]
    pub fn new(window_ms: u32) -> Self {
        Self { window_ms: window_ms.into(), sends: VecDeque::new(), flooding: false }
    }

    /// When what waits now may go.
    #[must_use]
    pub fn due_ms(&self, now_ms: u64) -> u64 {
        match self.sends.back() {
            Some(last) if self.flooding => now_ms.max(last + self.window_ms),
            _ => now_ms,
        }
    }

    /// So many events are sent now. The window that they were gathered in, for the clients: 0 when they went at once.
    pub fn send(&mut self, now_ms: u64, events: usize) -> u32 {
        if self.window_ms == 0 {
            return 0;
        }
        let since = self.sends.back().map_or(u64::MAX, |last| now_ms.saturating_sub(*last));
        if self.flooding && (events <= 1 || since >= 20 * self.window_ms) {
            self.flooding = false;
            self.sends.clear();
        }
        self.sends.push_back(now_ms);
        if self.sends.len() > FLOOD {
            self.sends.pop_front();
        }
        // What the sockets' cores could not take in time waited longer than the window.
        let told = if self.flooding { since.max(self.window_ms).min(u64::from(u32::MAX)) as u32 } else { 0 };
        let first = self.sends.front().copied().unwrap_or(now_ms);
        self.flooding |= self.sends.len() == FLOOD && now_ms - first < self.window_ms;
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events at these times; gives when each was sent, and how many sends there were.
    fn run(window_ms: u32, times: &[u64]) -> (Vec<u64>, usize) {
        let mut window = Window::new(window_ms);
        let (mut sent, mut sends, mut waiting) = (Vec::new(), 0, 0);
        let mut times = times.iter().peekable();
        let mut now = 0;
        while times.peek().is_some() || waiting > 0 {
            while times.next_if(|time| **time <= now).is_some() {
                waiting += 1;
            }
            if waiting > 0 && window.due_ms(now) <= now {
                window.send(now, waiting);
                sent.extend(std::iter::repeat_n(now, waiting));
                (waiting, sends) = (0, sends + 1);
            }
            now += 1;
        }
        (sent, sends)
    }

    #[test]
    fn a_quiet_room_sends_at_once_and_so_does_a_lively_one() {
        let talk: Vec<u64> = vec![100, 130, 500, 520, 530, 2_000, 2_001];
        assert_eq!(run(50, &talk), (talk.clone(), talk.len()));
    }

    #[test]
    fn a_flood_is_one_send_a_window_and_nobody_waits_longer() {
        let flood: Vec<u64> = (0..1_000).map(|number| number * 2).collect();
        let (sent, sends) = run(50, &flood);
        assert!(sends <= 2_000 / 50 + FLOOD + 1, "{sends}");
        assert!(sent.iter().zip(&flood).all(|(sent, came)| sent - came <= 50));
        assert_eq!(run(0, &flood), (flood.clone(), flood.len()), "off");
    }

    #[test]
    fn after_a_flood_the_room_is_quiet_again() {
        let mut times: Vec<u64> = (0..100).map(|number| number * 2).collect();
        times.extend([5_000, 6_000]);
        let (sent, _) = run(50, &times);
        assert_eq!(sent[100..], [5_000, 6_000]);
    }
}
