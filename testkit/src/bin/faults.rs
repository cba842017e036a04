//! `make faults`: every fault under load, on the topology of several processes and on one process.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser;
use testkit::{
    faults::{Fault, Load, Outcome, Single, run},
    topology::{RedisKind, Topology},
};

#[derive(Parser)]
struct Arguments {
    /// Where the results go.
    #[arg(long, default_value = "target/bench/faults.json")]
    json: PathBuf,
    #[arg(long, default_value_t = 221)]
    viewers: usize,
    #[arg(long, default_value_t = 60.0)]
    posts_per_s: f64,
    /// How long Redis is stopped.
    #[arg(long, default_value_t = 20)]
    stopped_s: u64,
    /// Also with a Redis Cluster.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    cluster: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = arguments.json.parent().context("a file in a folder")?.join("faults");
    fs::create_dir_all(&folder)?;
    let beside = |name: &str| std::env::current_exe().map(|path| path.with_file_name(name));
    let (yitang, loadtest) = (beside("yitang")?, beside("loadtest")?);
    let load = Load {
        executable: loadtest,
        folder: folder.clone(),
        viewers: arguments.viewers,
        posts_per_s: arguments.posts_per_s,
        before: Duration::from_secs(4),
        after: Duration::from_secs(8),
        stopped: Duration::from_secs(arguments.stopped_s),
    };
    let sessions = folder.join("sessions.json");
    let mut outcomes = Vec::new();
    let kinds = [Some(RedisKind::Single), arguments.cluster.then_some(RedisKind::Cluster)];
    for kind in kinds.into_iter().flatten() {
        let mut topology = Topology::start(&yitang, kind, &folder.join(format!("{kind:?}")), None)?;
        topology.mint_sessions(load.viewers, &sessions)?;
        for fault in Fault::ALL {
            outcomes.push(printed(run(&mut topology, fault, &load)?));
        }
    }
    let mut single = Single::start(&yitang, &folder.join("all"))?;
    single.mint_sessions(load.viewers, &sessions)?;
    outcomes.push(printed(single.kill_and_restart(&load)?));
    fs::write(&arguments.json, serde_json::to_string_pretty(&outcomes)?)?;
    println!("{}", arguments.json.display());
    if outcomes.iter().any(|outcome| !outcome.holds()) {
        bail!("not every fault was without consequence");
    }
    Ok(())
}

/// Prints one line on a fault.
fn printed(outcome: Outcome) -> Outcome {
    println!(
        "{} {:32} lost {} doubled {} out of order {} unacknowledged seen {}; {} acknowledged during; whole after {:.1} s; p99 {} ms",
        if outcome.holds() { "ok " } else { "BAD" },
        outcome.fault,
        outcome.lost,
        outcome.duplicated,
        outcome.out_of_order,
        outcome.unacknowledged_seen,
        outcome.acknowledged_during,
        outcome.seconds_until_whole,
        outcome.screen_p99_ms_during,
    );
    outcome
}
