//! `yitang chat-core`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use backbone::Backbone;
use chat_core::ChatCore;
use clock::Clock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{grpc, listener::listen};
use crate::{
    admin::{self, Health},
    lifecycle,
    settings::Settings,
};

/// Interval at which a database that is away is tried again, and a running one is checked.
const DATABASE_CHECK_EVERY: Duration = Duration::from_millis(500);

/// Runs a chat-core until it is told to stop.
///
/// # Errors
/// When the settings do not do, or what it needs is not there.
pub async fn chat_core(settings: Settings) -> anyhow::Result<()> {
    settings.check_key()?;
    let metrics = admin::record()?;
    let address = settings.listen.chat_core;
    let database = Arc::new(AtomicBool::new(false));
    let health = Health::new({
        let database = Arc::clone(&database);
        move || database.load(Ordering::Relaxed)
    });
    admin::serve(admin::listen(settings.listen.chat_core_admin).await?, metrics, health.clone());
    let backbone = super::connect_backbone(&settings.redis)?;
    let _lock = settings.chat_core_options().store.lock()?;
    let core = Arc::new(start_core(&settings, backbone, &settings.clock.clock()).await?);
    let listener = listen(address)?;
    let stop = CancellationToken::new();
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let watching = tokio::spawn(watch_database(Arc::clone(&core), database, reporter.clone()));
    let routes = core.routes(&settings.key).add_service(health_service);
    let mut serving = tokio::spawn(grpc::serve(listener, routes, &settings.lifecycle, stop.clone()));
    tracing::info!(%address, "chat-core serves");

    let running = async {
        tokio::select! {
            served = &mut serving => served?,
            task = core.died() => anyhow::bail!("{task} has died"),
        }
    };
    lifecycle::until_signalled(running).await?;
    health.stopping();
    watching.abort();
    let _ = watching.await;
    let stopping = async {
        // Gateways ask twice a second, and go elsewhere.
        reporter.set_service_status("", ServingStatus::NotServing).await;
        tokio::time::sleep(Duration::from_millis(settings.lifecycle.notice_ms)).await;
        core.drain();
        stop.cancel();
        if let Err(error) = serving.await.map_err(anyhow::Error::from).and_then(|ended| ended) {
            tracing::warn!(%error, "serving did not end well");
        }
        match Arc::try_unwrap(core) {
            Ok(core) => core.shutdown().await,
            Err(_) => tracing::warn!("chat-core is still being used: its database is left as it is"),
        }
    };
    lifecycle::stop_within(Duration::from_secs(settings.lifecycle.stop_s), stopping).await;
    Ok(())
}

/// Starts a chat-core, waiting for its database for the time set.
///
/// # Errors
/// When the settings cannot be used, or the database does not come.
pub async fn start_core(settings: &Settings, backbone: Arc<dyn Backbone>, clock: &Clock) -> anyhow::Result<ChatCore> {
    let give_up = Instant::now() + Duration::from_secs(settings.lifecycle.database_wait_s);
    let options = settings.chat_core_options();
    loop {
        match ChatCore::start(options.clone(), Arc::clone(&backbone), clock.clone()).await {
            Ok(core) => return Ok(core),
            Err(fault) if fault.is_passing() && Instant::now() < give_up => {
                tracing::warn!(%fault, "the database is not there yet");
                tokio::time::sleep(DATABASE_CHECK_EVERY).await;
            }
            Err(fault) => return Err(fault).context("starting chat-core"),
        }
    }
}

async fn watch_database(core: Arc<ChatCore>, answers: Arc<AtomicBool>, reporter: HealthReporter) {
    loop {
        let answered = tokio::time::timeout(Duration::from_secs(2), core.ping()).await.is_ok_and(|answer| answer.is_ok());
        if answers.swap(answered, Ordering::Relaxed) != answered {
            tracing::info!(answered, "the database");
        }
        let status = if answered { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        metrics::gauge!("yitang_chat_core_ready").set(f64::from(u8::from(answered)));
        tokio::time::sleep(DATABASE_CHECK_EVERY).await;
    }
}
