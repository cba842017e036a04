//! `make bench`: the reference meeting, against one process and against the topology with either Redis.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use clap::Parser;
use testkit::{
    faults::Single,
    topology::{RedisKind, Topology},
};

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value_t = 221)]
    viewers: usize,
    #[arg(long, default_value_t = 435)]
    comments: usize,
    /// Over how long the meeting is replayed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = Path::new("target/bench");
    fs::create_dir_all(folder)?;
    let yitang = std::env::current_exe()?.with_file_name("yitang");
    let sessions = folder.join("sessions.json");

    let single = Single::start(&yitang, &folder.join("all"))?;
    single.mint_sessions(arguments.viewers, &sessions)?;
    meet("consultation-all", &[single.target()], &sessions, &arguments)?;
    drop(single);

    for (kind, name) in [(RedisKind::Single, "consultation-redis"), (RedisKind::Cluster, "consultation-cluster")] {
        let topology = Topology::start(&yitang, kind, &folder.join(name), None)?;
        topology.mint_sessions(arguments.viewers, &sessions)?;
        meet(name, &topology.targets(), &sessions, &arguments)?;
    }
    Ok(())
}

fn meet(name: &str, targets: &[String], sessions: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    println!("{name}");
    let json = Path::new("target/bench").join(format!("{name}.json"));
    let mut command = Command::new(std::env::current_exe()?.with_file_name("loadtest"));
    command.args(["consultation", "--strict", "--target", &targets.join(",")]).arg("--sessions").arg(sessions);
    command.args(["--viewers", &arguments.viewers.to_string(), "--comments", &arguments.comments.to_string()]);
    command.args(["--seconds", &arguments.seconds.to_string()]).arg("--json").arg(&json).arg("--html").arg(json.with_extension("html"));
    ensure!(command.status().context("running loadtest")?.success(), "{name} is not clean");
    Ok(())
}
