//! Ports, Redis, and the other roles.

use std::{net::TcpListener, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use super::finding::Finding;
use crate::{
    cli::Role,
    roles,
    settings::{Settings, mask_url},
};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Whether the ports of a role can be listened on.
pub fn ports(settings: &Settings, role: Role) -> Vec<Finding> {
    let listen = &settings.listen;
    let ports = match role {
        Role::All | Role::Gateway => [("gateway", listen.gateway), ("gateway_admin", listen.gateway_admin)],
        Role::ChatCore => [("chat_core", listen.chat_core), ("chat_core_admin", listen.chat_core_admin)],
        Role::Presence => [("presence", listen.presence), ("presence_admin", listen.presence_admin)],
    };
    let check = |(setting, address): (&str, std::net::SocketAddr)| match TcpListener::bind(address) {
        Ok(_) => Finding::ok(format!("{address} is free (listen.{setting})")),
        Err(error) => Finding::bad(
            format!("{address}: {error} (listen.{setting})"),
            "if this role is running already, all is well; otherwise stop what listens there, or set another port",
        ),
    };
    ports.into_iter().map(check).collect()
}

/// Whether hints go through Redis and come back.
pub async fn redis(settings: &Settings) -> Finding {
    let url = mask_url(&settings.redis.url);
    let advice = "is it running, and is redis.url right? Without it comments go on, more slowly";
    let backbone = match roles::connect_backbone(&settings.redis) {
        Ok(backbone) => backbone,
        Err(error) => return Finding::bad(format!("Redis {url}: {error:#}"), advice),
    };
    let mut follower = backbone.follow();
    follower.want((0..4).collect());
    let confirmed = timeout(ANSWER_WITHIN, async {
        while let Some(delivery) = follower.next().await {
            if matches!(delivery, backbone::Delivery::Confirmed { .. }) {
                return true;
            }
        }
        false
    });
    if confirmed.await.unwrap_or(false) {
        Finding::ok(format!("Redis {url} carries hints"))
    } else {
        Finding::bad(format!("Redis {url} did not confirm a subscription within {} s", ANSWER_WITHIN.as_secs()), advice)
    }
}

/// Whether the other roles can be reached.
pub async fn peers(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all =
        settings.peers.chat_cores.iter().map(|uri| ("chat-core", uri)).chain(settings.peers.presences.iter().map(|uri| ("presence", uri)));
    for (role, uri) in all {
        let address = uri.split_once("://").map_or(uri.as_str(), |(_, address)| address.trim_end_matches('/'));
        findings.push(match timeout(ANSWER_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Finding::ok(format!("{role} {uri} accepts connections")),
            Ok(Err(error)) => Finding::bad(format!("{role} {uri}: {error}"), "start it, or set its address in [peers]"),
            Err(_) => Finding::bad(format!("{role} {uri} did not answer"), "does a firewall stand between?"),
        });
    }
    findings
}
