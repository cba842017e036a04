//! A moderator gives back what was hidden.

use proto::v1::{Refusal, Unhide};

use super::{COMMENT, EventKind, Gone, NewestText, PostedKind, Rewrite, Right, Target, TargetState, post::check_reason};

impl EventKind for Unhide {
    fn code(&self) -> i64 {
        5
    }

    fn comments_delta(&self) -> i64 {
        1
    }

    fn is_act(&self) -> bool {
        true
    }

    fn target(&self) -> Option<u64> {
        Some(self.target)
    }

    fn rewrite(&self) -> Option<Rewrite<'_>> {
        Some(Rewrite::Restored { version: self.version, text: &self.text })
    }

    fn clear_text(&mut self) -> bool {
        !std::mem::take(&mut self.text).is_empty()
    }
}

impl PostedKind for Unhide {
    fn check(&mut self) -> Result<(), Refusal> {
        self.text.clear();
        self.version = 0;
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

    fn target_state(&self) -> TargetState {
        TargetState::Hidden
    }

    fn needs_newest_text(&self) -> bool {
        true
    }

    fn apply(&mut self, target: &mut Target, newest: Option<NewestText>) {
        target.gone = Gone::Stands;
        if let Some(newest) = newest {
            (self.text, self.version) = (newest.text, newest.version);
        }
    }
}
