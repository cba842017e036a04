//! TLS at the gateway's own listener: the same sockets, and a certificate that is renewed without a restart.

use std::{path::Path, sync::Arc, time::Duration};

use proto::{CloseCode, Subprotocol, v1::sign_in::Credential};
use rcgen::{CertificateParams, CertifiedKey, DistinguishedName, DnType, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
};
use testkit::eventually;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Hall,
    client::{Client, WITHIN},
    core::comment,
};

/// A certificate of its own for `localhost`, written as the settings name it.
fn certificate(folder: &Path, name: &str) -> CertificateDer<'static> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certified = CertifiedKey { cert: params.self_signed(&key).unwrap(), signing_key: key };
    std::fs::write(folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("certificate.pem"), certified.cert.pem()).unwrap();
    certified.cert.der().clone()
}

async fn hall(folder: &Path) -> Hall {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    Hall::with(|options| {
        options.edge.tls_certificate = certificate.display().to_string();
        options.edge.tls_key = key.display().to_string();
        options.edge.tls_look_s = 1;
        options.edge.head_ms = 1_000;
    })
    .await
}

async fn dial(hall: &Hall, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(hall.address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), tcp).await
}

async fn client(hall: &Hall, trusted: &CertificateDer<'static>, person: u32) -> Client {
    let line = Box::new(dial(hall, trusted).await.unwrap());
    let mut client = Client::over(line, hall.address, Subprotocol::Proto, "").await.unwrap();
    let ticket = hall.core.ticket(person, &format!("session-{person}"), "");
    client.sign_in(Credential::Ticket(ticket), Vec::new()).await;
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_over_tls_loses_nothing_however_slowly_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = certificate(folder.path(), "one");
    let hall = hall(folder.path()).await;
    let room = hall.core.conversation();
    let (mut quick, mut slow) = (client(&hall, &trusted, 1).await, client(&hall, &trusted, 2).await);
    for client in [&mut quick, &mut slow] {
        client.subscribe(room, None, 0).await.unwrap();
    }
    // More than the kernel, rustls and the outbox's head hold together; `slow` reads nothing meanwhile.
    let text = "议".repeat(2_000);
    for _ in 0..300 {
        hall.core.append(room, 9, comment(&text)).await;
    }
    assert_eq!(quick.events(room, 0, 300).await.len(), 300);
    assert_eq!(slow.events(room, 0, 300).await.len(), 300);
    quick.post(room, "over TLS").await;
    for client in [&mut quick, &mut slow] {
        assert_eq!(client.events(room, 300, 301).await.len(), 1);
    }
    hall.core.end_session(1, "session-1");
    assert_eq!(quick.closed().await, Some(CloseCode::SessionEnded.code()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_shown_to_newcomers_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let old = certificate(folder.path(), "old");
    let hall = hall(folder.path()).await;
    let room = hall.core.conversation();
    let mut before = client(&hall, &old, 1).await;
    before.subscribe(room, None, 0).await.unwrap();

    std::fs::write(folder.path().join("certificate.pem"), "nonsense").unwrap();
    let until = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < until {
        dial(&hall, &old).await.expect("the old one stays in force");
    }
    let new = certificate(folder.path(), "new");
    eventually(WITHIN, "the new certificate", || async { dial(&hall, &new).await.ok().map(drop) }).await;
    assert!(dial(&hall, &old).await.is_err(), "the old one is not shown any more");

    hall.core.append(room, 9, comment("still here")).await;
    assert_eq!(before.events(room, 0, 1).await.len(), 1, "who was connected stays connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_speak_tls_in_time_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "one");
    let hall = hall(folder.path()).await;
    let mut silent = TcpStream::connect(hall.address).await.unwrap();
    assert_eq!(timeout(WITHIN, silent.read(&mut [0; 16])).await.expect("closed in time").unwrap_or(0), 0);
}
