//! Guests: those who come without an account, by a link that grants one conversation. Screens in a hall are; what subject made a
//! link is nothing that is asked here.

mod grant;
pub mod rows;

use tonic::metadata::MetadataMap;
use uuid::Uuid;

pub use grant::Grant;
pub use rows::{GuestRow, LinkRow};

use crate::{
    control::Record,
    fault::Fault,
    store::{Store, Tx},
};

/// The time between two writes of when a link was last used, ms: less than the minute in which each guest is judged anew.
const SEEN_EVERY_MS: i64 = 45_000;

/// The link that a public call is made with; `None`: it is a person's. The edge strips this name from what clients send.
#[must_use]
pub fn find_link(metadata: &MetadataMap) -> Option<&str> {
    metadata.get(proto::metadata::DISPLAY).map(|value| value.to_str().unwrap_or_default())
}

/// That a guest's session has ended.
#[must_use]
pub fn session_ended(session: Uuid, link: Uuid) -> Record {
    Record::session_ended(session, proto::display::number(link))
}

/// Ends every session of a link; gives what to record.
///
/// # Errors
/// When the database fails.
pub async fn end_sessions(tx: &mut Tx<'_>, link: Uuid, now_ms: i64) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    for session in rows::list_sessions(tx, link).await? {
        if rows::end_session(tx, session, now_ms).await?.is_some() {
            records.push(session_ended(session, link));
        }
    }
    Ok(records)
}

/// Writes that guests have just used these links, in a task of its own: nobody waits for it.
pub fn update_seen(store: &Store, links: Vec<&LinkRow>, now_ms: i64) {
    let due: Vec<Uuid> = links.into_iter().filter(|link| link.seen_ms < now_ms - SEEN_EVERY_MS).map(|link| link.id).collect();
    if due.is_empty() {
        return;
    }
    let store = store.clone();
    tokio::spawn(async move {
        let written = async {
            let mut tx = store.begin().await?;
            for link in due {
                rows::update_seen(&mut tx, link, now_ms).await?;
            }
            tx.commit().await
        };
        if let Err(fault) = written.await {
            tracing::debug!(%fault, "when a guest was last seen is written later");
        }
    });
}
