//! How often passwords were wrong lately: by login and by address. Pure; forgets by time and never grows past its bound.

use std::collections::HashMap;

/// Counts failures that leak away, one each `forgotten_ms`.
#[derive(Debug)]
pub struct Failures {
    most: f64,
    forgotten_ms: f64,
    remembered: usize,
    levels: HashMap<String, (f64, i64)>,
}

impl Failures {
    /// `most` failures before waiting; one is forgotten each `forgotten_ms`; `remembered` names at most.
    #[must_use]
    pub fn new(most: u32, forgotten_ms: u64, remembered: usize) -> Self {
        Self {
            most: f64::from(most.max(1)),
            forgotten_ms: forgotten_ms.max(1) as f64,
            remembered: remembered.max(1),
            levels: HashMap::new(),
        }
    }

    /// How long this name must wait, ms; 0: it may try now.
    #[must_use]
    pub fn wait_ms(&self, name: &str, now_ms: i64) -> u32 {
        let over = self.level(name, now_ms) - (self.most - 1.0);
        if over <= 0.0 { 0 } else { (over * self.forgotten_ms).ceil() as u32 }
    }

    /// One more.
    pub fn note(&mut self, name: &str, now_ms: i64) {
        if self.levels.len() >= self.remembered && !self.levels.contains_key(name) {
            let forgotten_ms = self.forgotten_ms;
            self.levels.retain(|_, (level, at_ms)| leaked(*level, *at_ms, now_ms, forgotten_ms) > 0.0);
            if self.levels.len() >= self.remembered {
                // All are fresh: this is an attack from very many names. Forgetting the newcomer keeps the bound.
                return;
            }
        }
        let level = self.level(name, now_ms) + 1.0;
        self.levels.insert(name.to_owned(), (level, now_ms));
    }

    /// The right password: nothing is held against the name any more.
    pub fn clear(&mut self, name: &str) {
        self.levels.remove(name);
    }

    fn level(&self, name: &str, now_ms: i64) -> f64 {
        self.levels.get(name).map_or(0.0, |(level, at_ms)| leaked(*level, *at_ms, now_ms, self.forgotten_ms))
    }
}

fn leaked(level: f64, at_ms: i64, now_ms: i64, forgotten_ms: f64) -> f64 {
    (level - (now_ms - at_ms).max(0) as f64 / forgotten_ms).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_is_slowed_to_the_rate_of_forgetting() {
        let mut failures = Failures::new(3, 10_000, 10);
        for _ in 0..3 {
            assert_eq!(failures.wait_ms("wang", 0), 0);
            failures.note("wang", 0);
        }
        assert_eq!(failures.wait_ms("wang", 0), 10_000);
        assert_eq!(failures.wait_ms("li", 0), 0, "one name's failures are not another's");
        assert_eq!(failures.wait_ms("wang", 10_000), 0);
        failures.note("wang", 10_000);
        assert_eq!(failures.wait_ms("wang", 10_000), 10_000);
        failures.clear("wang");
        assert_eq!(failures.wait_ms("wang", 10_000), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut failures = Failures::new(3, 10_000, 4);
        (0..100).for_each(|number| failures.note(&number.to_string(), 0));
        assert_eq!(failures.levels.len(), 4);
        failures.note("later", 20_000);
        assert_eq!(failures.levels.len(), 1);
    }
}
