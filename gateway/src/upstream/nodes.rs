//! The nodes: which one a call goes to, and which of them serve.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proto::{
    internal::v1::{WatchRequest, edge_service_client::EdgeServiceClient},
    v1::{Refusal, RefusalCode},
};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::{calls::Calls, failure::Failure, options::UpstreamOptions, service::Upstream};

/// Most nodes that a gateway knows: one bit each in the mask of those tried.
pub(super) const NODES_MOST: usize = 64;

/// A node, its gathered calls, and whether it serves.
pub(super) struct Node {
    pub(super) upstream: Upstream,
    pub(super) calls: Calls,
    seed: u64,
    up: AtomicBool,
}

impl Node {
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn set_up(&self, up: bool, why: &str) {
        if self.up.swap(up, Ordering::Relaxed) != up {
            let node = self.upstream.name();
            if up {
                tracing::info!(node, "chat-core serves");
            } else {
                tracing::warn!(node, why, "chat-core does not serve");
            }
            metrics::gauge!("yitang_gateway_upstream_up_nodes", "node" => node.to_owned()).set(f64::from(u8::from(up)));
        }
    }

    /// A call to it failed: others go elsewhere until a probe succeeds.
    pub(super) fn mark_down(&self, why: &str) {
        metrics::counter!("yitang_gateway_upstream_failures_total").increment(1);
        // In one process there is nowhere else, and nothing to reconnect.
        if !self.upstream.is_local() {
            self.set_up(false, why);
        }
    }
}

/// The chat-cores that a gateway knows.
pub(super) struct Nodes {
    list: Vec<Arc<Node>>,
}

impl Nodes {
    pub(super) fn new(upstreams: Vec<Upstream>, options: &UpstreamOptions) -> Self {
        let list = upstreams
            .into_iter()
            .take(NODES_MOST)
            .map(|upstream| {
                let seed = proto::fnv(upstream.name().as_bytes());
                let calls = Calls::new(&upstream, options);
                // Until a probe or a call says otherwise, a node is thought to serve.
                Arc::new(Node { upstream, calls, seed, up: AtomicBool::new(true) })
            })
            .collect();
        Self { list }
    }

    pub(super) fn healthy(&self) -> bool {
        self.list.iter().any(|node| node.is_up())
    }

    /// The node for a key by rendezvous hash: first among those that serve and were not tried, then among the others
    /// that were not tried. `None`: all were tried.
    pub(super) fn pick(&self, key: u64, tried: u64) -> Option<(usize, &Arc<Node>)> {
        self.list
            .iter()
            .enumerate()
            .filter(|(index, _)| tried & (1 << index) == 0)
            .max_by_key(|(_, node)| (node.is_up(), mix(node.seed ^ key)))
    }

    /// Calls the node for a key, and others when it fails, until `within` has passed.
    pub(super) async fn call<T, F>(&self, key: u64, within: Duration, attempt: impl Fn(Arc<Node>) -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let give_up = Instant::now() + within;
        let mut tried = 0_u64;
        let mut pause_ms = 20_u64;
        let mut last = Refusal::of(RefusalCode::Unavailable);
        loop {
            let Some((index, node)) = self.pick(key, tried) else {
                // Everyone was asked: wait a little, spread, and begin again.
                let wait = Duration::from_millis(pause_ms + rand::random_range(0..=pause_ms));
                if self.list.is_empty() || Instant::now() + wait >= give_up {
                    return Err(last);
                }
                tokio::time::sleep(wait).await;
                pause_ms = (pause_ms * 2).min(400);
                tried = 0;
                continue;
            };
            let node = Arc::clone(node);
            match timeout_at(give_up, attempt(Arc::clone(&node))).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Failure::Refused(refusal))) => return Err(refusal),
                Ok(Err(Failure::Later(refusal))) => last = refusal,
                Ok(Err(Failure::Node(why))) => node.mark_down(&why),
                Err(_) => return Err(last),
            }
            tried |= 1 << index;
        }
    }

    /// Asks every node again and again whether it serves, until cancelled.
    pub(super) async fn probe(self: Arc<Self>, options: UpstreamOptions, cancelled: CancellationToken) {
        let every = Duration::from_millis(options.probe_ms.max(10));
        let each = self.list.iter().filter(|node| !node.upstream.is_local()).map(|node| async {
            loop {
                match timeout(every.max(Duration::from_secs(1)), check_health(node.upstream.clone())).await {
                    Ok(Ok(())) => node.set_up(true, ""),
                    Ok(Err(why)) => node.set_up(false, &why),
                    Err(_) => node.set_up(false, "no answer to the probe"),
                }
                let jitter = rand::random_range(0.9..1.1);
                tokio::time::sleep(every.mul_f64(jitter)).await;
            }
        });
        tokio::select! {
            () = cancelled.cancelled() => {}
            _ = futures::future::join_all(each) => {}
        }
    }
}

/// Asks whether a node serves: by the standard health service where there is one (a draining node says NOT_SERVING), else an
/// empty call, which shows that it is there and takes our key.
async fn check_health(upstream: Upstream) -> Result<(), String> {
    let health = HealthClient::new(upstream.clone()).check(HealthCheckRequest { service: String::new() }).await;
    match health {
        Ok(answer) if answer.get_ref().status() == ServingStatus::Serving => Ok(()),
        Ok(answer) => Err(format!("health says {:?}", answer.get_ref().status())),
        Err(status) if status.code() == tonic::Code::Unavailable => Err(status.message().to_owned()),
        Err(_) => EdgeServiceClient::new(upstream)
            .watch(WatchRequest::default())
            .await
            .map(|_| ())
            .map_err(|status| format!("{:?}: {}", status.code(), status.message())),
    }
}

/// splitmix64's finaliser: scatters keys that differ in a few bits.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use tonic::service::Routes;

    use super::*;

    fn nodes(count: usize) -> Nodes {
        let options = UpstreamOptions::default();
        let list = (0..count)
            .map(|n| {
                let upstream = Upstream::local(Routes::default());
                let calls = Calls::new(&upstream, &options);
                Arc::new(Node { upstream, calls, seed: proto::fnv(format!("http://10.0.0.{n}:1").as_bytes()), up: AtomicBool::new(true) })
            })
            .collect();
        Nodes { list }
    }

    #[tokio::test]
    async fn a_conversation_stays_with_its_node_until_that_node_fails_and_only_its_own_move() {
        let nodes = nodes(4);
        let keys: Vec<u64> = (0..4_000_u64).map(|n| proto::fnv(&n.to_be_bytes())).collect();
        let before: Vec<usize> = keys.iter().map(|key| nodes.pick(*key, 0).unwrap().0).collect();
        for index in 0..4 {
            let share = before.iter().filter(|chosen| **chosen == index).count();
            assert!((850..1150).contains(&share), "node {index} has {share} of 4000");
        }
        nodes.list[2].up.store(false, Ordering::Relaxed);
        for (key, before) in keys.iter().zip(&before) {
            let after = nodes.pick(*key, 0).unwrap().0;
            assert_ne!(after, 2);
            assert!(*before == 2 || after == *before);
        }
    }

    #[tokio::test]
    async fn with_no_node_serving_they_are_still_tried_in_turn() {
        let nodes = nodes(2);
        nodes.list.iter().for_each(|node| node.up.store(false, Ordering::Relaxed));
        let (first, _) = nodes.pick(7, 0).unwrap();
        let (second, _) = nodes.pick(7, 1 << first).unwrap();
        assert_ne!(first, second);
        assert!(nodes.pick(7, 0b11).is_none());
    }
}
