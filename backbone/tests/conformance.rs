//! One suite for every backbone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::{collections::HashSet, sync::Arc, time::Duration};

use backbone::{Backbone, Delivery, Follower, MemoryBackbone, PartitionSet, RedisBackbone, RedisOptions};
use bytes::Bytes;
use testkit::{Redis, RedisCluster};

const SOON: Duration = Duration::from_secs(10);

fn redis(url: String) -> RedisBackbone {
    RedisBackbone::connect(RedisOptions { url, ..RedisOptions::default() }).expect("a usable URL")
}

fn set(partitions: &[u16]) -> PartitionSet {
    partitions.iter().copied().collect()
}

async fn next(follower: &mut dyn Follower) -> Delivery {
    tokio::time::timeout(SOON, follower.next()).await.expect("a delivery in time").expect("the backbone lives")
}

/// Reads until these are confirmed; what else comes is dropped.
async fn confirmed(follower: &mut dyn Follower, partitions: PartitionSet) {
    let mut seen = PartitionSet::EMPTY;
    while !partitions.difference(&seen).is_empty() {
        match next(follower).await {
            Delivery::Confirmed { partitions } => seen = seen.union(&partitions),
            Delivery::Gap { partitions } => seen = seen.difference(&partitions),
            Delivery::Message { .. } => {}
        }
    }
}

async fn message(follower: &mut dyn Follower) -> (u16, Bytes) {
    loop {
        if let Delivery::Message { partition, payload } = next(follower).await {
            return (partition, payload);
        }
    }
}

async fn publish(backbone: &dyn Backbone, partition: u16, text: &str) {
    backbone.publish(partition, Bytes::copy_from_slice(text.as_bytes())).await.expect("published");
}

async fn conforms(publisher: Arc<dyn Backbone>, subscriber: Arc<dyn Backbone>) {
    // Spread over the slots of a cluster: several on each node.
    let wanted = set(&[0, 1, 2, 3, 50, 51, 100, 150, 200, 255]);
    let mut follower = subscriber.follow();
    follower.want(wanted);
    confirmed(follower.as_mut(), wanted).await;
    testkit::eventually(SOON, "it is healthy", || async { subscriber.healthy().then_some(()) }).await;

    // In order within a partition, each once, nothing that is not wanted.
    for number in 0..200_u16 {
        publish(publisher.as_ref(), 50, &number.to_string()).await;
        publish(publisher.as_ref(), 60, "not wanted").await;
    }
    for number in 0..200_u16 {
        assert_eq!(message(follower.as_mut()).await, (50, Bytes::from(number.to_string())));
    }
    for partition in wanted.iter() {
        publish(publisher.as_ref(), partition, "each").await;
    }
    let mut each = HashSet::new();
    while each.len() < wanted.len() {
        each.insert(message(follower.as_mut()).await.0);
    }

    // A second follower is told that what stands already is confirmed for it too.
    let mut second = subscriber.follow();
    second.want(set(&[50, 77]));
    confirmed(second.as_mut(), set(&[50, 77])).await;
    publish(publisher.as_ref(), 77, "for the second").await;
    assert_eq!(message(second.as_mut()).await, (77, Bytes::from("for the second")));

    // Wanted no more: nothing comes; wanted again: confirmed anew before anything does.
    follower.want(set(&[1]));
    publish(publisher.as_ref(), 50, "nobody hears this here").await;
    publish(publisher.as_ref(), 1, "this one").await;
    assert_eq!(message(follower.as_mut()).await, (1, Bytes::from("this one")));
    follower.want(set(&[1, 50]));
    confirmed(follower.as_mut(), set(&[50])).await;
    publish(publisher.as_ref(), 50, "again").await;
    assert_eq!(message(follower.as_mut()).await, (50, Bytes::from("again")));
}

