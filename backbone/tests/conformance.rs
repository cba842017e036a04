//! One suite for every backbone.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

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

/// While others publish without pause: nothing is delivered before its partition is confirmed, nor between a gap and that.
async fn confirms_before_it_delivers(publisher: Arc<dyn Backbone>, subscriber: Arc<dyn Backbone>) {
    let flood = tokio::spawn(async move {
        loop {
            for partition in 20..24 {
                let _ = publisher.publish(partition, Bytes::from_static(b"flood")).await;
            }
            tokio::task::yield_now().await;
        }
    });
    for _ in 0..20 {
        let mut follower = subscriber.follow();
        follower.want(set(&[20, 21]));
        let (mut stands, mut heard) = (PartitionSet::EMPTY, PartitionSet::EMPTY);
        while heard != set(&[20, 21]) {
            match next(follower.as_mut()).await {
                Delivery::Confirmed { partitions } => stands = stands.union(&partitions),
                Delivery::Gap { partitions } => stands = stands.difference(&partitions),
                Delivery::Message { partition, .. } => {
                    assert!(stands.contains(partition), "{partition} was delivered before it was confirmed");
                    heard.insert(partition);
                }
            }
        }
        // Given up with messages of it still queued: none of them comes.
        follower.want(set(&[21]));
        for _ in 0..20 {
            if let Delivery::Message { partition, .. } = next(follower.as_mut()).await {
                assert_eq!(partition, 21, "what is not wanted is not delivered");
            }
        }
    }
    flood.abort();
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
    let flooded = Arc::new(MemoryBackbone::new(8_192));
    confirms_before_it_delivers(flooded.clone(), flooded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_conforms() {
    let server = Redis::start();
    conforms(Arc::new(redis(server.url())), Arc::new(redis(server.url()))).await;
    let small = RedisBackbone::connect(RedisOptions { url: server.url(), queue: 16, ..RedisOptions::default() }).unwrap();
    overflows_into_a_gap(Arc::new(redis(server.url())), Arc::new(small)).await;
    confirms_before_it_delivers(Arc::new(redis(server.url())), Arc::new(redis(server.url()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster_conforms() {
    let cluster = RedisCluster::start();
    conforms(Arc::new(redis(cluster.url())), Arc::new(redis(cluster.url()))).await;
    let small = RedisBackbone::connect(RedisOptions { url: cluster.url(), queue: 16, ..RedisOptions::default() }).unwrap();
    overflows_into_a_gap(Arc::new(redis(cluster.url())), Arc::new(small)).await;
    confirms_before_it_delivers(Arc::new(redis(cluster.url())), Arc::new(redis(cluster.url()))).await;
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
    let stopped = std::time::Instant::now();
    testkit::eventually(Duration::from_secs(3), "the silence is noticed", || async { (!subscriber.healthy()).then_some(()) }).await;
    let started = std::time::Instant::now();
    assert!(publisher.publish(3, "into the void".into()).await.is_err());
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // Five seconds: long enough for many attempts at connecting, which the system accepts in the server's name.
    let (mut tried, mut at_once) = (0, 0);
    while stopped.elapsed() < Duration::from_secs(5) {
        let started = std::time::Instant::now();
        assert!(publisher.publish(3, "into the void".into()).await.is_err());
        (tried, at_once) = (tried + 1, at_once + usize::from(started.elapsed() < Duration::from_millis(50)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(at_once * 2 > tried, "most publications are refused at once: {at_once} of {tried}");
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
    let from = owner(&cluster, 7);
    move_slot(&cluster, 7, from, (from + 1) % 3);
    // The same follower is told, without anybody's help.
    let mut gap = PartitionSet::EMPTY;
    while !gap.contains(7) {
        if let Delivery::Gap { partitions } = next(follower.as_mut()).await {
            gap = gap.union(&partitions);
        }
    }
    arrives(&publisher, follower.as_mut(), 7, "moved").await;
    // And nothing else was lost with it.
    for partition in [0, 1, 2, 50, 100, 200, 255] {
        arrives(&publisher, follower.as_mut(), partition, "after the move").await;
    }

    // A node dies and comes back.
    let mut cluster = cluster;
    cluster.nodes[2].kill();
    testkit::eventually(SOON, "the loss is noticed", || async { (!subscriber.healthy()).then_some(()) }).await;
    cluster.nodes[2].restart();
    heals(&subscriber, &publisher, follower.as_mut(), wanted).await;
    for partition in wanted.iter() {
        arrives(&publisher, follower.as_mut(), partition, "all is served").await;
    }
}

/// Published until it is heard: what is published in a gap is lost, as it should be.
async fn arrives(publisher: &dyn Backbone, follower: &mut dyn Follower, partition: u16, text: &str) {
    let started = std::time::Instant::now();
    loop {
        let _ = publisher.publish(partition, Bytes::copy_from_slice(text.as_bytes())).await;
        let heard = async { while message(follower).await != (partition, Bytes::copy_from_slice(text.as_bytes())) {} };
        if tokio::time::timeout(Duration::from_millis(300), heard).await.is_ok() {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(15), "{text} is not heard in {partition}");
    }
}

/// The slot of a partition's channel moves to the next node, as `redis-cli --cluster reshard` does it.
fn move_slot(cluster: &RedisCluster, partition: u16, from: usize, to: usize) {
    let slot = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", &format!("y:{partition}")]).unwrap();
    let slot = slot.trim_start_matches(':').trim().to_owned();
    let (target, source) = (&cluster.nodes[to], &cluster.nodes[from]);
    let (target_id, source_id) = (target.command(&["CLUSTER", "MYID"]).unwrap(), source.command(&["CLUSTER", "MYID"]).unwrap());
    let said = [
        target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]),
        source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]),
        target.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]),
        source.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]),
    ];
    assert!(said.iter().all(|answer| answer.as_deref() == Some("+OK\r\n")), "{said:?}");
}

fn owner(cluster: &RedisCluster, partition: u16) -> usize {
    let slot = cluster.nodes[0].command(&["CLUSTER", "KEYSLOT", &format!("y:{partition}")]).unwrap();
    let slot: usize = slot.trim_start_matches(':').trim().parse().unwrap();
    // As the testkit gives them out.
    (0..3).find(|node| (16_384 * node / 3..16_384 * (node + 1) / 3).contains(&slot)).unwrap()
}

/// The server takes subscriptions back unasked while others are being asked for: no answer is taken for another's, so
/// nobody is told that a subscription stands which does not.
#[tokio::test(flavor = "multi_thread")]
async fn slots_move_while_wants_change() {
    let cluster = RedisCluster::start();
    let (publisher, subscriber) = (redis(cluster.url()), redis(cluster.url()));
    let mut steady = subscriber.follow();
    steady.want(PartitionSet::ALL);
    confirmed(steady.as_mut(), PartitionSet::ALL).await;
    let moving: Vec<u16> = (0..256).filter(|partition| owner(&cluster, *partition) == 0).take(12).collect();
    let mut restless = subscriber.follow();
    for (round, partition) in moving.iter().enumerate() {
        steady.want(if round % 2 == 0 { set(&moving) } else { PartitionSet::ALL });
        restless.want(set(&[moving[round], 255 - *partition, 3]));
        move_slot(&cluster, *partition, 0, 1 + round % 2);
        tokio::task::yield_now().await;
    }
    steady.want(PartitionSet::ALL);
    for partition in PartitionSet::ALL.iter() {
        arrives(&publisher, steady.as_mut(), partition, "still here").await;
    }
}

/// A node that takes bytes and answers nothing holds up nobody at the other nodes.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_hangs_holds_up_no_other() {
    let cluster = RedisCluster::start();
    let (publisher, subscriber) = (Arc::new(redis(cluster.url())), redis(cluster.url()));
    let (hung, well) =
        (0..256).fold(
            (None, None),
            |(hung, well), partition| {
                if owner(&cluster, partition) == 0 { (Some(partition), well) } else { (hung, Some(partition)) }
            },
        );
    let (hung, well) = (hung.unwrap(), well.unwrap());
    let mut follower = subscriber.follow();
    follower.want(set(&[hung, well]));
    confirmed(follower.as_mut(), set(&[hung, well])).await;
    arrives(publisher.as_ref(), follower.as_mut(), hung, "before").await;
    arrives(publisher.as_ref(), follower.as_mut(), well, "before").await;
    cluster.nodes[0].stop();
    let flood: Vec<_> = (0..2_000)
        .map(|_| {
            let publisher = publisher.clone();
            tokio::spawn(async move { publisher.publish(hung, "into the void".into()).await })
        })
        .collect();
    testkit::eventually(SOON, "the silence is noticed", || async { (!subscriber.healthy()).then_some(()) }).await;
    for task in flood {
        assert!(task.await.unwrap().is_err());
    }
    for _ in 0..50 {
        let started = std::time::Instant::now();
        publish(publisher.as_ref(), well, "well").await;
        while message(follower.as_mut()).await != (well, Bytes::from("well")) {}
        assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    }
    cluster.nodes[0].cont();
    arrives(publisher.as_ref(), follower.as_mut(), hung, "after").await;
}
