//! Stretches of history, as later events left them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::OnceLock,
};

use proto::v1::{Event, Marks, Page, PageRequest, Refusal, RefusalCode, page_request::Where};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::entry::{EventRow, HeadRow};
use crate::{
    fault::{Error, Fault},
    fetch_all, fetch_among, fetch_optional,
    store::Store,
};

/// The conversation's head; `None`: there is no such conversation.
///
/// # Errors
/// When the database fails.
pub async fn find_head(store: &Store, conversation: Uuid) -> Result<Option<HeadRow>, Fault> {
    Ok(fetch_optional!(
        store,
        HeadRow,
        "SELECT conversation, epoch, kind, seq, mseq, gate, time_ms, spoke, comments FROM heads WHERE conversation = $1",
        conversation
    )?)
}

/// Events `after < seq <= to`, folded, at most `limit`.
///
/// # Errors
/// When the database fails or holds what cannot be decoded.
pub async fn read_stretch(store: &Store, conversation: Uuid, after: i64, to: i64, limit: i64) -> Result<Vec<Event>, Fault> {
    let rows = fetch_all!(
        store,
        EventRow,
        "SELECT seq, mseq, time_ms, author, body FROM events WHERE conversation = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
        conversation,
        after,
        to,
        limit
    )?;
    let mut events = rows.iter().map(EventRow::to_event).collect::<Result<Vec<_>, _>>()?;
    fold(store, conversation, &mut events).await?;
    Ok(events)
}

/// Folds a stretch by every change of a text whose target stands in it, or is the target of one that stands in it; and gives each
/// event the marks that stand on it.
async fn fold(store: &Store, conversation: Uuid, events: &mut [Event]) -> Result<(), Fault> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
    let (first, last) = (first.seq as i64, last.seq as i64);
    let elsewhere: BTreeSet<i64> = events
        .iter()
        .filter_map(sequence::target_of)
        .map(|target| target as i64)
        .filter(|target| !(first..=last).contains(target))
        .collect();
    let rewriting = rewriting_codes();
    let within = format!("{CHANGES} kind IN ({rewriting}) AND target >= $2 AND target <= $3");
    let mut changes = fetch_all!(store, EventRow, AssertSqlSafe(within), conversation, first, last)?;
    let elsewhere: Vec<i64> = elsewhere.into_iter().collect();
    let beyond = format!("{CHANGES} kind IN ({rewriting}) AND target");
    changes.extend(fetch_among!(store, EventRow, beyond, elsewhere, "", conversation)?);
    let changes = changes.iter().map(EventRow::to_event).collect::<Result<Vec<_>, _>>()?;
    let mut marks = find_marks(store, conversation, first, last).await?;
    for event in events.iter_mut() {
        event.marks = marks.remove(&(event.seq as i64));
    }
    sequence::fold_page(events, &changes);
    Ok(())
}

const CHANGES: &str = "SELECT seq, mseq, time_ms, author, body FROM events WHERE conversation = $1 AND";

/// Codes of the kinds that change a text, as a list for SQL. Votes and their like leave marks, and may be thousands.
pub fn rewriting_codes() -> &'static str {
    static CODES: OnceLock<String> = OnceLock::new();
    CODES.get_or_init(|| to_list(&sequence::kinds::rewriting_codes()))
}

/// Acts of those who run a conversation with a seq below `before`, the newest first. The texts that they gave back are left out: they
/// may have been hidden again.
///
/// # Errors
/// When the database fails or holds what cannot be decoded.
pub async fn list_acts(store: &Store, conversation: Uuid, before: i64, limit: i64) -> Result<Vec<Event>, Fault> {
    static SQL: OnceLock<String> = OnceLock::new();
    let sql = SQL.get_or_init(|| {
        let codes = to_list(&sequence::kinds::act_codes());
        format!(
            "SELECT seq, mseq, time_ms, author, body FROM events WHERE conversation = $1 AND kind IN ({codes}) AND seq < $2 \
             ORDER BY seq DESC LIMIT $3"
        )
    });
    let rows = fetch_all!(store, EventRow, AssertSqlSafe(sql.as_str()), conversation, before, limit)?;
    let mut events = rows.iter().map(EventRow::to_event).collect::<Result<Vec<_>, _>>()?;
    for kind in events.iter_mut().filter_map(|event| event.kind.as_mut()) {
        sequence::kinds::as_kind_mut(kind).clear_text();
    }
    Ok(events)
}

