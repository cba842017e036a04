//! Whoever asked, or a moderator, ends the vote.

use proto::v1::{Event, MarkKind, PollClosed, Refusal, RefusalCode};

use super::{EventKind, Mark, POLL, PostedKind, Right};

impl EventKind for PollClosed {
    fn code(&self) -> i64 {
        8
    }

    fn is_act(&self) -> bool {
        true
    }

    fn target(&self) -> Option<u64> {
        Some(self.target)
    }
}

impl PostedKind for PollClosed {
    fn check(&mut self) -> Result<(), Refusal> {
        Ok(())
    }

    fn needs(&self) -> Right {
        Right::ModerateOrPostOwn
    }

    fn target_kinds(&self) -> &'static [i64] {
        &[POLL]
    }

    fn needs_marks(&self, _author: u32) -> Vec<(MarkKind, u32)> {
        vec![(MarkKind::Closed, 0)]
    }

    fn judge(&self, _target: Option<&Event>, marks: &[Mark]) -> Result<(), Refusal> {
        refuse_closed(marks)
    }

    fn mark(&self, _author: u32) -> Option<Mark> {
        Some(Mark { mark: MarkKind::Closed, person: 0, value: "1".to_owned() })
    }
}

/// Refuses where the marks say that the poll has ended.
pub(super) fn refuse_closed(marks: &[Mark]) -> Result<(), Refusal> {
    if marks.iter().any(|mark| mark.mark == MarkKind::Closed && !mark.value.is_empty()) {
        return Err(Refusal::of(RefusalCode::Closed).words("表决已结束。", "This vote has ended."));
    }
    Ok(())
}
