//! A moderator takes a comment away.

use proto::v1::{Hide, Refusal, tombstone::Why};

use super::{COMMENT, EventKind, Gone, NewestText, PostedKind, Rewrite, Right, Target, post::check_reason};

impl EventKind for Hide {
    fn code(&self) -> i64 {
        4
    }

    fn comments_delta(&self) -> i64 {
        -1
    }

    fn is_act(&self) -> bool {
        true
    }

    fn target(&self) -> Option<u64> {
        Some(self.target)
    }

    fn rewrite(&self) -> Option<Rewrite<'_>> {
        Some(Rewrite::Gone { why: Why::Hidden, reason: &self.reason })
    }
}

impl PostedKind for Hide {
    fn check(&mut self) -> Result<(), Refusal> {
        check_reason(&self.reason)
    }

    fn weight(&self) -> usize {
        self.reason.len()
    }

    fn needs(&self) -> Right {
        Right::Moderate
    }

    fn target_kinds(&self) -> &'static [i64] {
        &[COMMENT]
    }

    fn apply(&mut self, target: &mut Target, _newest: Option<NewestText>) {
        target.gone = Gone::Hidden;
    }
}
