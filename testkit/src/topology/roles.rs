//! What each role is started with. The same for plain processes and for docker-compose.yml, which a test compares.

use super::{Addresses, Endpoint};

/// One process of the executable.
#[derive(Clone, Debug)]
pub struct RolePlan {
    /// Where it is.
    pub endpoint: Endpoint,
    /// The executable's arguments.
    pub arguments: Vec<String>,
    /// Its settings, as environment variables.
    pub settings: Vec<(String, String)>,
}

/// All roles, in the order that they are started in.
#[must_use]
pub fn plan(addresses: &Addresses) -> Vec<RolePlan> {
    let mut roles = vec![role(&addresses.presence, "presence", "PRESENCE", addresses, &[])];
    for endpoint in &addresses.chat_cores {
        let settings = [("CHAT_CORE__STORE__URL", addresses.database.clone()), ("REDIS__URL", addresses.redis.clone())];
        roles.push(role(endpoint, "chat-core", "CHAT_CORE", addresses, &settings));
    }
    let uris = |places: &[Endpoint]| places.iter().map(Endpoint::uri).collect::<Vec<_>>().join(",");
    for endpoint in &addresses.gateways {
        let settings = [
            ("REDIS__URL", addresses.redis.clone()),
            ("PEERS__CHAT_CORES", uris(&addresses.chat_cores)),
            ("PEERS__PRESENCES", addresses.presence.uri()),
            ("GATEWAY__NAME", endpoint.name.clone()),
            ("GATEWAY__HUB__GATEWAYS", addresses.gateways.len().to_string()),
            ("GATEWAY__EDGE__PUBLIC_URL", addresses.public_url.clone()),
            ("GATEWAY__EDGE__TRUSTED_PROXIES", addresses.front_network.clone()),
        ];
        roles.push(role(endpoint, "gateway", "GATEWAY", addresses, &settings));
    }
    roles
}

fn role(endpoint: &Endpoint, argument: &str, section: &str, addresses: &Addresses, settings: &[(&str, String)]) -> RolePlan {
    let common = [
        ("KEY".to_owned(), addresses.key.clone()),
        ("LOG__FORMAT".to_owned(), "json".to_owned()),
        (format!("LISTEN__{section}"), endpoint.listen.clone()),
        (format!("LISTEN__{section}_ADMIN"), endpoint.admin.clone()),
    ];
    let own = settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    RolePlan {
        endpoint: endpoint.clone(),
        arguments: vec![argument.to_owned()],
        settings: common.into_iter().chain(own).map(|(key, value)| (format!("YITANG_{key}"), value)).collect(),
    }
}
