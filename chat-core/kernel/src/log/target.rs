//! What posts act on, read whole: only where their kind asks for it.

use std::collections::HashMap;

use proto::v1::Event;
use sequence::kinds::{self, NewestText, Rewrite};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{entry::EventRow, lookups, page::rewriting_codes};
use crate::{fault::Fault, fetch_all, store::Tx};

/// The events under these keys (conversation, seq), as they were posted; unknown ones are left out.
pub async fn find_events(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<HashMap<(Uuid, i64), Event>, Fault> {
    let mut events = HashMap::with_capacity(keys.len());
    for row in lookups::find_bodies(tx, keys).await? {
        let stored = EventRow { seq: row.seq, mseq: 0, time_ms: 0, author: 0, body: row.body };
        events.insert((row.conversation, row.seq), stored.to_event()?);
    }
    Ok(events)
}

const LATER: &str = "SELECT seq, mseq, time_ms, author, body FROM events WHERE conversation = $1 AND target = $2";

/// The newest text of each of these comments, whatever took it away since. One query each: moderators give back one comment at a
/// time.
pub async fn find_newest_texts(tx: &mut Tx<'_>, keys: &[(Uuid, i64)]) -> Result<HashMap<(Uuid, i64), NewestText>, Fault> {
    let mut texts = HashMap::with_capacity(keys.len());
    for (key, event) in find_events(tx, keys).await? {
        let Some(comment) = kinds::comment_in(&event) else { continue };
        let mut newest = NewestText { text: comment.text.clone(), version: 0 };
        // Of the kinds that the index of rewrites holds: without them named, all events would be walked through.
        let rewrites = format!("{LATER} AND kind IN ({}) ORDER BY seq", rewriting_codes());
        let later = fetch_all!(tx, EventRow, AssertSqlSafe(rewrites), key.0, key.1)?;
        for row in later {
            let event = row.to_event()?;
            if let Some(Rewrite::Text { version, text }) = event.kind.as_ref().and_then(|kind| kinds::as_kind(kind).rewrite())
                && version > newest.version
            {
                newest = NewestText { text: text.to_owned(), version };
            }
        }
        texts.insert(key, newest);
    }
    Ok(texts)
}
