//! Whether the database keeps what it acknowledged.

use chat_core::store::{DatabaseFacts, Store};

use super::{finding::Finding, machine};
use crate::settings::{Settings, mask_url};

/// Asks the database.
pub async fn check(settings: &Settings) -> Vec<Finding> {
    let options = settings.chat_core_options().store;
    let url = mask_url(&options.url);
    if let Some(file) = options.file()
        && !file.exists()
    {
        return vec![Finding::ok(format!("the database {url} will be made at the first start"))];
    }
    let store = match Store::open(&options, settings.clock.clock()).await {
        Ok(store) => store,
        Err(fault) => {
            return vec![Finding::bad(
                format!("the database {url}: {fault}"),
                "is it running, and does chat_core.store.url lead to the primary?",
            )];
        }
    };
    let facts = store.facts().await;
    store.close().await;
    match facts {
        Err(fault) => vec![Finding::bad(format!("the database {url}: {fault}"), "see the database's own log")],
        Ok(facts) => {
            let mut findings = vec![Finding::ok(format!("the database {url} is {}", facts.version))];
            match options.file() {
                Some(file) => {
                    findings.push(sqlite(&facts));
                    findings.push(machine::lasting(&file));
                }
                None => findings.extend(postgres(&facts)),
            }
            findings
        }
    }
}

fn sqlite(facts: &DatabaseFacts) -> Finding {
    let (journal, synchronous) = (facts.setting("journal_mode"), facts.setting("synchronous"));
    let what = format!("journal_mode={journal} synchronous={synchronous}");
    if journal == "wal" && synchronous == "full" {
        Finding::ok(format!("{what}: each commit is synced before its receipt"))
    } else {
        Finding::bad(what, "receipts would not survive a loss of power: is the file on a network share?")
    }
}

fn postgres(facts: &DatabaseFacts) -> Vec<Finding> {
    let on = |name: &str, advice: &str| match facts.setting(name) {
        "off" => Finding::bad(format!("{name}=off"), advice),
        value => Finding::ok(format!("{name}={value}")),
    };
    let mut findings = vec![
        on("fsync", "receipts would not survive a loss of power: set fsync=on and restart PostgreSQL"),
        on("full_page_writes", "a loss of power can tear pages: set full_page_writes=on"),
        on("synchronous_commit", "the connection asks for it and the server refuses: look for a pooler between"),
    ];
    findings.push(match facts.setting("synchronous_standby_names") {
        "" => Finding::warning(
            "no synchronous standby",
            "receipts survive a crash, but not the loss of the database's disk: add a standby and name it in synchronous_standby_names",
        ),
        names => Finding::ok(format!("synchronous standby: {names}")),
    });
    findings
}
