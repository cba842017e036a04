//! Redis pub/sub, of one server or sharded over a cluster. At most once, as Redis says: every doubt becomes a Gap. The
//! driver's own resubscription is not used, for it loses sharded subscriptions.

mod link;
mod options;
mod publisher;
mod shared;
mod topology;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::sleep,
};

pub use options::RedisOptions;

use self::{
    publisher::Publishers,
    shared::{FollowerEntry, Shared},
    topology::{Node, Servers, Topology},
};
use crate::{
    Backbone, Delivery, Follower, Partition, PartitionSet, PublishError,
    mailbox::{self, Mailbox, MailboxSender},
};

/// Interval at which a cluster is asked for its servers even when nothing seems to have changed.
const DISCOVER_EVERY: Duration = Duration::from_secs(5);

/// Carries hints over Redis. Cheap to clone; ends with its last clone and follower.
#[derive(Clone)]
pub struct RedisBackbone {
    shared: Arc<Shared>,
    _tasks: Arc<Tasks>,
}

struct Tasks {
    keeper: JoinHandle<()>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl RedisBackbone {
    /// Starts connecting, and returns at once: a server that is away now is connected to later.
    ///
    /// # Errors
    /// When the URL cannot be used.
    pub fn connect(options: RedisOptions) -> Result<Self, String> {
        let servers = Servers::parse(&options)?;
        let shared = Arc::new(Shared {
            publishers: Publishers::new(options.clone()),
            options,
            servers,
            followers: Mutex::default(),
            numbers: AtomicU64::new(0),
            wants: watch::Sender::new(0),
            nodes: Mutex::default(),
            topology: watch::Sender::default(),
            discovery_requested: Notify::new(),
            discovered: watch::Sender::new(false),
        });
        let keeper = tokio::spawn(keep_topology(shared.clone()));
        Ok(Self { shared, _tasks: Arc::new(Tasks { keeper }) })
    }
}

/// Discovers the servers again and again, and keeps one link to each.
async fn keep_topology(shared: Arc<Shared>) {
    let mut links = Links::default();
    loop {
        let before = shared.topology.borrow().clone();
        match shared.servers.discover(&before, &shared.options).await {
            Ok(topology) => links.update(&shared, topology).await,
            Err(error) => tracing::debug!(%error, "the servers of Redis cannot be discovered"),
        }
        shared.discovered.send_replace(true);
        let known = !shared.topology.borrow().nodes.is_empty();
        let wait = if known { DISCOVER_EVERY } else { Duration::from_millis(shared.options.retry_max_ms) };
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.discovery_requested.notified() => sleep(Duration::from_millis(shared.options.retry_min_ms)).await,
        }
    }
}

#[derive(Default)]
struct Links {
    running: HashMap<String, (Node, JoinHandle<()>)>,
}

impl Links {
    async fn update(&mut self, shared: &Arc<Shared>, topology: Topology) {
        let same = |node: &Node, other: &Node| node.url == other.url && node.partitions == other.partitions;
        let gone: Vec<String> = self
            .running
            .iter()
            .filter(|(_, (node, _))| !topology.nodes.iter().any(|other| same(node, other)))
            .map(|(url, _)| url.clone())
            .collect();
        for url in gone {
            if let Some((_, link)) = self.running.remove(&url) {
                link.abort();
                // The link has ended, so it confirms nothing more: all that it confirmed is in doubt.
                let _ = link.await;
                let confirmed = shared.nodes.lock().remove(&url).map(|state| state.confirmed).unwrap_or_default();
                shared.notify_gap(confirmed);
            }
        }
        for node in &topology.nodes {
            if !self.running.contains_key(&node.url) {
                tracing::info!(node = link::printable(&node.url), partitions = node.partitions.len(), "the backbone follows a server");
                let task = tokio::spawn(link::run(shared.clone(), node.clone()));
                self.running.insert(node.url.clone(), (node.clone(), task));
            }
        }
        // Probes are named anew at each discovery, so the URLs and partitions are compared and not the nodes.
        let known = shared.topology.borrow().clone();
        let changed = known.answered != topology.answered
            || known.nodes.len() != topology.nodes.len()
            || !known.nodes.iter().zip(&topology.nodes).all(|(a, b)| same(a, b));
        if changed {
            shared.publishers.retain(&topology);
            shared.topology.send_replace(topology);
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, link)| link.abort());
    }
}

#[async_trait]
impl Backbone for RedisBackbone {
    async fn publish(&self, partition: Partition, payload: Bytes) -> Result<(), PublishError> {
        let started = Instant::now();
        let outcome = self.shared.publish(partition, &payload).await;
        metrics::histogram!("yitang_backbone_publish_seconds").record(started.elapsed().as_secs_f64());
        if outcome.is_err() {
            metrics::counter!("yitang_backbone_publish_failures_total").increment(1);
        }
        outcome
    }

    fn follow(&self) -> Box<dyn Follower> {
        let (sender, mailbox) = mailbox::new(self.shared.options.queue.max(1));
        let number = self.shared.numbers.fetch_add(1, Ordering::Relaxed);
        self.shared.followers.lock().push(FollowerEntry { number, sender: sender.clone(), confirmed: PartitionSet::EMPTY });
        Box::new(RedisFollower { backbone: self.clone(), number, sender, mailbox })
    }

    fn healthy(&self) -> bool {
        let nodes = self.shared.nodes.lock();
        let topology = self.shared.topology.borrow();
        !topology.nodes.is_empty() && topology.nodes.iter().all(|node| nodes.get(&node.url).is_some_and(|state| state.healthy))
    }
}

struct RedisFollower {
    backbone: RedisBackbone,
    number: u64,
    sender: MailboxSender,
    mailbox: Mailbox,
}

#[async_trait]
impl Follower for RedisFollower {
    fn want(&mut self, partitions: PartitionSet) {
        self.sender.want(partitions);
        // A partition that is given up here and wanted again a moment later is confirmed anew.
        if let Some(entry) = self.backbone.shared.followers.lock().iter_mut().find(|entry| entry.number == self.number) {
            entry.confirmed = entry.confirmed.intersection(&partitions);
        }
        self.backbone.shared.wants.send_modify(|wants| *wants += 1);
    }

    async fn next(&mut self) -> Option<Delivery> {
        self.mailbox.next().await
    }
}

impl Drop for RedisFollower {
    fn drop(&mut self) {
        self.sender.close();
        self.backbone.shared.wants.send_modify(|wants| *wants += 1);
    }
}
