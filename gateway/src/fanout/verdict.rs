//! What becomes of a client's position. Pure.

use proto::v1::{Position, RefusalCode, Verdict};

/// Where a room stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The log's incarnation.
    pub epoch: u32,
    /// The newest event delivered here.
    pub delivered: u64,
}

/// What is to be done for a client that shows this position; whether its events are still kept is for the ring to say.
#[must_use]
pub fn judge(standing: Standing, shown: Option<&Position>) -> (Verdict, Option<RefusalCode>) {
    match shown {
        None => (Verdict::Fresh, None),
        Some(shown) if shown.epoch == 0 && shown.seq == 0 => (Verdict::Fresh, None),
        Some(shown) if shown.epoch != standing.epoch => (Verdict::Reset, Some(RefusalCode::EpochChanged)),
        Some(shown) if shown.seq > standing.delivered => (Verdict::Reset, Some(RefusalCode::PositionBeyondHead)),
        Some(_) => (Verdict::Resumed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_position_has_an_immediate_verdict() {
        let standing = Standing { epoch: 5, delivered: 10 };
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
            assert_eq!(judge(standing, shown.as_ref()), (verdict, reason), "{shown:?}");
        }
    }
}
