//! What a process costs, read from /proc: CPU time by its nanosecond accounting, split by ticks, and memory.

use std::fs;

use serde::{Deserialize, Serialize};

/// CPU time of a process, all its threads, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// User and system time, microseconds.
    pub total_us: u64,
    /// User time, microseconds: the kernel's split of the total by 10 ms ticks.
    pub user_us: u64,
}

impl Cpu {
    /// What was used since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { total_us: self.total_us.saturating_sub(earlier.total_us), user_us: self.user_us.saturating_sub(earlier.user_us) }
    }
}

/// CPU of a process; `None` when it is gone.
#[must_use]
pub fn cpu_of(pid: u32) -> Option<Cpu> {
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        // schedstat: time on a CPU in nanoseconds, time waiting, time slices.
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        total_ns += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Fields 14 and 15, counted after the name in parentheses, which may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (user, system): (u64, u64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    let total_us = total_ns / 1_000;
    let user_us = (total_us * user).checked_div(user + system).unwrap_or(0);
    Some(Cpu { total_us, user_us })
}

/// Resident memory of a process, KiB; `None` when it is gone.
#[must_use]
pub fn rss_kib_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_costs_cpu_and_memory() {
        let pid = std::process::id();
        let before = cpu_of(pid).expect("this process");
        let mut waste = vec![0_u8; 64 << 20];
        for round in 0..40_u8 {
            waste.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(round));
        }
        let used = cpu_of(pid).expect("this process").since(before);
        assert!(used.total_us > 1_000, "{used:?}");
        assert!(rss_kib_of(pid).expect("this process") > 64 << 10, "{}", waste[7]);
    }

    #[test]
    fn a_process_that_is_gone_has_none() {
        assert_eq!(cpu_of(u32::MAX), None);
        assert_eq!(rss_kib_of(u32::MAX), None);
    }
}
