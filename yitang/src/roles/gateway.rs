//! `yitang gateway`.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use gateway::{ChatCores, Gateway, Placement, Upstream, upstream::UpstreamOptions};
use tokio::net::TcpListener;

use super::listener::listen;
use crate::{
    admin::{self, Health},
    lifecycle,
    settings::Settings,
};

/// Runs a gateway until it is told to stop, with its cores where `placement` says.
///
/// # Errors
/// When the settings do not do, or an address cannot be listened on.
pub async fn gateway(settings: Settings, placement: Placement) -> anyhow::Result<()> {
    settings.check_key()?;
    let metrics = admin::record()?;
    let options = settings.gateway_options()?;
    let cores = peers(&settings.peers.chat_cores, "peers.chat_cores", &settings.key, &options.upstream)?;
    let presences = peers(&settings.peers.presences, "peers.presences", &settings.key, &options.upstream)?;
    let backbone = super::connect_backbone(&settings.redis)?;
    let cores = ChatCores::new(options.upstream.clone(), cores);
    let gateway =
        Gateway::start(placement, options, settings.clock.clock(), cores, presences, backbone).await.context("starting the gateway")?;
    let health = Health::new({
        let gateway = gateway.clone();
        move || gateway.ready()
    });
    admin::serve(admin::listen(settings.listen.gateway_admin).await?, metrics, health.clone());
    let address = settings.listen.gateway;
    let listener = listen(address)?;
    let mut serving = serve(&gateway, listener);
    tracing::info!(%address, "the gateway serves");

    lifecycle::until_signalled(async { (&mut serving).await? }).await?;
    health.stopping();
    lifecycle::stop_within(Duration::from_secs(settings.lifecycle.stop_s), gateway.drain()).await;
    Ok(())
}

/// Accepts connections in a task of its own.
pub(super) fn serve(gateway: &Gateway, listener: TcpListener) -> tokio::task::JoinHandle<anyhow::Result<()>> {
    let gateway = gateway.clone();
    tokio::spawn(async move { gateway.serve(listener).await.context("serving") })
}

fn peers(addresses: &[String], setting: &str, key: &str, options: &UpstreamOptions) -> anyhow::Result<Vec<Upstream>> {
    ensure!(!addresses.is_empty(), "set {setting}: a gateway without them serves nobody");
    addresses.iter().map(|address| Upstream::remote(address, key, options).with_context(|| setting.to_owned())).collect()
}
