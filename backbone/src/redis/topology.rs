//! Which server serves which partition: a single server all, a cluster's masters those of their slots.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, Value, io::tcp::TcpSettings};
use tokio::time::timeout;

use super::RedisOptions;
use crate::{PARTITIONS, Partition, PartitionSet};

/// A cluster's slots.
const SLOTS: u16 = 16_384;

/// The servers of Redis as last discovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Masters, and what each serves.
    pub nodes: Vec<Node>,
    /// URL of the node that described it; asked first the next time.
    pub answered: Option<String>,
}

/// One Redis server, or one master of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The URL that connections are made to.
    pub url: String,
    /// The partitions whose channels it serves.
    pub partitions: PartitionSet,
    /// A channel that it serves and that only this process publishes in: its messages show that the subscription works.
    pub probe: String,
}

/// The servers and channel names that the settings give.
#[derive(Clone, Debug)]
pub struct Servers {
    /// `user:password@`, or nothing.
    credentials: String,
    /// `host:port`.
    hosts: Vec<String>,
    /// Sharded pub/sub over a cluster.
    pub cluster: bool,
    prefix: String,
}

impl Servers {
    /// Reads the URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(options: &RedisOptions) -> Result<Self, String> {
        let (cluster, rest) = if let Some(rest) = options.url.strip_prefix("redis-cluster://") {
            (true, rest)
        } else if let Some(rest) = options.url.strip_prefix("redis://") {
            (false, rest)
        } else {
            return Err("the backbone's url must begin with redis:// or redis-cluster://".to_owned());
        };
        let rest = rest.trim_end_matches('/');
        let (credentials, hosts) = rest.rsplit_once('@').map_or(("", rest), |(credentials, hosts)| (credentials, hosts));
        let hosts: Vec<String> = hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
        if hosts.is_empty() || !cluster && hosts.len() > 1 {
            return Err("the backbone's url names no host, or several without being a cluster".to_owned());
        }
        let credentials = if credentials.is_empty() { String::new() } else { format!("{credentials}@") };
        Ok(Self { credentials, hosts, cluster, prefix: options.prefix.clone() })
    }

    /// The channel of a partition.
    #[must_use]
    pub fn channel(&self, partition: Partition) -> String {
        format!("{}:{partition}", self.prefix)
    }

    /// The partition of a channel.
    #[must_use]
    pub fn partition(&self, channel: &[u8]) -> Option<Partition> {
        let rest = channel.strip_prefix(self.prefix.as_bytes())?.strip_prefix(b":")?;
        std::str::from_utf8(rest).ok()?.parse().ok().filter(|partition| *partition < PARTITIONS)
    }

    /// The URL that connections to a host are made to.
    #[must_use]
    pub fn url(&self, host: &str) -> String {
        format!("redis://{}{host}/?protocol=resp3", self.credentials)
    }

    /// Discovers the servers of Redis: asks the nodes that are known, then those in the settings, each within `connect_ms`, so that
    /// a node that hangs does not hide those that answer.
    ///
    /// # Errors
    /// When none answers.
    pub async fn discover(&self, known: &Topology, options: &RedisOptions) -> Result<Topology, RedisError> {
        if !self.cluster {
            let node = Node { url: self.url(&self.hosts[0]), partitions: PartitionSet::ALL, probe: self.probe_in(&|_| true) };
            return Ok(Topology { nodes: vec![node], answered: None });
        }
        let mut urls: Vec<String> = known.answered.iter().cloned().collect();
        let others = known.nodes.iter().map(|node| node.url.clone()).chain(self.hosts.iter().map(|host| self.url(host)));
        for url in others {
            if !urls.contains(&url) {
                urls.push(url);
            }
        }
        let mut failed = None;
        for url in urls {
            match timeout(Duration::from_millis(options.connect_ms), self.ask(&url, options)).await {
                Ok(Ok(topology)) if !topology.nodes.is_empty() => return Ok(topology),
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| RedisError::from((redis::ErrorKind::Client, "no node answers that serves the cluster's slots"))))
    }

    async fn ask(&self, url: &str, options: &RedisOptions) -> Result<Topology, RedisError> {
        let client = client(url)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config(options)).await?;
        let slots: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
        let own_host = host_of(url);
        let mut owners: Vec<(String, Vec<(u16, u16)>)> = Vec::new();
        let Value::Array(ranges) = slots else { return Ok(Topology::default()) };
        for range in ranges {
            let Value::Array(parts) = range else { continue };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else { continue };
            let [name, Value::Int(port), ..] = master.as_slice() else { continue };
            let name = match name {
                Value::BulkString(name) if !name.is_empty() => String::from_utf8_lossy(name).into_owned(),
                // A node that does not know its own name is the one that was asked.
                _ => own_host.to_owned(),
            };
            let url = self.url(&format!("{name}:{port}"));
            let span = (*first as u16, *last as u16);
            match owners.iter_mut().find(|(known, _)| *known == url) {
                Some((_, spans)) => spans.push(span),
                None => owners.push((url, vec![span])),
            }
        }
        owners.sort();
        Ok(Topology { nodes: self.nodes(owners), answered: Some(url.to_owned()) })
    }

    /// Nodes from masters and their slots; a master that serves no partition is left out.
    fn nodes(&self, owners: Vec<(String, Vec<(u16, u16)>)>) -> Vec<Node> {
        let slots: Vec<u16> = (0..PARTITIONS).map(|partition| slot(self.channel(partition).as_bytes())).collect();
        let node = |(url, spans): (String, Vec<(u16, u16)>)| {
            let serves = |slot: u16| spans.iter().any(|(first, last)| (*first..=*last).contains(&slot));
            let partitions: PartitionSet = (0..PARTITIONS).filter(|partition| serves(slots[usize::from(*partition)])).collect();
            // In the slot of a partition: when that slot moves to another node, the link is made anew and the probe with it.
            let beside = |slot: u16| serves(slot) && slots.contains(&slot);
            (!partitions.is_empty()).then(|| Node { url, partitions, probe: self.probe_in(&beside) })
        };
        owners.into_iter().filter_map(node).collect()
    }

    /// A new probe channel whose slot `serves`.
    fn probe_in(&self, serves: &dyn Fn(u16) -> bool) -> String {
        let name = format!("{}:probe:{}", self.prefix, uuid::Uuid::new_v4().simple());
        (0..u32::from(SLOTS) * 8).map(|number| format!("{name}:{number}")).find(|channel| serves(slot(channel.as_bytes()))).unwrap_or(name)
    }
}

