//! Something dies under load, each in a short form; `make faults` does the same at full length. Nothing that was
//! acknowledged is lost, doubled or out of order, and all are whole again within five seconds.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use testkit::{
    faults::{Fault, Load, Outcome, Single, run},
    topology::{RedisKind, Topology},
};

fn yitang() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_yitang"))
}

fn load(folder: &Path) -> Load {
    // Cargo builds it with the workspace's tests; by itself: cargo build -p loadtest.
    let executable: PathBuf = yitang().with_file_name("loadtest");
    assert!(executable.exists(), "{} is not there: run the tests of the whole workspace, or cargo build -p loadtest", executable.display());
    Load {
        executable,
        folder: folder.to_owned(),
        viewers: 24,
        posts_per_s: 50.0,
        before: Duration::from_secs(2),
        after: Duration::from_secs(4),
        stopped: Duration::from_secs(5),
    }
}

/// One at a time, also where tests are threads of one process: each measures time under load.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One topology for several faults, one after the other: starting it costs more than a fault.
fn survives(name: &str, kind: RedisKind, faults: &[Fault]) {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut topology = Topology::start(yitang(), kind, &folder, None).unwrap();
    let load = load(&folder);
    topology.mint_sessions(load.viewers, &folder.join("sessions.json")).unwrap();
    for fault in faults {
        holds(&run(&mut topology, *fault, &load).unwrap());
    }
}

fn holds(outcome: &Outcome) {
    println!("{outcome:?}");
    assert!(outcome.holds(), "{outcome:#?}");
}

#[test]
fn comments_survive_the_death_of_a_gateway_and_of_a_chat_core() {
    survives("faults-roles", RedisKind::Single, &[Fault::KillGateway, Fault::KillChatCore]);
}

#[test]
fn comments_go_on_while_redis_is_restarted_and_stopped_and_cuts_subscriptions() {
    survives("faults-redis", RedisKind::Single, &[Fault::RestartRedis, Fault::StopRedis, Fault::KillSubscriptions]);
}

#[test]
fn comments_survive_a_restart_of_postgresql() {
    survives("faults-postgres", RedisKind::Single, &[Fault::RestartPostgres]);
}

#[test]
fn a_cluster_that_cuts_its_subscriptions_loses_nothing() {
    survives("faults-cluster", RedisKind::Cluster, &[Fault::KillSubscriptions]);
}

#[test]
fn one_process_killed_and_started_again_loses_nothing() {
    let _alone = alone();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faults-all");
    let mut single = Single::start(yitang(), &folder).unwrap();
    let load = load(&folder);
    single.mint_sessions(load.viewers, &folder.join("sessions.json")).unwrap();
    holds(&single.kill_and_restart(&load).unwrap());
}
