//! Where a request really comes from.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

use crate::fault::Fault;

const FORWARDED_FOR: &str = "x-forwarded-for";
/// Whoever sends one of these is, or claims to be, a proxy.
const PROXY_HEADERS: [&str; 3] = [FORWARDED_FOR, "forwarded", "x-real-ip"];

/// Front proxies that are believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    networks: Vec<IpNet>,
}

/// The client's address, and whether it is surely this machine itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: IpAddr,
    pub(super) loopback: bool,
}

impl Proxies {
    pub(super) fn new(list: &[String]) -> Result<Self, Fault> {
        let parse = |text: &String| text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let networks = list
            .iter()
            .map(|text| parse(text).ok_or_else(|| Fault::Options(format!("edge.trusted_proxies: {text} is no address or network"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { networks })
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is not one of our proxies. An untrusted proxy on this machine makes nobody local.
    pub(super) fn find_client(&self, peer: SocketAddr, headers: &HeaderMap) -> Client {
        let peer = peer.ip().to_canonical();
        let proxied = PROXY_HEADERS.iter().any(|name| headers.contains_key(*name));
        if !self.is_trusted(peer) {
            return Client { address: peer, loopback: peer.is_loopback() && !proxied };
        }
        let hops: Vec<&str> =
            headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
        for hop in hops.iter().rev() {
            match hop.trim().parse::<IpAddr>().map(|address| address.to_canonical()) {
                Ok(address) if self.is_trusted(address) => {}
                Ok(address) => return Client { address, loopback: address.is_loopback() },
                Err(_) => break,
            }
        }
        // Only proxies that we know, or none that named a client: the proxy itself.
        Client { address: peer, loopback: peer.is_loopback() && !proxied }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: Option<&str>) -> (String, bool) {
        let proxies = Proxies::new(&trusted.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(forwarded) = forwarded {
            headers.insert(FORWARDED_FOR, forwarded.parse().unwrap());
        }
        let client = proxies.find_client(SocketAddr::new(peer.parse().unwrap(), 1), &headers);
        (client.address.to_string(), client.loopback)
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_a_proxy_on_this_machine_makes_nobody_local() {
        type Row = (&'static [&'static str], &'static str, Option<&'static str>, &'static str, bool);
        let table: [Row; 9] = [
            (&[], "127.0.0.1", None, "127.0.0.1", true),
            (&[], "::ffff:127.0.0.1", None, "127.0.0.1", true),
            (&[], "127.0.0.1", Some("127.0.0.1"), "127.0.0.1", false),
            (&[], "203.0.113.9", Some("127.0.0.1"), "203.0.113.9", false),
            (&["127.0.0.1"], "127.0.0.1", Some("203.0.113.9"), "203.0.113.9", false),
            (&["127.0.0.1"], "127.0.0.1", Some("127.0.0.9"), "127.0.0.9", true),
            (&["10.0.0.0/8"], "10.1.2.3", Some("127.0.0.1, 203.0.113.9, 10.9.9.9"), "203.0.113.9", false),
            (&["10.0.0.0/8"], "11.1.2.3", Some("203.0.113.9"), "11.1.2.3", false),
            (&["10.0.0.0/8"], "10.1.2.3", Some("nonsense"), "10.1.2.3", false),
        ];
        for (trusted, peer, forwarded, address, loopback) in table {
            assert_eq!(client(trusted, peer, forwarded), (address.to_owned(), loopback), "{trusted:?} {peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_network_is_as_wide_as_it_says() {
        let table: [(&[&str], &str, bool); 8] = [
            (&["10.1.2.3/8"], "10.200.0.1", true),
            (&["10.0.0.0/9"], "10.200.0.1", false),
            (&["0.0.0.0/0"], "203.0.113.9", true),
            (&["0.0.0.0/0"], "2001:db8::1", false),
            (&["2001:db8::/32"], "2001:db8:ffff::1", true),
            (&["2001:db8::/32"], "2001:db9::1", false),
            (&["2001:db8::1"], "2001:db8::1", true),
            (&["2001:db8::1"], "2001:db8::2", false),
        ];
        for (trusted, peer, believed) in table {
            let (address, _) = client(trusted, peer, Some("198.51.100.7"));
            assert_eq!(address == "198.51.100.7", believed, "{trusted:?} {peer}");
        }
    }

    #[test]
    fn a_network_that_is_none_is_refused() {
        for wrong in ["10.0.0.0/33", "localhost", "10.0.0/8"] {
            assert!(Proxies::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(Proxies::new(&["0.0.0.0/0".to_owned()]).is_ok());
    }
}
