//! The author's new text for a comment.

use proto::{
    codec,
    v1::{Edit, Refusal},
};

use super::{COMMENT, EventKind, NewestText, PostedKind, Rewrite, Right, Target};

impl EventKind for Edit {
    fn code(&self) -> i64 {
        2
    }

    fn target(&self) -> Option<u64> {
        Some(self.target)
    }

    fn rewrite(&self) -> Option<Rewrite<'_>> {
        Some(Rewrite::Text { version: self.version, text: &self.text })
    }

    fn clear_text(&mut self) -> bool {
        !std::mem::take(&mut self.text).is_empty()
    }
}

impl PostedKind for Edit {
    fn check(&mut self) -> Result<(), Refusal> {
        self.version = 0;
        codec::check_text(&self.text)
    }

    fn weight(&self) -> usize {
        self.text.len()
    }

    fn needs(&self) -> Right {
        Right::PostOwn
    }

    fn target_kinds(&self) -> &'static [i64] {
        &[COMMENT]
    }

    fn apply(&mut self, target: &mut Target, _newest: Option<NewestText>) {
        target.version += 1;
        self.version = target.version;
    }
}
