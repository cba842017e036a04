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
    let mut core = Core::start_with(&url, backbone, |options| {
        options.log.silence_ms = 2_000;
        options.log.post_timeout_ms = 2_000;
        options.store.acquire_timeout_ms = 2_000;
    })
    .await;
    // In the middle of a flood, where a transaction hears nothing; and after a pause, where the connection is asked first.
    for (person, pause) in [(301, Duration::ZERO), (302, Duration::from_millis(1_500))] {
        let before = core.submit(300, comment(&open, "before")).await.expect("a receipt");
        tokio::time::sleep(pause).await;
        server.stop();
        let asked = Instant::now();
        let during = comment(&open, "during");
        let refused = core.submit(person, during.clone()).await.expect_err("nobody can know");
        assert_eq!(refused.code(), RefusalCode::Unavailable);
        assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
        server.cont();

        // Whether it stands is found out by sending it again.
        let receipt = core.submit(person, during.clone()).await.expect("a receipt");
        let again = core.submit(person, during).await.expect("the same one");
        assert_eq!(receipt, again);
        assert_eq!(seq(&receipt), seq(&before) + 1, "written once");
    }
    core.stop().await;
}
