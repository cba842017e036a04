//! Rules of more conversations than are kept in memory, on SQLite and on PostgreSQL.
#![allow(clippy::unwrap_used, clippy::large_futures, reason = "a test that cannot go on says where, and is polled once")]

mod common;

use std::{sync::Arc, time::Duration};

use backbone::MemoryBackbone;
use chat_core::seed;
use clock::Clock;
use common::{Core, Database, by, comment};
use kernel::{
    execute,
    store::{Either, Store, StoreOptions},
};
use proto::v1::{ConsultationState, CreateConsultationRequest, Receipt, Refusal, RefusalCode};
use uuid::Uuid;

/// Conversations with rules.
const CONVERSATIONS: i64 = 100_000;
/// Of these as many are posted to in one call: more than fit into one transaction, and many more than are kept.
const TOUCHED: i64 = 1_200;
/// Conversations whose rules are kept.
const KEPT: usize = 64;
const FIRST: i64 = 1 << 40;

/// The id of one of them; those that are touched stand all over the table.
fn id(number: i64) -> String {
    Uuid::from_u128((FIRST + number * (CONVERSATIONS / TOUCHED)) as u128).to_string()
}

/// Makes conversations whose rules are those of `like`.
async fn insert_conversations(url: &str, like: Uuid) {
    let store = Store::open(&StoreOptions { url: url.to_owned(), ..StoreOptions::default() }, Clock::default()).await.unwrap();
    let ids = match store.split() {
        Either::Sqlite(_) => {
            "WITH RECURSIVE n(i) AS (SELECT $1 UNION ALL SELECT i + 1 FROM n WHERE i < $2), ids(id) AS (SELECT unhex(printf('%032x', i)) FROM n)"
        }
        Either::Postgres(_) => {
            "WITH ids(id) AS (SELECT lpad(to_hex(i), 32, '0')::uuid FROM generate_series($1::bigint, $2::bigint) AS n(i))"
        }
    };
    for into in [
        "INSERT INTO heads (conversation, epoch, kind, partition) SELECT id, h.epoch, h.kind, h.partition FROM ids CROSS JOIN heads h WHERE h.conversation = $3",
        "INSERT INTO rules (conversation, body) SELECT id, r.body FROM ids CROSS JOIN rules r WHERE r.conversation = $3",
    ] {
        let mut tx = store.begin().await.unwrap();
        let made = execute!(tx, sqlx::AssertSqlSafe(format!("{ids} {into}")), FIRST, FIRST + CONVERSATIONS - 1, like).unwrap();
        tx.commit().await.unwrap();
        assert_eq!(made, CONVERSATIONS as u64);
    }
    store.close().await;
}

/// One call with a comment of each of these people to each of the conversations.
async fn comment_everywhere(core: &mut Core, people: &[u32]) -> Vec<Result<Receipt, Refusal>> {
    let posts = (0..TOUCHED).flat_map(|number| people.iter().map(move |person| (*person, comment(&id(number), "一条意见"))));
    core.submit_all(posts.collect()).await
}

fn refused_as(verdicts: &[Result<Receipt, Refusal>], code: RefusalCode) -> usize {
    verdicts.iter().filter(|verdict| verdict.as_ref().is_err_and(|refusal| refusal.code() == code)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_100_000_conversations() {
    for database in Database::both() {
        let mut core = Core::start_with(&database.url(), Arc::new(MemoryBackbone::new(1_024)), |options| {
            options.rules_known = KEPT;
            // However busy the machine is that this runs on.
            options.log.post_timeout_ms = 60_000;
            options.log.silence_ms = 60_000;
        })
        .await;
        seed::seed_demo(core.core.as_ref().unwrap()).await.unwrap();
        let staff = core.person("staff1").await;
        let create = CreateConsultationRequest {
            client_id: "like".into(),
            organisation: 1,
            title: "慢速".into(),
            slow_mode_s: 60,
            ..CreateConsultationRequest::default()
        };
        let like = core.consultations.create_consultation(by(staff, create)).await.unwrap().into_inner().id;
        core.set_state(staff, &like, ConsultationState::Open).await;
        insert_conversations(&database.url(), like.parse().unwrap()).await;

        let members = [core.person("member1").await, core.person("member2").await];
        let all = TOUCHED as usize;
        let verdicts = comment_everywhere(&mut core, &members[..1]).await;
        let first = verdicts.iter().find(|verdict| verdict.is_err());
        assert!(first.is_none(), "{} of {all} refused: {first:?}", verdicts.iter().filter(|verdict| verdict.is_err()).count());
        // Whoever has just commented waits, in every one of them; who comments twice in one batch has commented once.
        let verdicts = comment_everywhere(&mut core, &[members[0], members[1], members[1]]).await;
        assert_eq!(refused_as(&verdicts, RefusalCode::SlowMode), 2 * all);
        let accepted: Vec<usize> = (0..verdicts.len()).filter(|place| verdicts[*place].is_ok()).collect();
        assert_eq!(accepted, (0..all).map(|number| 3 * number + 1).collect::<Vec<_>>());
        // When it is over they comment again; and staff, who run it, never wait.
        core.clock.advance(Duration::from_secs(61));
        let verdicts = comment_everywhere(&mut core, &[members[0], staff]).await;
        assert!(verdicts.iter().all(Result::is_ok), "{:?}", verdicts.iter().find(|verdict| verdict.is_err()));
        core.stop().await;
    }
}
