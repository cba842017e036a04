//! `make up-local`: the topology of docker-compose.yml as plain processes, until it is told to stop.

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;
use testkit::topology::{FrontPorts, RedisKind, Topology};

#[derive(Parser)]
struct Arguments {
    /// One Redis, or a cluster of three nodes.
    #[arg(long, value_parser = ["single", "cluster"], default_value = "single")]
    redis: String,
    /// Where browsers come to.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where programs come to, by gRPC without TLS.
    #[arg(long, default_value_t = 8081)]
    grpc_port: u16,
    /// Where logs, addresses.json and sessions.json go.
    #[arg(long, default_value = "target/up-local")]
    folder: PathBuf,
    /// Demo sessions in sessions.json, for load tests.
    #[arg(long, default_value_t = 1000)]
    sessions: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let kind = if arguments.redis == "cluster" { RedisKind::Cluster } else { RedisKind::Single };
    let executable = std::env::current_exe()?.with_file_name("yitang");
    let front = FrontPorts { http: arguments.port, grpc: arguments.grpc_port };
    let mut topology = Topology::start(&executable, kind, &arguments.folder, Some(front))?;
    topology.mint_sessions(arguments.sessions, &arguments.folder.join("sessions.json"))?;
    let shown = describe(&mut topology, std::process::id());
    let path = arguments.folder.join("addresses.json");
    fs::write(&path, serde_json::to_string_pretty(&shown)?).with_context(|| path.display().to_string())?;
    println!("{}", serde_json::to_string_pretty(&shown)?);
    println!("Sign in as member1, staff1 …, password yitang-demo, at {}. Ctrl-C ends all of it.", topology.addresses.public_url);
    // On this thread: the processes end with the thread that started them.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        anyhow::Ok(())
    })?;
    // Gateways first: they close their sockets before whom they call goes.
    topology.gateways.iter_mut().for_each(testkit::topology::RoleProcess::end);
    topology.chat_cores.iter_mut().for_each(testkit::topology::RoleProcess::end);
    topology.presence.end();
    Ok(())
}

fn describe(topology: &mut Topology, own: u32) -> serde_json::Value {
    let roles: serde_json::Map<_, _> = topology
        .roles()
        .map(|role| {
            let endpoint = &role.plan().endpoint;
            (endpoint.name.clone(), serde_json::json!({ "pid": role.pid(), "address": endpoint.address, "admin": endpoint.admin }))
        })
        .collect();
    let redis: Vec<_> = topology.redis.nodes().iter().map(|node| serde_json::json!({ "pid": node.pid(), "url": node.url() })).collect();
    serde_json::json!({
        "pid": own,
        "url": topology.addresses.public_url,
        "grpc": format!("http://127.0.0.1:{}", topology.addresses.front.grpc),
        "front": topology.front_pid(),
        "targets": topology.targets(),
        "roles": roles,
        "postgres": { "pid": topology.postgres.pid(), "url": topology.addresses.database, "data": topology.postgres.data() },
        "redis": redis,
    })
}
