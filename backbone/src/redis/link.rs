//! One connection that subscribes at one server: what is wanted is compared with what is confirmed again and again, and
//! the connection hears itself, or is torn down.

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
    Shared,
    topology::{Node, Place, client, config},
};
use crate::{Partition, PartitionSet};

/// What the connection's pushes tell the task.
#[derive(Default)]
struct Heard {
    probe: Mutex<Option<Instant>>,
    lost: AtomicBool,
    /// Partitions that stand, as the server named them one by one. The driver's answer to a command is not enough: when a
    /// slot moves, the server takes a subscription back unasked, and the driver takes that for the answer to whatever was
    /// asked last, so that all answers after it are those of other commands.
    stand: Mutex<PartitionSet>,
    news: Notify,
}

/// Keeps one node's subscriptions until told to stop.
pub async fn keep(shared: Arc<Shared>, node: Node) {
    let mut wait = Duration::from_millis(shared.options.retry_min_ms);
    loop {
        let started = Instant::now();
        let mut confirmed = PartitionSet::EMPTY;
        let ended = subscribe(&shared, &node, &mut confirmed).await;
        // Everything that was confirmed is in doubt from here on.
        shared.gap(&node.url, confirmed);
        shared.healthy(&node.url, false);
        metrics::counter!("yitang_backbone_connections_lost_total").increment(1);
        tracing::warn!(node = %printable(&node.url), reason = %ended, "the backbone's subscriptions are lost; connecting anew");
        // What the servers look like may have changed.
        shared.look_again();
        if started.elapsed() > Duration::from_secs(10) {
            wait = Duration::from_millis(shared.options.retry_min_ms);
        }
        sleep(wait + wait.mul_f32(rand::random::<f32>())).await;
        wait = (wait * 2).min(Duration::from_millis(shared.options.retry_max_ms));
    }
}

/// Subscribes, and stays until something is wrong; says what.
async fn subscribe(shared: &Arc<Shared>, node: &Node, confirmed: &mut PartitionSet) -> String {
    let heard = Arc::new(Heard::default());
    let connection = match connect(shared, node, heard.clone()).await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    let word = if shared.place.cluster { "SSUBSCRIBE" } else { "SUBSCRIBE" };
    let away = if shared.place.cluster { "SUNSUBSCRIBE" } else { "UNSUBSCRIBE" };
    if let Err(error) = say(&connection, word, &node.probe).await {
        return error.to_string();
    }
    *heard.probe.lock() = Some(Instant::now());
    let silence = Duration::from_millis(shared.options.silence_ms);
    let every = Duration::from_millis(shared.options.probe_ms);
    let mut probed = Instant::now() - every;
    let mut wants = shared.wants.subscribe();
    loop {
        // Seen before it is read: what changes after this wakes the loop.
        wants.borrow_and_update();
        if heard.lost.load(Ordering::Acquire) {
            return "the connection was closed".to_owned();
        }
        let taken_back = confirmed.difference(&heard.stand.lock());
        if !taken_back.is_empty() {
            shared.gap(&node.url, taken_back);
            *confirmed = confirmed.difference(&taken_back);
            shared.look_again();
        }
        let wanted = shared.wanted().intersection(&node.partitions);
        let missing: Vec<Partition> = wanted.difference(confirmed).iter().collect();
        if !missing.is_empty() {
            // One channel a command: a cluster refuses several of different slots. Each is confirmed before it is told.
            let channels: Vec<String> = missing.iter().map(|partition| shared.place.channel(*partition)).collect();
            let answers = join_all(channels.iter().map(|channel| say(&connection, word, channel))).await;
            if let Some(error) = answers.into_iter().find_map(Result::err) {
                return error.to_string();
            }
            let new: PartitionSet = missing.into_iter().collect();
            if !new.difference(&heard.stand.lock()).is_empty() {
                return "a subscription was answered but not confirmed by name".to_owned();
            }
            *confirmed = confirmed.union(&new);
            shared.confirm(&node.url, new);
        }
        let surplus: Vec<Partition> = confirmed.difference(&wanted).iter().collect();
        let channels: Vec<String> = surplus.iter().map(|partition| shared.place.channel(*partition)).collect();
        let answers = join_all(channels.iter().map(|channel| say(&connection, away, channel))).await;
        *confirmed = confirmed.intersection(&wanted);
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return error.to_string();
        }
        // Wanted by a follower that came after the subscription stood.
        shared.tell_confirmed(*confirmed);

        if probed.elapsed() >= every {
            probed = Instant::now();
            let publish = if shared.place.cluster { "SPUBLISH" } else { "PUBLISH" };
            let mut probing = connection.clone();
            let probe = node.probe.clone();
            tokio::spawn(async move { redis::cmd(publish).arg(probe).arg("1").exec_async(&mut probing).await });
        }
        let age = heard.probe.lock().map_or(silence, |at| at.elapsed());
        if age >= silence {
            return format!("nothing was heard on the subscription for {} ms", age.as_millis());
        }
        shared.healthy(&node.url, age < silence / 2 + every);
        tokio::select! {
            () = sleep(every / 2) => {}
            () = heard.news.notified() => {}
            _ = wants.changed() => {}
        }
    }
}

async fn connect(shared: &Arc<Shared>, node: &Node, heard: Arc<Heard>) -> Result<MultiplexedConnection, RedisError> {
    let (sink, probe) = (shared.clone(), node.probe.clone());
    let on_push = move |push: PushInfo| -> Result<(), redis::aio::SendError> {
        let mut data = push.data.into_iter();
        match push.kind {
            PushKind::Message | PushKind::SMessage => {
                let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = (data.next(), data.next()) else {
                    return Ok(());
                };
                match sink.place.partition(&channel) {
                    Some(partition) => sink.deliver(partition, &Bytes::from(payload)),
                    None if channel == probe.as_bytes() => *heard.probe.lock() = Some(Instant::now()),
                    None => {}
                }
            }
            PushKind::Disconnection => {
                heard.lost.store(true, Ordering::Release);
                heard.news.notify_one();
            }
            PushKind::SSubscribe | PushKind::Subscribe => {
                if let Some(partition) = named(&sink.place, data.next()) {
                    heard.stand.lock().insert(partition);
                }
            }
            PushKind::SUnsubscribe | PushKind::Unsubscribe => {
                if let Some(partition) = named(&sink.place, data.next()) {
                    heard.stand.lock().remove(partition);
                    heard.news.notify_one();
                }
            }
            _ => {}
        }
        Ok(())
    };
    client(&node.url)?.get_multiplexed_async_connection_with_config(&config(&shared.options).set_push_sender(on_push)).await
}

/// The partition whose channel a confirmation names.
fn named(place: &Place, channel: Option<Value>) -> Option<Partition> {
    match channel {
        Some(Value::BulkString(channel)) => place.partition(&channel),
        _ => None,
    }
}

async fn say(connection: &MultiplexedConnection, word: &str, channel: &str) -> Result<(), RedisError> {
    redis::cmd(word).arg(channel).exec_async(&mut connection.clone()).await
}

/// Without what stands before the @.
pub fn printable(url: &str) -> &str {
    url.rsplit_once('@').map_or(url, |(_, host)| host)
}
