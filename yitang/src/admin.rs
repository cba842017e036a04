//! The admin port of a role: metrics for Prometheus, health for whoever restarts it, readiness for balancers.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use axum::{Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::settings::ListenSettings;

/// Buckets of histograms, chosen by the unit at the end of a metric's name.
const MS_BUCKETS: [f64; 14] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];
const S_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
const COUNT_BUCKETS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// The metric by which one yitang knows another.
const STARTED: &str = "yitang_process_started";
/// What is read, bytes, and waited for of a listener that may be another yitang.
const ANSWER_BYTES: u64 = 1024 * 1024;
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The readiness that the admin port reports.
#[derive(Clone)]
pub struct Health {
    stopping: Arc<AtomicBool>,
    ready: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Health {
    /// Ready as long as `ready` says so and nothing is being stopped.
    pub fn new(ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { stopping: Arc::new(AtomicBool::new(false)), ready: Arc::new(ready) }
    }

    /// Reports not ready from now on.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed) && (self.ready)()
    }
}

/// Makes the metrics of this process available; must be called inside a runtime, before anything is counted.
///
/// # Errors
/// When it was done before.
pub fn record() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_ms".to_owned()), &MS_BUCKETS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &S_BUCKETS)?
        .set_buckets(&COUNT_BUCKETS)?
        .install_recorder()
        .context("metrics")?;
    metrics::gauge!(STARTED, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// Memory and open files as the system counts them, and tasks as the runtime does.
fn report_process() {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    metrics::gauge!("yitang_process_tasks").set(tasks as f64);
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        metrics::gauge!("yitang_process_open_files").set(files.count() as f64);
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        if let Some(kib) = kib {
            metrics::gauge!("yitang_process_resident_bytes").set(kib * 1024.0);
        }
    }
}

/// Listens where metrics and health are to be served.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address} (admin)"))
}

/// Listens on the address, or, where that is the default and another yitang serves its own metrics there, on a free port of
/// the same host: for `yitang all`, of which several may be tried on one machine. An address that somebody chose is listened on
/// or the start fails, and so it is for roles that run apart, whose ports are scraped by number.
///
/// # Errors
/// When neither can be listened on.
pub async fn listen_or_move(address: SocketAddr) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error)
            if error.kind() == ErrorKind::AddrInUse && address == ListenSettings::default().gateway_admin && is_yitang(address).await =>
        {
            listen(SocketAddr::new(address.ip(), 0)).await
        }
        bound => bound.with_context(|| format!("listening on {address} (admin)")),
    }
}

/// Whether an admin port of this executable answers there.
async fn is_yitang(address: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, ask).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| String::from_utf8_lossy(&answer).contains(STARTED)))
}

/// Serves until the process ends, also while the role stops.
pub fn serve(listener: TcpListener, metrics: PrometheusHandle, health: Health) {
    let router = Router::new()
        .route("/metrics", get(exposition))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readiness))
        .with_state((metrics, health));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the admin port ended");
        }
    });
}

async fn exposition(State((metrics, _)): State<(PrometheusHandle, Health)>) -> impl IntoResponse {
    // Measured at each scrape.
    report_process();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render())
}

async fn readiness(State((_, health)): State<(PrometheusHandle, Health)>) -> impl IntoResponse {
    if health.ready() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}
