//! The servers of the testkit are what they say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use testkit::{Postgres, Redis, RedisCluster};

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
fn a_cluster_has_three_masters() {
    let cluster = RedisCluster::start();
    assert_eq!(cluster.nodes.len(), 3);
    let slots = cluster.nodes[1].command(&["CLUSTER", "INFO"]).unwrap();
    assert!(slots.contains("cluster_size:3"), "{slots}");
}

#[test]
fn postgres_keeps_what_was_committed_over_a_kill() {
    let mut postgres = Postgres::start();
    let url = postgres.create_database();
    assert_ne!(url, postgres.url());
    postgres.restart();
    assert!(std::fs::read_dir(postgres.data()).is_ok());
}
