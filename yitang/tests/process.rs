//! How a role sits on its machine: a gateway that has one CPU is one thread, one that has more has a thread for each core;
//! its memory is in small pages.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path, process::Command, time::Duration};

use testkit::{Child, Redis, eventually, free_port};

const SOON: Duration = Duration::from_secs(20);

/// The first CPU that this process may run on.
fn a_cpu() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    allowed.chars().take_while(char::is_ascii_digit).collect()
}

/// How many threads of this process are called so. One that ends meanwhile is not counted.
fn called(pid: u32, name: &str) -> usize {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).filter(|comm| comm.starts_with(name)).count()
}

/// A gateway that listens.
async fn gateway(mut command: Command, redis: &Redis, folder: &Path) -> Child {
    let (port, admin) = (free_port(), free_port());
    command.args(["gateway", "--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(folder);
    for setting in [
        "key=0123456789abcdef0123456789abcdef".to_owned(),
        format!("redis.url={}", redis.url()),
        format!("listen.gateway_admin=127.0.0.1:{admin}"),
        format!("peers.chat_cores=http://127.0.0.1:{}", free_port()),
    ] {
        command.args(["--set", &setting]);
    }
    let child = Child::start(command, "util-linux");
    let address = ("127.0.0.1", port);
    eventually(SOON, "the gateway listens", || async { tokio::net::TcpStream::connect(address).await.ok() }).await;
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sockets_of_a_gateway_with_one_cpu_are_on_its_only_thread() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let yitang = env!("CARGO_BIN_EXE_yitang");
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &a_cpu(), yitang]);
    let mut child = gateway(pinned, &redis, folder.path()).await;
    let alone = || async { (called(child.pid(), "core-") + called(child.pid(), "tokio-rt-worker") == 0).then_some(()) };
    eventually(SOON, "nothing but the thread it began with", alone).await;
    child.end(15);
    let mut child = gateway(Command::new(yitang), &redis, folder.path()).await;
    let cpus = std::thread::available_parallelism().unwrap().get();
    let cores = if cpus == 1 { 0 } else { cpus };
    eventually(SOON, "a thread for each core", || async { (called(child.pid(), "core-") == cores).then_some(()) }).await;
    child.end(15);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_kept_in_small_pages() {
    let (redis, folder) = (Redis::start(), tempfile::tempdir().unwrap());
    let mut child = gateway(Command::new(env!("CARGO_BIN_EXE_yitang")), &redis, folder.path()).await;
    let status = fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
    let allowed = status.lines().find_map(|line| line.strip_prefix("THP_enabled:")).map(str::trim);
    assert_eq!(allowed, Some("0"), "the kernel may make huge pages of it: {status}");
    child.end(15);
}
