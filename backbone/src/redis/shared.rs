//! What links, publishers and followers share: what followers want, what nodes have confirmed, and the way of one hint.

use std::{collections::HashMap, sync::atomic::AtomicU64, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{
    options::RedisOptions,
    publisher::{Failed, Publishers},
    topology::{Servers, Topology},
};
use crate::{Partition, PartitionSet, PublishError, mailbox::MailboxSender};

/// What links, publishers and followers share.
pub struct Shared {
    pub options: RedisOptions,
    pub servers: Servers,
    pub followers: Mutex<Vec<FollowerEntry>>,
    pub numbers: AtomicU64,
    /// Counts changes of what followers want.
    pub wants: watch::Sender<u64>,
    /// By node URL: the subscriptions it has confirmed, and whether its probes arrive.
    pub nodes: Mutex<HashMap<String, NodeState>>,
    pub topology: watch::Sender<Topology>,
    /// Wakes `keep_topology` before DISCOVER_EVERY is over.
    pub discovery_requested: Notify,
    /// Whether a discovery has ended since the start, successful or not.
    pub discovered: watch::Sender<bool>,
    pub publishers: Publishers,
}

/// A follower that was not dropped yet.
pub struct FollowerEntry {
    pub number: u64,
    pub sender: MailboxSender,
    pub confirmed: PartitionSet,
}

/// What is known of a node's subscriptions.
#[derive(Default)]
pub struct NodeState {
    pub confirmed: PartitionSet,
    pub healthy: bool,
}

impl Shared {
    /// The partitions that any follower wants.
    pub fn wanted(&self) -> PartitionSet {
        let mut followers = self.followers.lock();
        followers.retain(|follower| !follower.sender.is_closed());
        followers.iter().fold(PartitionSet::EMPTY, |all, follower| all.union(&follower.sender.wanted()))
    }

    /// The servers may have changed: they are asked for before their interval is over.
    pub fn request_discovery(&self) {
        self.discovery_requested.notify_one();
    }

    /// Gives a hint to those followers that had its partition confirmed.
    pub fn deliver(&self, partition: Partition, payload: &Bytes) {
        metrics::counter!("yitang_backbone_received_total").increment(1);
        // A message before Confirmed, or while the partition is in doubt, is dropped: on Confirmed a follower reads the store.
        for follower in self.followers.lock().iter().filter(|follower| follower.confirmed.contains(partition)) {
            follower.sender.deliver(partition, payload);
        }
    }

    /// A node has confirmed these.
    pub fn confirm(&self, node: &str, partitions: PartitionSet) {
        if partitions.is_empty() {
            return;
        }
        let mut nodes = self.nodes.lock();
        let state = nodes.entry(node.to_owned()).or_default();
        state.confirmed = state.confirmed.union(&partitions);
        drop(nodes);
        self.notify_confirmed(partitions);
    }

    /// Confirms to each follower what it wants and has not had confirmed, also where the subscription stood before it came.
    pub fn notify_confirmed(&self, partitions: PartitionSet) {
        for follower in self.followers.lock().iter_mut() {
            let wanted = follower.sender.wanted();
            follower.confirmed = follower.confirmed.intersection(&wanted);
            let new = partitions.intersection(&wanted).difference(&follower.confirmed);
            if !new.is_empty() {
                follower.confirmed = follower.confirmed.union(&new);
                follower.sender.confirm(new);
            }
        }
    }

    /// Subscriptions that a node had confirmed are in doubt.
    pub fn report_gap(&self, node: &str, partitions: PartitionSet) {
        if let Some(state) = self.nodes.lock().get_mut(node) {
            state.confirmed = state.confirmed.difference(&partitions);
        }
        self.notify_gap(partitions);
    }

    /// Reports a gap to each follower that had some of these confirmed.
    pub fn notify_gap(&self, partitions: PartitionSet) {
        for follower in self.followers.lock().iter_mut() {
            let doubted = partitions.intersection(&follower.confirmed);
            follower.confirmed = follower.confirmed.difference(&partitions);
            if !doubted.is_empty() {
                metrics::counter!("yitang_backbone_gaps_total").increment(1);
                follower.sender.report_gap(doubted);
            }
        }
    }

    /// Whether the probes of a node arrive.
    pub fn set_healthy(&self, node: &str, healthy: bool) {
        let mut nodes = self.nodes.lock();
        nodes.entry(node.to_owned()).or_default().healthy = healthy;
        metrics::gauge!("yitang_backbone_healthy_connections").set(nodes.values().filter(|state| state.healthy).count() as f64);
    }

    /// Publishes one hint, following one redirect.
    ///
    /// # Errors
    /// When it was not accepted, or that is not known.
    pub async fn publish(&self, partition: Partition, payload: &Bytes) -> Result<(), PublishError> {
        let _turn = self.publishers.acquire()?;
        // Right after the start, waits for the first discovery; later this returns at once.
        let mut discovered = self.discovered.subscribe();
        let within = self.options.answer_ms;
        let first = timeout(Duration::from_millis(within), discovered.wait_for(|discovered| *discovered)).await;
        first.map_err(|_| PublishError::TimedOut(within))?.map_err(|_| PublishError::Unavailable("it ends".to_owned()))?;
        let url = {
            let topology = self.topology.borrow();
            topology.nodes.iter().find(|node| node.partitions.contains(partition)).map(|node| node.url.clone())
        };
        let Some(url) = url else { return Err(PublishError::Unavailable("no server is known for it".to_owned())) };
        let word = if self.servers.cluster { "SPUBLISH" } else { "PUBLISH" };
        let channel = self.servers.channel(partition);
        let host = match self.publishers.publish(&url, word, &channel, payload).await {
            Ok(()) => return Ok(()),
            Err(Failed::Moved(host)) => host,
            Err(Failed::Error(error)) => {
                self.request_discovery();
                return Err(error);
            }
        };
        // This one follows the redirect; later ones go there by themselves once the cluster has been discovered again.
        self.request_discovery();
        let moved = || PublishError::Unavailable("its slot is moving".to_owned());
        let url = self.servers.url(&host.ok_or_else(moved)?);
        self.publishers.publish(&url, word, &channel, payload).await.map_err(|failed| match failed {
            Failed::Moved(_) => moved(),
            Failed::Error(error) => error,
        })
    }
}
