//! The author takes a comment back, for good.

use proto::v1::{Recall, Refusal, tombstone::Why};

use super::{COMMENT, EventKind, Gone, NewestText, PostedKind, Rewrite, Right, Target, post::check_reason};

impl EventKind for Recall {
    fn code(&self) -> i64 {
        3
    }

    fn comments_delta(&self) -> i64 {
        -1
    }

    fn target(&self) -> Option<u64> {
        Some(self.target)
    }

    fn rewrite(&self) -> Option<Rewrite<'_>> {
        Some(Rewrite::Gone { why: Why::Recalled, reason: &self.reason })
    }
}

impl PostedKind for Recall {
    fn check(&mut self) -> Result<(), Refusal> {
        check_reason(&self.reason)
    }

    fn weight(&self) -> usize {
        self.reason.len()
    }

    fn needs(&self) -> Right {
        Right::TakeBackOwn
    }

    fn target_kinds(&self) -> &'static [i64] {
        &[COMMENT]
    }

    fn apply(&mut self, target: &mut Target, _newest: Option<NewestText>) {
        target.gone = Gone::Recalled;
    }
}
