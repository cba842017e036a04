//! TLS of the listener, where a certificate is set: read from files, and read again when they change, so that a renewed
//! certificate needs no restart.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::options::EdgeOptions;
use crate::fault::Fault;

/// The certificate in force.
#[derive(Debug)]
struct Current {
    key: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

/// Takes connections over TLS.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
    files: Arc<Files>,
}

impl Tls {
    /// `None`: no certificate is set, and TLS is a proxy's.
    ///
    /// # Errors
    /// When only one of certificate and key is set, a file cannot be read, or they do not belong together.
    pub(super) fn new(options: &EdgeOptions) -> Result<Option<Self>, Fault> {
        let files = match (options.tls_certificate.as_str(), options.tls_key.as_str()) {
            ("", "") => return Ok(None),
            ("", _) | (_, "") => return Err(Fault::Options("edge.tls_certificate and edge.tls_key go together".to_owned())),
            (certificate, key) => Files { certificate: certificate.into(), key: key.into() },
        };
        let current = Arc::new(Current { key: ArcSwap::from_pointee(files.read()?) });
        let bad = |cause: rustls::Error| Fault::Options(format!("TLS: {cause}"));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Who comes back resumes without a signature; the tickets' keys live in this process only and change by themselves.
        config.ticketer = ring::Ticketer::new().map_err(bad)?;
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current, files: Arc::new(files) }))
    }

    pub(super) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again whenever they change, looking at them once in every `every`. What cannot be read leaves the old in force.
    pub(super) async fn reload_when_changed(self, every: Duration, stop: CancellationToken) {
        let mut seen = self.files.modified();
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let now = self.files.modified();
            if now == seen {
                continue;
            }
            match self.files.read() {
                Ok(key) => {
                    self.current.key.store(Arc::new(key));
                    seen = now;
                    metrics::counter!("yitang_gateway_tls_reloads_total", "outcome" => "done").increment(1);
                    tracing::info!("the TLS certificate was read again");
                }
                // Seen half written, perhaps: looked at again the next time.
                Err(error) => {
                    metrics::counter!("yitang_gateway_tls_reloads_total", "outcome" => "failed").increment(1);
                    tracing::error!(%error, "the changed TLS certificate cannot be used; the old one stays in force");
                }
            }
        }
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn read(&self) -> Result<CertifiedKey, Fault> {
        let bad = |path: &Path, cause: String| Fault::Options(format!("{}: {cause}", path.display()));
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|cause| bad(&self.certificate, cause.to_string()))?;
        if chain.is_empty() {
            return Err(bad(&self.certificate, "holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|cause| bad(&self.key, cause.to_string()))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|cause| bad(&self.key, cause.to_string()))
    }

    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok())
    }
}
