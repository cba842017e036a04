//! The addresses of the topology's parts: on this machine, or in docker-compose.yml's network.

use crate::free_port;

/// The address that nginx connects from on this machine: not one of a browser's, so that the gateway can trust it alone.
pub const FRONT_HERE: &str = "127.0.0.9";

/// A role that is one process: its name in docker-compose.yml, and where it listens.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its service name in docker-compose.yml.
    pub name: String,
    /// The address that others connect to.
    pub address: String,
    /// The address that it listens on.
    pub listen: String,
    /// The address of its admin port.
    pub admin: String,
}

/// The front proxy's ports.
#[derive(Clone, Copy, Debug)]
pub struct FrontPorts {
    /// For browsers: HTTP/1.1 and WebSocket.
    pub http: u16,
    /// For programs: gRPC over HTTP/2 without TLS.
    pub grpc: u16,
}

impl FrontPorts {
    /// Two that are free.
    #[must_use]
    pub fn free() -> Self {
        Self { http: free_port(), grpc: free_port() }
    }
}

/// Everything that the roles' settings name.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// PostgreSQL's URL.
    pub database: String,
    /// Redis's URL.
    pub redis: String,
    /// Presence.
    pub presence: Endpoint,
    /// Chat-cores.
    pub chat_cores: Vec<Endpoint>,
    /// Gateways.
    pub gateways: Vec<Endpoint>,
    /// The URL that browsers open.
    pub public_url: String,
    /// The front proxy's ports on 127.0.0.1.
    pub front: FrontPorts,
    /// The addresses that the front proxy connects from.
    pub front_network: String,
    /// The roles' shared key.
    pub key: String,
}

impl Endpoint {
    fn here(name: &str) -> Self {
        let (address, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        Self { name: name.to_owned(), listen: address.clone(), address, admin }
    }

    fn in_compose(name: &str, port: u16) -> Self {
        Self {
            name: name.to_owned(),
            address: format!("{name}:{port}"),
            listen: format!("0.0.0.0:{port}"),
            admin: format!("0.0.0.0:{}", port + 2_000),
        }
    }

    /// As a peer is named in settings.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Addresses {
    /// On this machine, on free ports.
    #[must_use]
    pub fn here(database: String, redis: String, key: String, front: FrontPorts) -> Self {
        Self {
            database,
            redis,
            presence: Endpoint::here("presence"),
            chat_cores: ["chat-core-1", "chat-core-2"].map(Endpoint::here).into(),
            gateways: ["gateway-1", "gateway-2"].map(Endpoint::here).into(),
            public_url: format!("http://127.0.0.1:{}", front.http),
            front,
            front_network: FRONT_HERE.to_owned(),
            key,
        }
    }

    /// As docker-compose.yml has them.
    #[must_use]
    pub fn in_compose() -> Self {
        Self {
            database: "postgres://yitang:${YITANG_DATABASE_PASSWORD:?}@postgres:5432/yitang".to_owned(),
            redis: "redis://redis:6379".to_owned(),
            presence: Endpoint::in_compose("presence", 7_200),
            chat_cores: ["chat-core-1", "chat-core-2"].map(|name| Endpoint::in_compose(name, 7_100)).into(),
            gateways: ["gateway-1", "gateway-2"].map(|name| Endpoint::in_compose(name, 8_080)).into(),
            public_url: "${YITANG_PUBLIC_URL:-http://127.0.0.1:8080}".to_owned(),
            front: FrontPorts { http: 8_080, grpc: 8_081 },
            front_network: "10.77.0.0/24".to_owned(),
            key: "${YITANG_KEY:?}".to_owned(),
        }
    }
}
