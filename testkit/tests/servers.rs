//! The servers of the testkit are what they say.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

use std::{
    collections::HashSet,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use testkit::{Postgres, Redis, RedisCluster, eventually, free_port};

const SOON: Duration = Duration::from_secs(10);

/// One statement; what it answers, or `None` where it fails.
fn sql(url: &str, statement: &str) -> Option<String> {
    let output = Command::new("psql").args(["-XAtqc", statement, url]).env("PGCONNECT_TIMEOUT", "5").output().expect("psql runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn state(process: u32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().next()?.chars().next()
}

#[test]
fn redis_survives_being_stopped_and_comes_back_after_a_kill() {
    let mut redis = Redis::start();
    assert_eq!(redis.command(&["SET", "a", "1"]).unwrap(), "+OK\r\n");
    redis.stop();
    redis.cont();
    assert_eq!(redis.command(&["GET", "a"]).unwrap(), "1");
    redis.kill();
    assert!(redis.command(&["PING"]).is_none());
    redis.restart();
    assert!(redis.command(&["PING"]).is_some());
}

#[test]
fn a_cluster_has_three_masters_and_is_whole_again_after_a_kill() {
    let mut cluster = RedisCluster::start();
    assert_eq!(cluster.nodes.len(), 3);
    let slots = cluster.nodes[1].command(&["CLUSTER", "INFO"]).unwrap();
    assert!(slots.contains("cluster_size:3"), "{slots}");
    cluster.nodes[1].kill();
    cluster.nodes[1].restart();
    cluster.wait_until_whole();
}

#[test]
fn postgres_keeps_what_was_committed_over_a_kill() {
    let mut postgres = Postgres::start();
    let url = postgres.create_database();
    assert_ne!(url, postgres.url());
    sql(&url, "CREATE TABLE kept (word text); INSERT INTO kept VALUES ('committed')").unwrap();
    postgres.kill();
    assert_eq!(sql(&url, "SELECT 1"), None);
    postgres.restart();
    assert_eq!(sql(&url, "SELECT word FROM kept").as_deref(), Some("committed"));
    assert_eq!(sql(&url, "SHOW fsync").as_deref(), Some("on"));
    assert_eq!(sql(&url, "SHOW synchronous_commit").as_deref(), Some("on"));
}

#[tokio::test]
async fn postgres_is_stopped_and_killed_with_all_its_sessions() {
    let mut postgres = Postgres::start();
    let mut session = Command::new("psql").args(["-Xqc", "SELECT pg_sleep(600)", &postgres.url()]).stderr(Stdio::null()).spawn().unwrap();
    let asked = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
    let backend: u32 = eventually(SOON, "the session sleeps", || async { sql(&postgres.url(), asked)?.lines().next()?.parse().ok() }).await;
    // Sessions make process groups of their own: a signal to the server's group does not reach them.
    postgres.stop();
    eventually(SOON, "the session is stopped", || async { (state(backend) == Some('T')).then_some(()) }).await;
    postgres.cont();
    eventually(SOON, "it goes on", || async { (state(backend) == Some('S')).then_some(()) }).await;
    postgres.kill();
    assert!(matches!(state(backend), None | Some('Z' | 'X')), "it died with the server: {:?}", state(backend));
    session.wait().unwrap();
}

/// Set for the process that is to be killed: the same test, which then does nothing but start servers.
const UNTIL_KILLED: &str = "TESTKIT_SERVERS_UNTIL_KILLED";

fn servers_until_killed() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    println!("\nservers {} {} {}", redis.pid(), postgres.pid(), postgres.folder().display());
    // Until it is killed; or until the other is gone without having done so.
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

#[tokio::test]
async fn servers_are_gone_when_the_test_is_killed() {
    if std::env::var_os(UNTIL_KILLED).is_some() {
        return servers_until_killed();
    }
    let mut test = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "servers_are_gone_when_the_test_is_killed", "--nocapture"])
        .env(UNTIL_KILLED, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let line = lines.map_while(Result::ok).find(|line| line.starts_with("servers ")).expect("it started its servers");
    let words: Vec<&str> = line.split(' ').collect();
    let (redis, postgres): (u32, u32) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    assert!(state(redis).is_some() && state(postgres).is_some());
    test.kill().unwrap();
    test.wait().unwrap();
    let gone = |process| matches!(state(process), None | Some('Z' | 'X'));
    eventually(SOON, "both are gone", || async { (gone(redis) && gone(postgres)).then_some(()) }).await;
    // What nobody was left to remove.
    let _ = std::fs::remove_dir_all(PathBuf::from(words[3]));
}

#[test]
fn ports_are_low_and_given_once() {
    let ports: Vec<u16> = (0..200).map(|_| free_port()).collect();
    assert!(ports.iter().all(|port| *port < 32_768));
    assert_eq!(ports.iter().collect::<HashSet<_>>().len(), ports.len());
}

#[tokio::test]
#[should_panic(expected = "never")]
async fn an_attempt_that_hangs_does_not_hang_the_test() {
    eventually::<(), _>(Duration::from_millis(50), "never", std::future::pending).await;
}
