//! The transport of a socket: TCP, or TLS over it.

use std::{
    io::{self, Read as _, Write as _},
    sync::Arc,
};

use anyhow::Context as _;
use mio::net::TcpStream;
use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};

/// A connection's bytes.
pub enum Transport {
    /// Plain TCP.
    Plain(TcpStream),
    /// TLS.
    Tls(Box<(TcpStream, ClientConnection)>),
}

/// The TLS configuration that trusts the certificates in this PEM file.
///
/// # Errors
/// When the file of trusted certificates cannot be read.
pub fn trust(ca: &str) -> anyhow::Result<Arc<ClientConfig>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(|| format!("reading {ca}"))? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

impl Transport {
    /// The transport over a stream that is being connected; with TLS where `tls` names a configuration and the server.
    ///
    /// # Errors
    /// When the server's name cannot stand in a certificate.
    pub fn new(stream: TcpStream, tls: Option<(&Arc<ClientConfig>, &str)>) -> anyhow::Result<Self> {
        let Some((config, host)) = tls else { return Ok(Self::Plain(stream)) };
        let name = ServerName::try_from(host.to_owned()).with_context(|| format!("{host} is no name for TLS"))?;
        Ok(Self::Tls(Box::new((stream, ClientConnection::new(config.clone(), name)?))))
    }

    /// The socket, to be registered.
    pub fn stream(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => &mut tls.0,
        }
    }

    /// Whether a read that fills less than the buffer means that nothing more is there.
    #[must_use]
    pub fn short_is_empty(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Reads; 0: the server closed the connection.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing now; others when it broke.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(tls) => {
                let (stream, tls) = &mut **tls;
                loop {
                    match tls.reader().read(buffer) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        read => return read,
                    }
                    if tls.read_tls(stream)? == 0 {
                        return Ok(0);
                    }
                    tls.process_new_packets().map_err(io::Error::other)?;
                    // A handshake's answer, a key's update.
                    drain(stream, tls)?;
                }
            }
        }
    }

    /// Writes as many bytes as fit.
    ///
    /// # Errors
    /// `WouldBlock` when none fit now; others when the connection broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => {
                let (stream, tls) = &mut **tls;
                let written = tls.writer().write(bytes)?;
                drain(stream, tls)?;
                Ok(written)
            }
        }
    }

    /// Writes records of TLS itself that wait.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => {
                let (stream, tls) = &mut **tls;
                drain(stream, tls)
            }
        }
    }
}

fn drain(stream: &mut TcpStream, tls: &mut ClientConnection) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
