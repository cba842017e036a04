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
use sqlx::{Connection as _, PgConnection};

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

/// After a failover an address may lead to the former primary for a moment: reading works there, and waiting does not help.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_leaves_a_database_that_takes_no_writes() {
    let Database::Postgres(_server, url) = Database::postgres() else { panic!("PostgreSQL was asked for") };
    let (mut core, open) = Core::seeded(&url).await;
    core.submit(300, comment(&open, "before")).await.expect("a receipt");
    let mut operator = PgConnection::connect(&url).await.unwrap();
    // A server that is told so in the middle: who has written on a connection leaves it.
    let pids = "SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let before: Vec<(i64,)> = sqlx::query_as(pids).fetch_all(&mut operator).await.unwrap();
    for (setting, outcome) in
        [("SET default_transaction_read_only = on", Err(RefusalCode::Unavailable)), ("RESET default_transaction_read_only", Ok(()))]
    {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("ALTER SYSTEM {setting}"))).execute(&mut operator).await.unwrap();
        sqlx::raw_sql("SELECT pg_reload_conf()").execute(&mut operator).await.unwrap();
        // Every process at the database hears of it by itself.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let posted = core.submit(303, comment(&open, "told in the middle")).await;
        assert_eq!(posted.map(|_| ()).map_err(|refusal| refusal.code()), outcome);
    }
    let after: Vec<(i64,)> = sqlx::query_as(pids).fetch_all(&mut operator).await.unwrap();
    assert!(before.iter().any(|pid| !after.contains(pid)), "{before:?}, {after:?}");

    // What is connected now cannot write any more, as on a standby; and nobody else is let in who would.
    let set = |to: &str| {
        format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {to}', current_database()); END $$")
    };
    let mut run = async |statement: String| sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut operator).await.unwrap();
    run(set("on")).await;
    run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()".to_owned())
        .await;
    let refused = core.submit(301, comment(&open, "during")).await.expect_err("nobody writes");
    assert_eq!(refused.code(), RefusalCode::Unavailable);
    run(set("off")).await;
    let asked = Instant::now();
    core.submit(302, comment(&open, "after")).await.expect("a receipt");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    core.stop().await;
}
