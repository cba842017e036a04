//! What processes cost, read from /proc: CPU time by its nanosecond accounting, split by ticks, memory, descriptors, threads.

use std::{collections::BTreeMap, fs, str::FromStr};

use serde::{Deserialize, Serialize};

/// CPU time of a process, all its threads, since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cpu {
    /// User and system time, microseconds.
    pub total_us: u64,
    /// User time, microseconds: the kernel's split of the total by ticks.
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
        // schedstat: time on a CPU in nanoseconds, time waiting, time slices. A thread may end meanwhile.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        total_ns += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    let fields = stat(pid)?;
    let (user, system) = (fields[11], fields[12]);
    let total_us = total_ns / 1_000;
    let user_us = (total_us * user).checked_div(user + system).unwrap_or(0);
    Some(Cpu { total_us, user_us })
}

/// The numbers of /proc/PID/stat after the name in parentheses, which may hold blanks; the state counts as 0.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<u64> = stat.rsplit_once(')')?.1.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
    (fields.len() > 20).then_some(fields)
}

/// Resident memory of a process, KiB; `None` when it is gone.
#[must_use]
pub fn rss_kib_of(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Processes by role, as given: `gateway=PID,PID;postgres=PID`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(pub BTreeMap<String, Vec<u32>>);

/// The server's processes whose CPU counts for a delivery.
pub const GATEWAY: &str = "gateway";

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut roles: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (role, pids) = part.split_once('=').unwrap_or((GATEWAY, part));
            for pid in pids.split(',') {
                let pid = pid.trim().parse().map_err(|_| format!("{pid} is no process id"))?;
                roles.entry(role.trim().to_owned()).or_default().push(pid);
            }
        }
        Ok(Self(roles))
    }
}

/// What a role's processes use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// CPU since they started.
    pub cpu: Cpu,
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

impl Roles {
    /// What each role uses now. A role's processes are those named and all that they started (PostgreSQL's, for example).
    #[must_use]
    pub fn now(&self) -> BTreeMap<String, Usage> {
        let parents = parents();
        self.0.iter().map(|(role, pids)| (role.clone(), usage(pids, &parents))).collect()
    }

    /// The gateways' alone.
    #[must_use]
    pub fn gateway(&self) -> Usage {
        self.0.get(GATEWAY).map_or_else(Usage::default, |pids| usage(pids, &BTreeMap::new()))
    }
}

fn usage(pids: &[u32], parents: &BTreeMap<u32, u32>) -> Usage {
    let mut sum = Usage::default();
    let mut all = pids.to_vec();
    let mut next = 0;
    while let Some(pid) = all.get(next).copied() {
        next += 1;
        all.extend(parents.iter().filter(|(_, parent)| **parent == pid).map(|(child, _)| *child));
        let cpu = cpu_of(pid).unwrap_or_default();
        sum.cpu.total_us += cpu.total_us;
        sum.cpu.user_us += cpu.user_us;
        sum.rss_kib += rss_kib_of(pid).unwrap_or(0);
        sum.descriptors += fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64);
        sum.threads += fs::read_dir(format!("/proc/{pid}/task")).map_or(0, |tasks| tasks.count() as u64);
        if pids.contains(&pid)
            && let Some(fields) = stat(pid)
        {
            // Children that have ended: ticks of a hundredth of a second.
            sum.cpu.total_us += (fields[13] + fields[14]) * 10_000;
            sum.cpu.user_us += fields[13] * 10_000;
        }
    }
    sum
}

/// Every process's parent.
fn parents() -> BTreeMap<u32, u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(|pid| Some((pid, stat(pid)?[1] as u32))).collect()
}

/// How busy each core of the machine was, from /proc/stat.
#[derive(Clone, Debug, Default)]
pub struct Cores(Vec<(u64, u64)>);

impl Cores {
    /// Counted until now.
    #[must_use]
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let of_core = |line: &str| {
            let numbers: Vec<u64> = line.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect();
            // user nice system idle iowait irq softirq steal
            let idle = numbers.get(3)? + numbers.get(4)?;
            Some((numbers.iter().take(8).sum::<u64>() - idle, idle))
        };
        Self(text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).filter_map(of_core).collect())
    }

    /// The busy share of each core since then.
    #[must_use]
    pub fn busy_since(&self, earlier: &Self) -> Vec<f64> {
        let share = |(now, then): (&(u64, u64), &(u64, u64))| {
            let (busy, idle) = (now.0.saturating_sub(then.0) as f64, now.1.saturating_sub(then.1) as f64);
            if busy + idle > 0.0 { busy / (busy + idle) } else { 0.0 }
        };
        self.0.iter().zip(&earlier.0).map(share).collect()
    }
}

/// The slope of a line through these points, by least squares; units of y for each unit of x.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if points.len() < 2 || spread == 0.0 {
        return None;
    }
    Some(points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>() / spread)
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

    #[test]
    fn roles_are_told_apart_and_children_count_with_who_started_them() {
        assert_eq!("7,8".parse::<Roles>().expect("pids alone").0[GATEWAY], [7, 8]);
        assert!("gateway=x".parse::<Roles>().is_err());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep runs");
        let roles: Roles = format!("gateway=1;tests={}", std::process::id()).parse().expect("roles");
        let with_child = roles.now()["tests"];
        assert!(with_child.threads > usage(&[std::process::id()], &BTreeMap::new()).threads, "{with_child:?}");
        child.kill().expect("it ran");
        child.wait().expect("it ended");
    }

    #[test]
    fn a_slope_is_what_a_ruler_says() {
        let points: Vec<_> = (0..10).map(|x| (f64::from(x), 3.0 + 0.5 * f64::from(x) + if x % 2 == 0 { 0.1 } else { -0.1 })).collect();
        assert!((slope(&points).expect("points") - 0.5).abs() < 0.02);
        assert_eq!(slope(&[(1.0, 2.0)]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
