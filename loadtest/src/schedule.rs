//! When comments are posted: an open-loop plan, made before the run, that waits for nobody.

use std::time::Duration;

/// The times, ascending, at which `comments` are posted over `over`: the convenor's call at once; a silence of a
/// twentieth while people read it; then the flood, in which six in ten of the rest fall into the next fifth; then the
/// tail, thinning out. (The shape of the reference meeting: within minutes after the call the screen floods.)
#[must_use]
pub fn meeting(comments: usize, over: Duration) -> Vec<Duration> {
    let mut times = Vec::with_capacity(comments);
    if comments == 0 {
        return times;
    }
    times.push(Duration::ZERO);
    let rest = comments - 1;
    let flood = rest * 6 / 10;
    let tail = rest - flood;
    times.extend((0..flood).map(|n| over.mul_f64(0.05 + 0.20 * (n as f64 + 0.5) / flood as f64)));
    // Density falls linearly to zero at the end: the n-th of `tail` comes at 1 - sqrt(1 - n/tail) of the way.
    times.extend((0..tail).map(|n| over.mul_f64(0.25 + 0.75 * (1.0 - (1.0 - (n as f64 + 0.5) / tail as f64).sqrt()))));
    times
}

/// Times of posts, `per_s` a second, evenly, over `over`.
#[must_use]
pub fn steady(per_s: f64, over: Duration) -> Vec<Duration> {
    let count = (per_s * over.as_secs_f64()) as usize;
    (0..count).map(|n| Duration::from_secs_f64(n as f64 / per_s)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_floods_early_and_has_every_comment() {
        let over = Duration::from_secs(100);
        let times = meeting(435, over);
        assert_eq!(times.len(), 435);
        assert!(times.is_sorted());
        assert!(times.last().is_some_and(|last| *last <= over));
        let in_flood = times.iter().filter(|time| (5..25).contains(&time.as_secs())).count();
        assert!((250..275).contains(&in_flood), "{in_flood}");
    }

    #[test]
    fn steady_is_even() {
        let times = steady(50.0, Duration::from_secs(2));
        assert_eq!(times.len(), 100);
        assert_eq!(times[50], Duration::from_secs(1));
    }
}
