//! What a stretch of time cost: the server's roles, the generators, the machine's cores.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    measure::{Cores, Cpu, GATEWAY, Roles, Usage, cpu_of},
    report::Report,
};

/// Above this share of its core a generator is the bottleneck.
pub const BUSY: f64 = 0.9;

/// Running.
pub struct Meter {
    roles: Roles,
    generators: Vec<u32>,
    before: BTreeMap<String, Usage>,
    generators_before: Vec<Cpu>,
    cores: Cores,
    started: Instant,
}

/// Read off.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Length of the measurement, seconds.
    pub seconds: f64,
    /// By role: what was used, and what stands.
    pub roles: BTreeMap<String, (Cpu, Usage)>,
    /// Cores that each generator used.
    pub generators: Vec<f64>,
    /// The busy share of each core of the machine.
    pub cores_busy: Vec<f64>,
}

impl Meter {
    /// Starts.
    #[must_use]
    pub fn start(roles: &Roles, generators: Vec<u32>) -> Self {
        Self {
            before: roles.now(),
            generators_before: generators.iter().map(|pid| cpu_of(*pid).unwrap_or_default()).collect(),
            cores: Cores::now(),
            started: Instant::now(),
            roles: roles.clone(),
            generators,
        }
    }

    /// Reads it off.
    #[must_use]
    pub fn read(&self) -> Measured {
        let wall = self.started.elapsed();
        let roles = self.roles.now().into_iter().map(|(role, usage)| {
            let before = self.before.get(&role).copied().unwrap_or_default();
            (role, (usage.cpu.since(before.cpu), usage))
        });
        let generators = self.generators.iter().zip(&self.generators_before);
        Measured {
            seconds: wall.as_secs_f64(),
            roles: roles.collect(),
            generators: generators.map(|(pid, before)| share(cpu_of(*pid).unwrap_or_default().since(*before), wall)).collect(),
            cores_busy: Cores::now().busy_since(&self.cores),
        }
    }
}

/// CPU as a share of a core.
#[must_use]
pub fn share(used: Cpu, over: Duration) -> f64 {
    used.total_us as f64 / over.as_micros().max(1) as f64
}

impl Measured {
    /// CPU of the gateways.
    #[must_use]
    pub fn gateway(&self) -> Cpu {
        self.roles.get(GATEWAY).map_or_else(Cpu::default, |(cpu, _)| *cpu)
    }

    /// The two together, one after the other.
    pub fn add(&mut self, other: Self) {
        let seconds = self.seconds + other.seconds;
        let (before, after) = (self.seconds / seconds, other.seconds / seconds);
        let blend = |shares: &mut Vec<f64>, others: &[f64]| {
            shares.resize(others.len().max(shares.len()), 0.0);
            shares.iter_mut().zip(others).for_each(|(share, other)| *share = *share * before + other * after);
        };
        blend(&mut self.generators, &other.generators);
        blend(&mut self.cores_busy, &other.cores_busy);
        for (role, (used, usage)) in other.roles {
            let (all, stands) = self.roles.entry(role).or_default();
            (all.total_us, all.user_us) = (all.total_us + used.total_us, all.user_us + used.user_us);
            *stands = usage;
        }
        self.seconds = seconds;
    }

    /// Cores that all generators used.
    #[must_use]
    pub fn generator_share(&self) -> f64 {
        self.generators.iter().sum()
    }

    /// Writes the measurement into a report; the CPU is divided by `deliveries` and `posts`.
    pub fn write_to_report(&self, report: &mut Report, deliveries: u64, posts: u64) {
        if deliveries > 0 && self.roles.contains_key(GATEWAY) {
            report.cpu_us_per_delivery = Some(self.gateway().total_us as f64 / deliveries as f64);
            report.cpu_user_us_per_delivery = Some(self.gateway().user_us as f64 / deliveries as f64);
        }
        report.generator_share = Some(self.generator_share());
        report.also("generator_shares", &self.generators);
        report.cores_busy.clone_from(&self.cores_busy);
        for (role, (used, usage)) in &self.roles {
            let mut figures = json!({
                "cores": share(*used, Duration::from_secs_f64(self.seconds)),
                "rss_kib": usage.rss_kib,
            });
            for (name, count) in [("cpu_us_per_delivery", deliveries), ("cpu_us_per_post", posts)] {
                if count > 0 {
                    figures[name] = json!(used.total_us as f64 / count as f64);
                }
            }
            report.roles.insert(role.clone(), figures);
        }
        if let Some(busiest) = self.generators.iter().copied().reduce(f64::max).filter(|share| *share > BUSY) {
            report.invalid(format!("a generator was the bottleneck: it used {busiest:.2} of its core"));
        }
    }
}
