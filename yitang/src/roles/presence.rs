//! `yitang presence`.

use std::time::Duration;

use presence::Presence;

use tokio_util::sync::CancellationToken;

use super::{grpc, listener::listen};
use crate::{
    admin::{self, Health},
    lifecycle,
    settings::Settings,
};

/// Runs an instance of presence until it is told to stop.
///
/// # Errors
/// When the settings do not do, or an address cannot be listened on.
pub async fn presence(settings: Settings) -> anyhow::Result<()> {
    settings.check_key()?;
    let metrics = admin::record()?;
    let health = Health::new(|| true);
    admin::serve(admin::listen(settings.listen.presence_admin).await?, metrics, health.clone());
    let address = settings.listen.presence;
    let presence = Presence::start(settings.presence_options());
    let listener = listen(address)?;
    let stop = CancellationToken::new();
    let mut serving = tokio::spawn(grpc::serve(listener, presence.routes(), &settings.lifecycle, stop.clone()));
    tracing::info!(%address, "presence serves");

    lifecycle::until_signalled(async { (&mut serving).await? }).await?;
    health.stopping();
    // Gateways hold streams that do not end by themselves and open them anew within a second: there is nothing to finish.
    stop.cancel();
    serving.abort();
    let stopping = async {
        let _ = serving.await;
    };
    lifecycle::stop_within(Duration::from_secs(settings.lifecycle.stop_s), stopping).await;
    Ok(())
}
