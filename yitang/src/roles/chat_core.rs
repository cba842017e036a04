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
use tokio::{net::TcpListener, time::Instant};
use tokio_util::sync::CancellationToken;

use super::grpc;
use crate::{
    admin::{self, Health},
    lifecycle,
    settings::Settings,
};

/// How often a database that is away is tried again, and a running one is asked.
const DATABASE_EVERY: Duration = Duration::from_millis(500);

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
    admin::serve(settings.listen.chat_core_admin, metrics, health.clone()).await?;
    let backbone = super::connect_backbone(&settings.redis).await?;
    let core = Arc::new(start_core(&settings, backbone).await?);
    let listener = TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))?;
    let stop = CancellationToken::new();
    let asking = tokio::spawn(ask_database(Arc::clone(&core), database));
    let mut serving = tokio::spawn(grpc::serve(listener, core.routes(&settings.key), &settings.lifecycle, stop.clone()));
    tracing::info!(%address, "chat-core serves");

    lifecycle::until_told(async { (&mut serving).await? }).await?;
    health.stopping();
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(settings.lifecycle.notice_ms)).await;
        stop.cancel();
        if let Err(error) = serving.await.map_err(anyhow::Error::from).and_then(|ended| ended) {
            tracing::warn!(%error, "serving did not end well");
        }
        asking.abort();
        let _ = asking.await;
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
pub async fn start_core(settings: &Settings, backbone: Arc<dyn Backbone>) -> anyhow::Result<ChatCore> {
    let give_up = Instant::now() + Duration::from_secs(settings.lifecycle.database_wait_s);
    let options = settings.chat_core_options();
    loop {
        match ChatCore::start(options.clone(), Arc::clone(&backbone)).await {
            Ok(core) => return Ok(core),
            Err(fault) if fault.passing() && Instant::now() < give_up => {
                tracing::warn!(%fault, "the database is not there yet");
                tokio::time::sleep(DATABASE_EVERY).await;
            }
            Err(fault) => return Err(fault).context("starting chat-core"),
        }
    }
}

async fn ask_database(core: Arc<ChatCore>, answers: Arc<AtomicBool>) {
    loop {
        let answered = tokio::time::timeout(Duration::from_secs(2), core.ping()).await.is_ok_and(|answer| answer.is_ok());
        if answers.swap(answered, Ordering::Relaxed) != answered {
            tracing::info!(answered, "the database");
        }
        metrics::gauge!("yitang_chat_core_ready").set(f64::from(u8::from(answered)));
        tokio::time::sleep(DATABASE_EVERY).await;
    }
}
