//! The states of a consultation and the ways between them. Pure.

use proto::v1::{ConsultationState, Refusal, RefusalCode};

/// Whether a consultation may go from one state to another. Closed is final: what was said stands as a record.
///
/// # Errors
/// CLOSED, INVALID.
pub fn may_become(from: ConsultationState, to: ConsultationState) -> Result<(), Refusal> {
    use ConsultationState as S;
    match (from, to) {
        (S::Closed, _) => Err(Refusal::of(RefusalCode::Closed)),
        (S::Draft, S::Scheduled | S::Open)
        | (S::Scheduled, S::Draft | S::Open | S::Closed)
        | (S::Open, S::Paused | S::Closed)
        | (S::Paused, S::Open | S::Closed) => Ok(()),
        _ => Err(Refusal::of(RefusalCode::Invalid)
            .field("state")
            .words("协商的当前状态不允许这样操作。", "A consultation cannot go from its present state to this one.")),
    }
}

/// What is due by the clock, where anything is. Times of 0 are only by hand.
#[must_use]
pub fn due(state: ConsultationState, opens_ms: i64, closes_ms: i64, now_ms: i64) -> Option<ConsultationState> {
    use ConsultationState as S;
    let past = |time_ms: i64| time_ms != 0 && time_ms <= now_ms;
    match state {
        S::Scheduled | S::Open | S::Paused if past(closes_ms) => Some(S::Closed),
        S::Scheduled if past(opens_ms) => Some(S::Open),
        _ => None,
    }
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
            .filter(|(from, to)| may_become(*from, *to).is_ok())
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
        ];
        assert_eq!(ways, expected);
        assert_eq!(may_become(S::Closed, S::Open).unwrap_err().code(), RefusalCode::Closed);
    }

    #[test]
    fn what_is_scheduled_opens_and_closes_by_the_clock() {
        assert_eq!(due(S::Scheduled, 100, 200, 99), None);
        assert_eq!(due(S::Scheduled, 100, 200, 100), Some(S::Open));
        assert_eq!(due(S::Open, 100, 200, 199), None);
        assert_eq!(due(S::Paused, 100, 200, 200), Some(S::Closed));
        assert_eq!(due(S::Scheduled, 100, 200, 300), Some(S::Closed), "the service was away over both");
        assert_eq!(due(S::Scheduled, 0, 0, 300), None);
        assert_eq!(due(S::Draft, 100, 200, 300), None);
        assert_eq!(due(S::Closed, 100, 200, 300), None);
    }
}
