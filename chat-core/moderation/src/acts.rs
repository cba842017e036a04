//! The acts of a conversation: what those who run it did, from its log and its mutes, as one list by time.

use kernel::{Context, Error, accounts::Caller};
use proto::v1::{Act, Event, ListActsRequest, ListActsResponse, Mute, Refusal, RefusalCode, act::What};

use crate::rows::{self, ActRow};

/// Acts of one page where the caller names no limit, and at most.
const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// Where a list goes on: with events below this seq, and mutes below this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    seq: i64,
    mute: i64,
}

impl Cursor {
    const NEWEST: Self = Self { seq: i64::MAX, mute: i64::MAX };

    fn parse(cursor: &str) -> Result<Self, Refusal> {
        if cursor.is_empty() {
            return Ok(Self::NEWEST);
        }
        let parsed = cursor.split_once('.').and_then(|(seq, mute)| Some(Self { seq: seq.parse().ok()?, mute: mute.parse().ok()? }));
        parsed.ok_or_else(|| Refusal::of(RefusalCode::Invalid).field("cursor"))
    }
}

/// The acts of a conversation, the newest first.
///
/// # Errors
/// NOT_FOUND, FORBIDDEN (who does not moderate it), INVALID (the cursor); a fault.
pub async fn list(context: &Context, caller: &Caller, asked: &ListActsRequest) -> Result<ListActsResponse, Error> {
    let seen = context.see(caller, &asked.id).await?;
    seen.rules.may_moderate(seen.asker())?;
    let limit = if asked.limit == 0 { DEFAULT } else { asked.limit.min(MOST) } as usize;
    let cursor = Cursor::parse(&asked.cursor)?;
    let id = seen.head.conversation;
    let events = context.log.list_acts(id, cursor.seq, limit as i64 + 1).await?;
    let mutes = rows::list_acts(&context.store, id, cursor.mute, limit as i64 + 1).await?;
    let (acts, next) = merge(cursor, events, mutes, limit);
    let next = next.map(|next| format!("{}.{}", next.seq, next.mute)).unwrap_or_default();
    Ok(ListActsResponse { acts, next })
}

/// Both lists, each with its newest first, as one; and where it goes on, if it does.
fn merge(from: Cursor, events: Vec<Event>, mutes: Vec<ActRow>, limit: usize) -> (Vec<Act>, Option<Cursor>) {
    let mut next = from;
    let mut acts = Vec::new();
    let (mut events, mut mutes) = (events.into_iter().peekable(), mutes.into_iter().peekable());
    while acts.len() < limit {
        let event_first = match (events.peek(), mutes.peek()) {
            (Some(event), Some(mute)) => event.time_ms >= mute.time_ms,
            (event, _) => event.is_some(),
        };
        if event_first {
            let Some(event) = events.next() else { break };
            next.seq = event.seq as i64;
            acts.push(Act { time_ms: event.time_ms, by: event.author, what: Some(What::Event(event)) });
        } else {
            let Some(mute) = mutes.next() else { break };
            next.mute = mute.id;
            let what = Mute { person: mute.person as u32, until_ms: mute.until_ms, reason: mute.reason };
            acts.push(Act { time_ms: mute.time_ms, by: mute.by as u32, what: Some(What::Mute(what)) });
        }
    }
    let more = events.peek().is_some() || mutes.peek().is_some();
    (acts, more.then_some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, time_ms: i64) -> Event {
        Event { seq, time_ms, author: 1, ..Event::default() }
    }

    fn mute(id: i64, time_ms: i64) -> ActRow {
        ActRow { id, time_ms, by: 2, person: 3, until_ms: 0, reason: String::new() }
    }

    #[test]
    fn two_lists_are_one_by_time_and_go_on_where_they_ended() {
        let (events, mutes) = (vec![event(9, 90), event(5, 50), event(1, 10)], vec![mute(2, 60), mute(1, 20)]);
        let after = |cursor: Cursor| {
            let events = events.iter().filter(|event| (event.seq as i64) < cursor.seq).take(3).cloned().collect();
            let mutes = mutes.iter().filter(|mute| mute.id < cursor.mute).take(3).cloned().collect();
            merge(cursor, events, mutes, 2)
        };
        let times = |acts: &[Act]| acts.iter().map(|act| act.time_ms).collect::<Vec<_>>();
        let (first, next) = after(Cursor::NEWEST);
        assert_eq!(times(&first), [90, 60]);
        let (second, next) = after(next.unwrap());
        assert_eq!(times(&second), [50, 20]);
        let (third, next) = after(next.unwrap());
        assert_eq!((times(&third), next), (vec![10], None));
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        assert_eq!(Cursor::parse("12.3").unwrap(), Cursor { seq: 12, mute: 3 });
        assert_eq!(Cursor::parse("").unwrap(), Cursor::NEWEST);
        for wrong in ["12", "a.b", "1.2.3", "-"] {
            assert_eq!(Cursor::parse(wrong).unwrap_err().field, "cursor", "{wrong}");
        }
    }
}
