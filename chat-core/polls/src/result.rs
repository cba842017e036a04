//! How a poll stands, for one person.

use kernel::{Context, Error, accounts::Caller};
use proto::v1::{Event, GetPollRequest, MarkKind, PageRequest, PollResult, Position, Refusal, RefusalCode, page_request::Where};
use sequence::kinds::{PostedKind as _, poll_in};

/// Votes for each option, the caller's own, and what the caller may do.
///
/// # Errors
/// NOT_FOUND: no such conversation for this person, or no poll there; a fault.
pub async fn find(context: &Context, caller: &Caller, asked: &GetPollRequest) -> Result<PollResult, Error> {
    let seen = context.see(caller, &asked.conversation).await?;
    let id = seen.head.conversation;
    let not_found = || Refusal::of(RefusalCode::NotFound).field("seq");
    let page =
        PageRequest { r#where: Some(Where::After(asked.seq.checked_sub(1).ok_or_else(not_found)?)), limit: 1, ..PageRequest::default() };
    let page = context.log.page(id, &page, 0).await.map_err(|error| match error {
        Error::Refused(_) => not_found().into(),
        fault => fault,
    })?;
    let event = page.events.into_iter().next().ok_or_else(not_found)?;
    let poll = poll_in(&event).cloned().ok_or_else(not_found)?;
    let own = context.log.find_mark(id, event.seq, MarkKind::Vote, caller.person.id).await?;
    let closed = count(&event, MarkKind::Closed, "1") > 0;
    let vote = if closed { Err(closed_refusal()) } else { seen.rules.may_post(seen.asker()) };
    let may_close = !closed
        && seen.rules.may_append(seen.asker(), proto::v1::PollClosed { target: event.seq }.needs(), Some(event.author), None).is_ok();
    Ok(PollResult {
        position: Some(Position { conversation: id.to_string(), epoch: page.epoch, seq: event.seq }),
        votes: (0..poll.options.len()).map(|option| count(&event, MarkKind::Vote, &option.to_string())).collect(),
        poll: Some(poll),
        mine: own.and_then(|value| value.parse().ok()),
        closed,
        may_vote: vote.is_ok(),
        vote_refusal: vote.err(),
        may_close,
    })
}

/// How many marks of this kind on the event have this value.
fn count(event: &Event, mark: MarkKind, value: &str) -> u32 {
    let counts = event.marks.iter().flat_map(|marks| &marks.counts);
    counts.filter(|count| count.mark() == mark && count.value == value).map(|count| count.count).sum()
}

fn closed_refusal() -> Refusal {
    Refusal::of(RefusalCode::Closed).words("表决已结束。", "This vote has ended.")
}

#[cfg(test)]
mod tests {
    use proto::v1::{MarkCount, Marks};

    use super::*;

    #[test]
    fn votes_are_counted_by_option_and_kind_of_mark() {
        let counted = |mark: MarkKind, value: &str, count| MarkCount { mark: mark.into(), value: value.to_owned(), count };
        let counts = vec![counted(MarkKind::Vote, "0", 3), counted(MarkKind::Vote, "10", 4), counted(MarkKind::Closed, "1", 1)];
        let event = Event { marks: Some(Marks { as_of: 9, counts }), ..Event::default() };
        assert_eq!(count(&event, MarkKind::Vote, "0"), 3);
        assert_eq!(count(&event, MarkKind::Vote, "1"), 0);
        assert_eq!(count(&event, MarkKind::Closed, "1"), 1);
        assert_eq!(count(&Event::default(), MarkKind::Vote, "0"), 0);
    }
}
