//! A database that is there, and says nothing.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use backbone::MemoryBackbone;
use common::{Core, Database, comment, seq};
use proto::v1::RefusalCode;

#[tokio::test(flavor = "multi_thread")]
async fn posts_are_not_kept_waiting_by_a_database_that_has_gone_silent() {
    let Database::Postgres(server, url) = Database::postgres() else { panic!("PostgreSQL was asked for") };
    let (core, open) = Core::seeded(&url).await;
    core.stop().await;
    let backbone = Arc::new(MemoryBackbone::new(1_024));
    let mut core = Core::start_with(&url, backbone, |options| options.log.post_timeout_ms = 2_000).await;
    let before = core.submit(300, comment(&open, "before")).await.expect("a receipt");

    server.stop();
    let asked = Instant::now();
    let during = comment(&open, "during");
    let refused = core.submit(301, during.clone()).await.expect_err("nobody can know");
    assert_eq!(refused.code(), RefusalCode::Unavailable);
    assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
    server.cont();

    // What became of the transaction is found out by writing it again: once it stands, whoever asks.
    let receipt = core.submit(301, during.clone()).await.expect("a receipt");
    let again = core.submit(301, during).await.expect("the same one");
    assert_eq!(receipt, again);
    assert_eq!(seq(&receipt), seq(&before) + 1, "written once");
    core.stop().await;
}
