//! `yitang all`: the three roles in one process. The generated clients call the generated servers directly: the same
//! contract as between processes, without a network.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use backbone::{Backbone, MemoryBackbone};
use chat_core::{ChatCore, seed};
use gateway::{ChatCores, Gateway, Placement, Upstream};
use presence::Presence;

use super::{gateway::serve, listener::listen, start_core};
use crate::{
    admin::{self, Health},
    lifecycle,
    settings::Settings,
};

/// Runs everything until it is told to stop.
///
/// # Errors
/// When the settings do not do, or what it needs is not there.
pub async fn all(mut settings: Settings) -> anyhow::Result<()> {
    settings.ensure_key()?;
    let metrics = admin::record()?;
    // Before anything is written, so that a second start on the same port changes nothing.
    let address = settings.listen.gateway;
    let listener = listen(address)?;
    let mut options = settings.gateway_options()?;
    // Tells presence that its counts are complete with this gateway alone.
    options.hub.gateways = 1;
    let demo = options.edge.demo;
    let backbone: Arc<dyn Backbone> = Arc::new(MemoryBackbone::new(settings.lifecycle.hints_most));
    let _lock = settings.chat_core_options().store.lock()?;
    let clock = settings.clock.clock();
    let core = start_core(&settings, Arc::clone(&backbone), &clock).await?;
    if demo {
        seed_demo(&core).await?;
    }
    let presence = Presence::start(presence::Options { key: String::new(), ..settings.presence.clone() });
    let cores = ChatCores::new(options.upstream.clone(), vec![Upstream::local(core.routes(""))]);
    let presences = vec![Upstream::local(presence.routes())];
    let gateway =
        Gateway::start(Placement::OwnThreads, options, clock, cores, presences, backbone).await.context("starting the gateway")?;
    let health = Health::new({
        let gateway = gateway.clone();
        move || gateway.ready()
    });
    let admin = admin::listen_or_move(settings.listen.gateway_admin).await?;
    let admin_address = admin.local_addr().context("the admin port")?;
    admin::serve(admin, metrics, health.clone());
    let mut serving = serve(&gateway, listener);
    greet(&settings, admin_address, &core, demo).await?;

    let running = async {
        tokio::select! {
            served = &mut serving => served?,
            task = core.died() => anyhow::bail!("{task} has died"),
        }
    };
    lifecycle::until_signalled(running).await?;
    health.stopping();
    let stopping = async {
        gateway.drain().await;
        drop(gateway);
        core.shutdown().await;
    };
    lifecycle::stop_within(Duration::from_secs(settings.lifecycle.stop_s), stopping).await;
    Ok(())
}

async fn seed_demo(core: &ChatCore) -> anyhow::Result<()> {
    let seeded = seed::seed_demo(core).await.context("making the demonstration")?;
    if seeded.people > 0 {
        tracing::info!(people = seeded.people, organisations = seeded.organisations, "the demonstration was made");
    }
    Ok(())
}

/// Prints the addresses and how to sign in.
async fn greet(settings: &Settings, admin: SocketAddr, core: &ChatCore, demo: bool) -> anyhow::Result<()> {
    let url = settings.public_url()?;
    println!("Yitang 议堂 is at {url}; metrics and health are at http://{admin}");
    if demo {
        println!("Sign in on this machine as member1 (a member), staff1 (staff and operator) …, password {}", seed::PASSWORD);
    }
    match core.first_operator_link().await {
        Ok(Some(link)) => println!("Nobody is here yet. This link, good once, makes the first operator:\n  {url}{}", link.path),
        Ok(None) => {}
        Err(error) => tracing::error!(%error, "the first operator's link"),
    }
    Ok(())
}
