//! One subscription connection to one server: compares wanted with confirmed partitions in a loop, and is replaced when its
//! own probes do not arrive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use parking_lot::Mutex;
use redis::{PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use tokio::{sync::Notify, time::sleep};

use super::{
    shared::Shared,
    topology::{Node, Servers, client, config},
};
use crate::{Partition, PartitionSet};

/// What the driver's push messages have reported.
#[derive(Default)]
struct Pushes {
    probe_at: Mutex<Option<Instant>>,
    lost: AtomicBool,
    /// Partitions whose subscription the server has confirmed by name. The driver's answer to a command is not enough: when a
    /// slot moves, the server takes a subscription back unasked, and the driver takes that for the answer to whatever was
    /// asked last, so that all answers after it are those of other commands.
    standing: Mutex<PartitionSet>,
    changed: Notify,
}

/// Keeps one node's subscriptions until the task is aborted.
pub async fn run(shared: Arc<Shared>, node: Node) {
    let mut wait = Duration::from_millis(shared.options.retry_min_ms);
    loop {
        let started = Instant::now();
        let mut confirmed = PartitionSet::EMPTY;
        let ended = subscribe(&shared, &node, &mut confirmed).await;
        // Everything that was confirmed is in doubt from here on.
        shared.report_gap(&node.url, confirmed);
        shared.set_healthy(&node.url, false);
        metrics::counter!("yitang_backbone_connections_lost_total").increment(1);
        tracing::warn!(node = %printable(&node.url), reason = %ended, "the backbone's subscriptions are lost; connecting anew");
        // The servers may have changed.
        shared.request_discovery();
        if started.elapsed() > Duration::from_secs(10) {
            wait = Duration::from_millis(shared.options.retry_min_ms);
        }
        sleep(wait + wait.mul_f32(rand::random::<f32>())).await;
        wait = (wait * 2).min(Duration::from_millis(shared.options.retry_max_ms));
    }
}

/// Subscribes, and returns the reason when the connection cannot be used any more.
async fn subscribe(shared: &Arc<Shared>, node: &Node, confirmed: &mut PartitionSet) -> String {
    let pushes = Arc::new(Pushes::default());
    let connection = match connect(shared, node, pushes.clone()).await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    let subscribe_command = if shared.servers.cluster { "SSUBSCRIBE" } else { "SUBSCRIBE" };
    let unsubscribe_command = if shared.servers.cluster { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" };
    if let Err(error) = send_command(&connection, subscribe_command, &node.probe).await {
        return error.to_string();
    }
    *pushes.probe_at.lock() = Some(Instant::now());
    let silence = Duration::from_millis(shared.options.silence_ms);
    let every = Duration::from_millis(shared.options.probe_ms);
    let mut probed = Instant::now() - every;
    let mut wants = shared.wants.subscribe();
    loop {
        // Marked as seen before `wanted` is read: a change after this wakes the loop.
        wants.borrow_and_update();
        if pushes.lost.load(Ordering::Acquire) {
            return "the connection was closed".to_owned();
        }
        let withdrawn = confirmed.difference(&pushes.standing.lock());
        if !withdrawn.is_empty() {
            shared.report_gap(&node.url, withdrawn);
            *confirmed = confirmed.difference(&withdrawn);
            shared.request_discovery();
        }
        let wanted = shared.wanted().intersection(&node.partitions);
        let missing: Vec<Partition> = wanted.difference(confirmed).iter().collect();
        if !missing.is_empty() {
            // One channel a command: a cluster refuses several of different slots.
            let channels: Vec<String> = missing.iter().map(|partition| shared.servers.channel(*partition)).collect();
            let answers = join_all(channels.iter().map(|channel| send_command(&connection, subscribe_command, channel))).await;
            if let Some(error) = answers.into_iter().find_map(Result::err) {
                return error.to_string();
            }
            let new: PartitionSet = missing.into_iter().collect();
            if !new.difference(&pushes.standing.lock()).is_empty() {
                return "a subscription was answered but not confirmed by name".to_owned();
            }
            *confirmed = confirmed.union(&new);
            shared.confirm(&node.url, new);
        }
        let surplus: Vec<Partition> = confirmed.difference(&wanted).iter().collect();
        let channels: Vec<String> = surplus.iter().map(|partition| shared.servers.channel(*partition)).collect();
        let answers = join_all(channels.iter().map(|channel| send_command(&connection, unsubscribe_command, channel))).await;
        *confirmed = confirmed.intersection(&wanted);
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return error.to_string();
        }
        // For followers that came after the subscription was confirmed.
        shared.notify_confirmed(*confirmed);

        if probed.elapsed() >= every {
            probed = Instant::now();
            let publish = if shared.servers.cluster { "SPUBLISH" } else { "PUBLISH" };
            let mut probing = connection.clone();
            let probe = node.probe.clone();
            tokio::spawn(async move { redis::cmd(publish).arg(probe).arg("1").exec_async(&mut probing).await });
        }
        let age = pushes.probe_at.lock().map_or(silence, |at| at.elapsed());
        if age >= silence {
            return format!("no probe arrived on the subscription for {} ms", age.as_millis());
        }
        shared.set_healthy(&node.url, age < silence / 2 + every);
        tokio::select! {
            () = sleep(every / 2) => {}
            () = pushes.changed.notified() => {}
            _ = wants.changed() => {}
        }
    }
}

async fn connect(shared: &Arc<Shared>, node: &Node, pushes: Arc<Pushes>) -> Result<MultiplexedConnection, RedisError> {
    let (sink, probe) = (shared.clone(), node.probe.clone());
    let on_push = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
        let mut data = push.data.into_iter();
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next()) else {
                    return Ok(());
                };
                match sink.servers.partition(&channel) {
                    Some(partition) => sink.deliver(partition, &Bytes::from(payload)),
                    None if channel == probe.as_bytes() => *pushes.probe_at.lock() = Some(Instant::now()),
                    None => {}
                }
            }
            PushKind::Disconnection => {
                pushes.lost.store(true, Ordering::Release);
                pushes.changed.notify_one();
            }
            PushKind::SSubscribe | PushKind::Subscribe => {
                if let Some(partition) = partition_named(&sink.servers, data.next()) {
                    pushes.standing.lock().insert(partition);
                }
            }
            PushKind::SUnsubscribe | PushKind::Unsubscribe => {
                if let Some(partition) = partition_named(&sink.servers, data.next()) {
                    pushes.standing.lock().remove(partition);
                    pushes.changed.notify_one();
                }
            }
            _ => {}
        }
        Ok(())
    };
    client(&node.url)?.get_multiplexed_async_connection_with_config(&config(&shared.options).set_push_sender(on_push)).await
}

/// The partition whose channel a confirmation names.
fn partition_named(servers: &Servers, channel: Option<Value>) -> Option<Partition> {
    match channel {
        Some(Value::BulkString(channel)) => servers.partition(&channel),
        _ => None,
    }
}

async fn send_command(connection: &MultiplexedConnection, command: &str, channel: &str) -> Result<(), RedisError> {
    redis::cmd(command).arg(channel).exec_async(&mut connection.clone()).await
}

/// The host of a URL, without user and password.
pub fn printable(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}