/// A client of one server. What is small is sent at once: waiting for more would cost a round trip.
///
/// # Errors
/// When the URL cannot be used.
pub fn client(url: &str) -> Result<Client, RedisError> {
    Client::open(url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

/// The host's name in a URL, without its port.
fn host_of(url: &str) -> &str {
    let host = url.rsplit_once('@').map_or_else(|| url.trim_start_matches("redis://"), |(_, host)| host);
    let host = host.split_once('/').map_or(host, |(host, _)| host);
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Time-outs of every connection.
#[must_use]
pub fn config(options: &RedisOptions) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(options.connect_ms)))
        .set_response_timeout(Some(Duration::from_millis(options.answer_ms)))
}

/// A key's slot: CRC-16/XMODEM modulo 16,384 of what stands in its first braces, or of all of it (Redis Cluster
/// specification). A prefix may have braces.
fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    let key = tag.unwrap_or(key);
    let mut crc = 0_u16;
    for byte in key {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // The check value of CRC-16/XMODEM, and what CLUSTER KEYSLOT says.
        assert_eq!(slot(b"123456789"), 0x31C3 % SLOTS);
        assert_eq!(slot(b"somekey"), 11_058);
        assert_eq!(slot(b"foo{hash_tag}"), 2_515);
        assert_eq!(slot(b"x{}{a}"), slot(b"x{}{a}"));
        assert_ne!(slot(b"x{}{a}"), slot(b"a"));
    }

    #[test]
    fn a_probe_moves_with_a_partition() {
        let servers = Servers::parse(&RedisOptions { url: "redis-cluster://a:1".to_owned(), ..RedisOptions::default() }).unwrap();
        let owners = (0..3).map(|n| (servers.url(&format!("a:{n}")), vec![(n * 5_000, n * 5_000 + 4_999)])).collect();
        let nodes = servers.nodes(owners);
        assert_eq!(nodes.len(), 3);
        for node in nodes {
            let of_partitions: Vec<u16> = node.partitions.iter().map(|partition| slot(servers.channel(partition).as_bytes())).collect();
            assert!(of_partitions.contains(&slot(node.probe.as_bytes())));
        }
        let nobody =
            (0..SLOTS).find(|number| (0..PARTITIONS).all(|partition| slot(servers.channel(partition).as_bytes()) != *number)).unwrap();
        assert_eq!(servers.nodes(vec![(servers.url("b:1"), vec![(nobody, nobody)])]), [], "nothing of ours is there");
        assert_eq!(host_of("redis://user:p%40ss@10.0.0.1:6379/?protocol=resp3"), "10.0.0.1");
        assert_eq!(host_of("redis://[::1]:6379/"), "[::1]");
    }

    #[test]
    fn urls_say_one_or_many() {
        let parse = |url: &str| Servers::parse(&RedisOptions { url: url.to_owned(), ..RedisOptions::default() });
        let one = parse("redis://user:p%40ss@10.0.0.1:6379/").unwrap();
        assert_eq!((one.url(&one.hosts[0]).as_str(), one.cluster), ("redis://user:p%40ss@10.0.0.1:6379/?protocol=resp3", false));
        let many = parse("redis-cluster://a:1,b:2").unwrap();
        assert_eq!((many.hosts.len(), many.cluster), (2, true));
        for wrong in ["http://a", "redis://", "redis://a:1,b:2", "redis-cluster://"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(one.partition(one.channel(255).as_bytes()), Some(255));
        assert_eq!(one.partition(b"y:256"), None);
        assert_eq!(one.partition(b"y:probe:1"), None);
    }
}
