//! Faults of the topology of several processes.

use std::{thread::sleep, time::Duration};

use anyhow::Context as _;

use super::{
    Outcome,
    load::{Load, now_ms},
};
use crate::{
    Storage,
    topology::{RedisKind, Topology},
};

/// A fault that is injected under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// kill -9 of a gateway; started again after three seconds, as a supervisor would.
    KillGateway,
    /// kill -9 of a chat-core, likewise.
    KillChatCore,
    /// Redis is killed and started again.
    RestartRedis,
    /// Redis is stopped (SIGSTOP) and goes on later.
    StopRedis,
    /// PostgreSQL is killed with all its processes and started again.
    RestartPostgres,
    /// Redis cuts every subscription (CLIENT KILL).
    KillSubscriptions,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 6] =
        [Self::KillGateway, Self::KillChatCore, Self::RestartRedis, Self::StopRedis, Self::RestartPostgres, Self::KillSubscriptions];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KillGateway => "kill -9 a gateway",
            Self::KillChatCore => "kill -9 a chat-core",
            Self::RestartRedis => "restart Redis",
            Self::StopRedis => "stop Redis (SIGSTOP)",
            Self::RestartPostgres => "restart PostgreSQL",
            Self::KillSubscriptions => "CLIENT KILL the subscriptions",
        }
    }

    fn file(self) -> String {
        self.name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
    }
}

const RESTARTED_AFTER: Duration = Duration::from_secs(3);
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Runs the load with one fault in its middle. The topology is whole again afterwards.
///
/// # Errors
/// When the load test cannot be run, or a part does not come back.
pub fn run(topology: &mut Topology, fault: Fault, load: &Load) -> anyhow::Result<Outcome> {
    let kind = match topology.kind {
        RedisKind::Single => "2 gateways, 2 chat-cores, presence, PostgreSQL, Redis",
        RedisKind::Cluster => "2 gateways, 2 chat-cores, presence, PostgreSQL, Redis Cluster of 3",
    };
    let lasting = match fault {
        Fault::StopRedis => load.stopped,
        _ => RESTARTED_AFTER,
    };
    let targets = topology.targets();
    let storage = Storage::from_postgres(&topology.postgres)?;
    let (report, happened) = load.beside(&fault.file(), &targets, lasting, || inject(topology, fault, load.stopped))?;
    for role in topology.roles() {
        role.wait_ready(READY_WITHIN)?;
    }
    Ok(Outcome::from_report(fault.name(), kind, storage, &report, happened))
}

fn inject(topology: &mut Topology, fault: Fault, stopped: Duration) -> anyhow::Result<(i64, i64)> {
    let began_ms = now_ms();
    match fault {
        Fault::KillGateway | Fault::KillChatCore => {
            let roles = if fault == Fault::KillGateway { &mut topology.gateways } else { &mut topology.chat_cores };
            let role = roles.first_mut().context("there is none")?;
            role.kill();
            let ended_ms = now_ms();
            sleep(RESTARTED_AFTER);
            role.launch()?;
            return Ok((began_ms, ended_ms));
        }
        Fault::RestartRedis => topology.redis.nodes().iter_mut().for_each(crate::Redis::restart),
        Fault::StopRedis => {
            topology.redis.nodes().iter().for_each(crate::Redis::stop);
            sleep(stopped);
            topology.redis.nodes().iter().for_each(crate::Redis::cont);
        }
        Fault::RestartPostgres => topology.postgres.restart(),
        Fault::KillSubscriptions => {
            for node in topology.redis.nodes() {
                node.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).context("Redis did not answer")?;
            }
        }
    }
    Ok((began_ms, now_ms()))
}