fn to_list(codes: &[i64]) -> String {
    codes.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

/// The marks on events `first..=last`, summed up, by the event's seq.
async fn find_marks(store: &Store, conversation: Uuid, first: i64, last: i64) -> Result<HashMap<i64, Marks>, Fault> {
    let rows = fetch_all!(
        store,
        (i64, i64, String, i64, i64),
        "SELECT target, mark, value, count(*), max(seq) FROM marks WHERE conversation = $1 AND target >= $2 AND target <= $3 \
         GROUP BY target, mark, value",
        conversation,
        first,
        last
    )?;
    // By target: the newest seq, and (mark, value, count).
    type Sums = (i64, Vec<(i32, String, u32)>);
    let mut found: HashMap<i64, Sums> = HashMap::new();
    for (target, mark, value, count, seq) in rows {
        let (as_of, counts) = found.entry(target).or_default();
        *as_of = seq.max(*as_of);
        counts.push((mark as i32, value, u32::try_from(count).unwrap_or(u32::MAX)));
    }
    Ok(found.into_iter().map(|(target, (as_of, counts))| (target, sequence::sum_marks(as_of as u64, counts))).collect())
}

/// The first event at or after a time; the head's seq where there is none. Times never fall within a log, so it is found by
/// halving: some twenty looks into the primary key for a million events, and no index of times to be kept with every post.
async fn find_first_at(store: &Store, conversation: Uuid, head: &HeadRow, time_ms: i64) -> Result<i64, Fault> {
    if time_ms > head.time_ms {
        return Ok(head.seq);
    }
    let (mut low, mut high) = (1, head.seq);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = fetch_optional!(
            store,
            (i64, i64),
            "SELECT seq, time_ms FROM events WHERE conversation = $1 AND seq >= $2 ORDER BY seq LIMIT 1",
            conversation,
            middle
        )?;
        match found {
            Some((seq, at_ms)) if at_ms < time_ms => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low.min(head.seq))
}

/// A page as asked for. `read_mseq`: how far the asker has read, for `first_unread`.
///
/// # Errors
/// NOT_FOUND, EPOCH_CHANGED, POSITION_BEYOND_HEAD, MALFORMED; a fault.
pub async fn read_page(store: &Store, conversation: Uuid, ask: &PageRequest, read_mseq: i64) -> Result<Page, Error> {
    let Some(head) = find_head(store, conversation).await? else { return Err(RefusalCode::NotFound.into()) };
    if ask.epoch != 0 && i64::from(ask.epoch) != head.epoch {
        return Err(RefusalCode::EpochChanged.into());
    }
    let limit = match ask.limit {
        0 => proto::limits::PAGE_EVENTS_DEFAULT,
        limit => limit.min(proto::limits::PAGE_EVENTS),
    };
    let limit = i64::from(limit);
    let within = |seq: u64| -> Result<i64, Error> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        if seq > head.seq + 1 { Err(RefusalCode::PositionBeyondHead.into()) } else { Ok(seq) }
    };
    let place = ask.r#where.as_ref().ok_or_else(|| Error::from(Refusal::of(RefusalCode::Malformed).field("where")))?;
    // What the page is to be around; 0: it is a page of another kind.
    let around = match place {
        Where::Before(_) | Where::After(_) => 0,
        // Just past the end is the end.
        Where::Around(around) => within(*around)?.min(head.seq),
        Where::FirstUnread(_) => {
            let first: Option<(i64,)> = fetch_optional!(
                store,
                (i64,),
                "SELECT seq FROM events WHERE conversation = $1 AND mseq > $2 AND seq > $2 ORDER BY seq LIMIT 1",
                conversation,
                read_mseq
            )?;
            first.map_or(head.seq, |first| first.0)
        }
        Where::AtTimeMs(time_ms) => find_first_at(store, conversation, &head, *time_ms).await?,
    };
    // Where the stretch begins: it holds the events after this seq.
    let after = match place {
        Where::Before(0) => head.seq - limit,
        Where::Before(before) => within(*before)? - 1 - limit,
        Where::After(after) => {
            let after = within(*after)?;
            if after > head.seq {
                return Err(RefusalCode::PositionBeyondHead.into());
            }
            after
        }
        // Near the end, what the end lacks is taken from before it: a page is whole wherever the log allows.
        Where::Around(_) | Where::FirstUnread(_) | Where::AtTimeMs(_) => (around - 1 - limit / 2).min(head.seq - limit),
    };
    let to = match place {
        Where::Before(0) => head.seq,
        Where::Before(before) => *before as i64 - 1,
        _ => head.seq,
    };
    let after = after.max(0);
    let events = read_stretch(store, conversation, after, to, limit).await?;
    let last = events.last().map_or(after, |event| event.seq as i64);
    Ok(Page {
        conversation: conversation.to_string(),
        epoch: head.epoch as u32,
        events,
        complete_before: after == 0,
        complete_after: last >= head.seq,
        head_seq: head.seq as u64,
        head_mseq: head.mseq as u64,
        around: around.max(0) as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fetch_all, store::example::empty_store};

    #[tokio::test]
    async fn changes_of_texts_and_acts_are_found_by_indexes_of_their_own() {
        let (store, _folder) = empty_store().await;
        let plan = async |sql: String| {
            let rows = fetch_all!(store, (i64, i64, i64, String), AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).unwrap();
            rows.into_iter().map(|row| row.3).collect::<Vec<_>>().join("; ")
        };
        let rewrites = plan(format!("{CHANGES} kind IN ({}) AND target >= 1 AND target <= 50", rewriting_codes())).await;
        assert!(rewrites.contains("events_rewrites (conversation=? AND target>? AND target<?)"), "{rewrites}");
        let acts = to_list(&sequence::kinds::act_codes());
        let acts = format!("SELECT body FROM events WHERE conversation = x'01' AND kind IN ({acts}) AND seq < 9 ORDER BY seq DESC LIMIT 5");
        let acts = plan(acts).await;
        assert!(acts.contains("events_acts (conversation=? AND seq<?)"), "{acts}");
    }
}