async fn overflows_into_a_gap(publisher: Arc<dyn Backbone>, small: Arc<dyn Backbone>) {
    let mut follower = small.follow();
    follower.want(set(&[9]));
    confirmed(follower.as_mut(), set(&[9])).await;
    for number in 0..500 {
        publish(publisher.as_ref(), 9, &number.to_string()).await;
    }
    let mut messages = 0;
    loop {
        match next(follower.as_mut()).await {
            Delivery::Message { .. } => messages += 1,
            Delivery::Gap { partitions } => {
                assert!(partitions.contains(9));
                break;
            }
            Delivery::Confirmed { .. } => {}
        }
    }
    assert!(messages < 500, "{messages}");
    confirmed(follower.as_mut(), set(&[9])).await;
    // What is left of the flood may fill the queue once more: said until it is heard.
    loop {
        publish(publisher.as_ref(), 9, "after").await;
        let heard = async { while message(follower.as_mut()).await.1 != "after" {} };
        if tokio::time::timeout(Duration::from_millis(200), heard).await.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn memory_conforms() {
    let backbone = Arc::new(MemoryBackbone::new(8_192));
    conforms(backbone.clone(), backbone).await;
    let small = Arc::new(MemoryBackbone::new(16));
    overflows_into_a_gap(small.clone(), small).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    let server = Redis::start();
    conforms(Arc::new(redis(server.url())), Arc::new(redis(server.url()))).await;
    let small = RedisBackbone::connect(RedisOptions { url: server.url(), queue: 16, ..RedisOptions::default() }).unwrap();
    overflows_into_a_gap(Arc::new(redis(server.url())), Arc::new(small)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster_conforms() {
    let cluster = RedisCluster::start();
    conforms(Arc::new(redis(cluster.url())), Arc::new(redis(cluster.url()))).await;
}

/// After any trouble: a gap, then confirmed again, then messages, without anybody's help.
async fn heals(subscriber: &dyn Backbone, publisher: &dyn Backbone, follower: &mut dyn Follower, wanted: PartitionSet) {
    let mut gap = PartitionSet::EMPTY;
    while gap.is_empty() {
        if let Delivery::Gap { partitions } = next(follower).await {
            gap = partitions;
        }
    }
    confirmed(follower, gap.intersection(&wanted)).await;
    testkit::eventually(SOON, "the backbone is healthy again", || async { subscriber.healthy().then_some(()) }).await;
    let partition = gap.intersection(&wanted).iter().next().expect("one of those wanted");
    testkit::eventually(SOON, "publishing works again", || async { publisher.publish(partition, "healed".into()).await.ok() }).await;
    while message(follower).await.1 != "healed" {}
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_lost_and_found() {
    let mut server = Redis::start();
    let (publisher, subscriber) = (redis(server.url()), redis(server.url()));
    let wanted = set(&[3, 4, 5]);
    let mut follower = subscriber.follow();
    follower.want(wanted);
    confirmed(follower.as_mut(), wanted).await;

    // CLIENT KILL of the subscriptions.
    let _ = server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    heals(&subscriber, &publisher, follower.as_mut(), wanted).await;

    // Stopped: it takes bytes and answers nothing. That is noticed by the probe, and publishing fails quickly.
    server.stop();
    testkit::eventually(Duration::from_secs(4), "the silence is noticed", || async { (!subscriber.healthy()).then_some(()) }).await;
    let started = std::time::Instant::now();
    assert!(publisher.publish(3, "into the void".into()).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(3));
    server.cont();
    heals(&subscriber, &publisher, follower.as_mut(), wanted).await;

    // Killed, and away for a while.
    server.kill();
    testkit::eventually(Duration::from_secs(4), "the loss is noticed", || async { (!subscriber.healthy()).then_some(()) }).await;
    assert!(publisher.publish(3, "nobody there".into()).await.is_err());
    server.restart();
    heals(&subscriber, &publisher, follower.as_mut(), wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_loses_its_subscriptions_and_a_slot_moves() {
    let cluster = RedisCluster::start();
    let (publisher, subscriber) = (redis(cluster.url()), redis(cluster.url()));
    let wanted = PartitionSet::ALL;
    let mut follower = subscriber.follow();
    follower.want(wanted);
    confirmed(follower.as_mut(), wanted).await;

    // All of one node's subscriptions, many slots of them.
    let _ = cluster.nodes[1].command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    heals(&subscriber, &publisher, follower.as_mut(), wanted).await;

    // The slot of one partition's channel moves to another node, and its subscription is taken back unasked.
    let slot = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", "y:7"]).unwrap();
    let slot = slot.trim_start_matches(':').trim().to_owned();
    let id = |node: &Redis| node.command(&["CLUSTER", "MYID"]).unwrap();
    let owner = usize::from(slot.parse::<u16>().unwrap()) * 3 / 16_384;
    let target = (owner + 1) % 3;
    let target_id = id(&cluster.nodes[target]);
    let source_id = id(&cluster.nodes[owner]);
    let said = [
        cluster.nodes[target].command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]),
        cluster.nodes[owner].command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]),
        cluster.nodes[target].command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]),
        cluster.nodes[owner].command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]),
    ];
    assert!(said.iter().all(|answer| answer.as_deref() == Some("+OK\r\n")), "{said:?}");
    testkit::eventually(Duration::from_secs(20), "what is published in the moved slot arrives", || async {
        publisher.publish(7, "moved".into()).await.ok()?;
        let within = Duration::from_millis(500);
        let arrived = async {
            // A fresh follower each time: it hears only what comes after its own confirmation.
            let mut fresh = subscriber.follow();
            fresh.want(set(&[7]));
            confirmed(fresh.as_mut(), set(&[7])).await;
            publisher.publish(7, "moved".into()).await.ok()?;
            Some(message(fresh.as_mut()).await)
        };
        tokio::time::timeout(within, arrived).await.ok().flatten()
    })
    .await;

    // A node dies and comes back.
    let mut cluster = cluster;
    cluster.nodes[2].kill();
    testkit::eventually(SOON, "the loss is noticed", || async { (!subscriber.healthy()).then_some(()) }).await;
    cluster.nodes[2].restart();
    testkit::eventually(Duration::from_secs(20), "all is served again", || async { subscriber.healthy().then_some(()) }).await;
}
