//! The edge's settings.

use serde::{Deserialize, Serialize};

/// HTTP, the upgrade, the web client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeOptions {
    /// Where browsers find this service (`https://hall.example.cn`). Its Origin is allowed; with https, cookies are Secure.
    pub public_url: String,
    /// Further Origins that may use the API and the socket, exactly as browsers send them.
    pub origins: Vec<String>,
    /// The file of the listener's certificate and those above it, PEM; empty: no TLS here, a front proxy does it. Read again
    /// when it changes.
    pub tls_certificate: String,
    /// The file of the certificate's private key, PEM.
    pub tls_key: String,
    /// How often both files are looked at, s.
    pub tls_look_s: u64,
    /// Front proxies (addresses or networks, `10.0.0.0/8`) whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<String>,
    /// The body that this service is run for, as its clients show it.
    pub body_name_zh: String,
    /// The name of that body in English.
    pub body_name_en: String,
    /// Tell clients that this is a demonstration.
    pub demo: bool,
    /// Languages of the web client, the first one being the default.
    pub locales: Vec<String>,
    /// Connections held at once, sockets not counted; more are answered 503.
    pub connections_most: usize,
    /// Upgrades under way at once; more are answered 503.
    pub handshakes_most: usize,
    /// From accepting a connection to its first whole request head, TLS included, and for every later head.
    pub head_ms: u64,
    /// Head of a request, bytes (at least 8,192).
    pub head_bytes: usize,
    /// Body of an API request, bytes.
    pub body_bytes: usize,
    /// Message of a forwarded gRPC call, bytes: an import of the whole directory fits.
    pub message_bytes: usize,
    /// A request's body must have come within this time.
    pub body_ms: u64,
    /// Requests at once on one HTTP/2 connection.
    pub streams_most: u32,
    /// Answers of gRPC that are streams, held at once.
    pub follows_most: usize,
    /// How long what chat-core said of a session is believed; its end is known at once by the control log.
    pub session_cache_s: u32,
    /// Sessions remembered so.
    pub session_cache_most: usize,
    /// Requests a second of one session, sustained.
    pub requests_per_s: u32,
    /// Requests of one session at once above that.
    pub requests_burst: u32,
    /// The longest silence of the control log with which this is ready, ms.
    pub ready_silence_ms: u64,
    /// Draining: from not being ready to the end of listening, so that balancers notice, ms.
    pub drain_notice_ms: u64,
    /// Draining: the longest that requests in flight may take to finish, ms.
    pub drain_requests_ms: u64,
}

impl Default for EdgeOptions {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            origins: vec!["http://localhost:8080".to_owned()],
            tls_certificate: String::new(),
            tls_key: String::new(),
            tls_look_s: 10,
            trusted_proxies: Vec::new(),
            body_name_zh: "议堂".to_owned(),
            body_name_en: "Yitang".to_owned(),
            demo: false,
            locales: vec!["zh-CN".to_owned(), "en".to_owned()],
            connections_most: 20_000,
            handshakes_most: 256,
            head_ms: 5_000,
            head_bytes: 16 * 1024,
            body_bytes: 16 * 1024,
            message_bytes: 4 * 1024 * 1024,
            body_ms: 15_000,
            streams_most: 128,
            follows_most: 1_024,
            session_cache_s: 30,
            session_cache_most: 65_536,
            requests_per_s: 50,
            requests_burst: 200,
            ready_silence_ms: 5_000,
            drain_notice_ms: 500,
            drain_requests_ms: 10_000,
        }
    }
}
