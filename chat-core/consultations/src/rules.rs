//! The states of a consultation, the ways between them, and the rules of its conversation. Pure.

use kernel::{
    Fault,
    rights::{Phase, RuleSet},
};
use proto::v1::{ConsultationState, ConversationKind, Refusal, RefusalCode};

use crate::rows::ConsultationRow;

/// What a consultation allows whom, in the form that the kernel judges by.
///
/// # Errors
/// When what is stored cannot be decoded.
pub fn rule_set(row: &ConsultationRow) -> Result<RuleSet, Fault> {
    let (watch, post, moderate) = row.audiences()?;
    Ok(RuleSet {
        kind: ConversationKind::Consultation.into(),
        organisation: row.organisation as u32,
        watch,
        post,
        moderate,
        phase: phase(row.state()),
        closes_ms: row.closes_ms,
        slow_mode_s: row.slow_mode_s as u32,
        ..RuleSet::default()
    })
}

fn phase(state: ConsultationState) -> Phase {
    match state {
        ConsultationState::Unspecified | ConsultationState::Draft => Phase::Draft,
        ConsultationState::Scheduled => Phase::Scheduled,
        ConsultationState::Open => Phase::Open,
        ConsultationState::Paused => Phase::Paused,
        ConsultationState::Closed => Phase::Closed,
    }
}

/// Judges whether a consultation may go from one state to another. What is scheduled may be withdrawn, what is closed reopened.
///
/// # Errors
/// CLOSED, INVALID.
pub fn judge_transition(from: ConsultationState, to: ConsultationState) -> Result<(), Refusal> {
    use ConsultationState as S;
    match (from, to) {
        (S::Draft, S::Scheduled | S::Open)
        | (S::Scheduled, S::Draft | S::Open | S::Closed)
        | (S::Open, S::Paused | S::Closed)
        | (S::Paused, S::Open | S::Closed)
        | (S::Closed, S::Open) => Ok(()),
        (S::Closed, _) => Err(Refusal::of(RefusalCode::Closed)),
        _ => Err(Refusal::of(RefusalCode::Invalid)
            .field("state")
            .words("协商的当前状态不允许这样操作。", "A consultation cannot go from its present state to this one.")),
    }
}

/// The state that is due by the clock, where any is. Times of 0 are only by hand.
#[must_use]
pub fn find_due_state(state: ConsultationState, opens_ms: i64, closes_ms: i64, now_ms: i64) -> Option<ConsultationState> {
    use ConsultationState as S;
    let past = |time_ms: i64| time_ms != 0 && time_ms <= now_ms;
    match state {
        S::Scheduled | S::Open | S::Paused if past(closes_ms) => Some(S::Closed),
        S::Scheduled if past(opens_ms) => Some(S::Open),
        _ => None,
    }
}

/// Judges whether all invited may be called now. `every_ms`: the time between two calls at least.
///
/// # Errors
/// NOT_OPEN, CLOSED, RATE_LIMITED.
pub fn judge_call(row: &ConsultationRow, now_ms: i64, every_ms: i64) -> Result<(), Refusal> {
    match row.state() {
        ConsultationState::Unspecified | ConsultationState::Draft => {
            return Err(Refusal::of(RefusalCode::NotOpen)
                .words("草稿尚未公布，不能召集。", "A draft is shown to nobody yet: schedule it before the call."));
        }
        ConsultationState::Closed => return Err(Refusal::of(RefusalCode::Closed)),
        ConsultationState::Scheduled | ConsultationState::Open | ConsultationState::Paused => {}
    }
    let wait_ms = row.called_ms + every_ms - now_ms;
    if row.called_ms == 0 || wait_ms <= 0 {
        return Ok(());
    }
    Err(Refusal::of(RefusalCode::RateLimited)
        .retry_after_ms(u32::try_from(wait_ms).unwrap_or(u32::MAX))
        .words("刚刚已经召集过，请稍候。", "All were called a moment ago; please wait."))
}

#[cfg(test)]
mod tests {
    use ConsultationState as S;

    use super::*;

    #[test]
    fn states_change_only_along_the_ways() {
        let all = [S::Draft, S::Scheduled, S::Open, S::Paused, S::Closed];
        let ways: Vec<(S, S)> = all
            .into_iter()
            .flat_map(|from| all.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| judge_transition(*from, *to).is_ok())
            .collect();
        let expected = [
            (S::Draft, S::Scheduled),
            (S::Draft, S::Open),
            (S::Scheduled, S::Draft),
            (S::Scheduled, S::Open),
            (S::Scheduled, S::Closed),
            (S::Open, S::Paused),
            (S::Open, S::Closed),
            (S::Paused, S::Open),
            (S::Paused, S::Closed),
            (S::Closed, S::Open),
        ];
        assert_eq!(ways, expected);
        assert_eq!(judge_transition(S::Closed, S::Paused).unwrap_err().code(), RefusalCode::Closed);
    }

    #[test]
    fn what_is_scheduled_opens_and_closes_by_the_clock() {
        assert_eq!(find_due_state(S::Scheduled, 100, 200, 99), None);
        assert_eq!(find_due_state(S::Scheduled, 100, 200, 100), Some(S::Open));
        assert_eq!(find_due_state(S::Open, 100, 200, 199), None);
        assert_eq!(find_due_state(S::Paused, 100, 200, 200), Some(S::Closed));
        assert_eq!(find_due_state(S::Scheduled, 100, 200, 300), Some(S::Closed), "the service was away over both");
        assert_eq!(find_due_state(S::Scheduled, 0, 0, 300), None);
        assert_eq!(find_due_state(S::Draft, 100, 200, 300), None);
        assert_eq!(find_due_state(S::Closed, 100, 200, 300), None);
    }

    #[test]
    fn the_kernels_phases_are_the_states() {
        for state in [S::Draft, S::Scheduled, S::Open, S::Paused, S::Closed] {
            assert_eq!(i32::from(u8::from(phase(state))), state as i32, "stored rules of before are read by this");
        }
    }
}
