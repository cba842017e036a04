//! What becomes of a client's position. Pure.

use proto::v1::{Position, RefusalCode, Verdict};

/// The verdict on a client that shows this position, in a room whose log is of `epoch` and was delivered up to `delivered`.
/// Whether the events in between are still kept is for the ring to say.
#[must_use]
pub fn decide(epoch: u32, delivered: u64, shown: Option<&Position>) -> (Verdict, Option<RefusalCode>) {
    match shown {
        None => (Verdict::Fresh, None),
        Some(shown) if shown.epoch == 0 && shown.seq == 0 => (Verdict::Fresh, None),
        Some(shown) if shown.epoch != epoch => (Verdict::Reset, Some(RefusalCode::EpochChanged)),
        Some(shown) if shown.seq > delivered => (Verdict::Reset, Some(RefusalCode::PositionBeyondHead)),
        Some(_) => (Verdict::Resumed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_has_an_immediate_verdict() {
        let shown = |epoch, seq| Position { conversation: "c".into(), epoch, seq };
        let table = [
            (None, Verdict::Fresh, None),
            (Some(shown(0, 0)), Verdict::Fresh, None),
            (Some(shown(5, 0)), Verdict::Resumed, None),
            (Some(shown(5, 10)), Verdict::Resumed, None),
            (Some(shown(5, 11)), Verdict::Reset, Some(RefusalCode::PositionBeyondHead)),
            (Some(shown(6, 3)), Verdict::Reset, Some(RefusalCode::EpochChanged)),
            (Some(shown(0, 3)), Verdict::Reset, Some(RefusalCode::EpochChanged)),
        ];
        for (shown, verdict, reason) in table {
            assert_eq!(decide(5, 10, shown.as_ref()), (verdict, reason), "{shown:?}");
        }
    }
}
