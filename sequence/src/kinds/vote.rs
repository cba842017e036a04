//! One person's choice in a poll.

use proto::{
    limits::POLL_OPTIONS,
    v1::{Event, MarkKind, Refusal, RefusalCode, Vote},
};

use super::{EventKind, Mark, POLL, PostedKind, Right, poll_closed::refuse_closed, poll_in};

impl EventKind for Vote {
    fn code(&self) -> i64 {
        7
    }

    fn target(&self) -> Option<u64> {
        Some(self.target)
    }
}

impl PostedKind for Vote {
    fn check(&mut self) -> Result<(), Refusal> {
        if self.option as usize >= *POLL_OPTIONS.end() { Err(no_such_option()) } else { Ok(()) }
    }

    fn needs(&self) -> Right {
        Right::Post { slow: false }
    }

    fn target_kinds(&self) -> &'static [i64] {
        &[POLL]
    }

    fn needs_target_event(&self) -> bool {
        true
    }

    fn needs_marks(&self, author: u32) -> Vec<(MarkKind, u32)> {
        vec![(MarkKind::Vote, author), (MarkKind::Closed, 0)]
    }

    fn judge(&self, target: Option<&Event>, marks: &[Mark]) -> Result<(), Refusal> {
        refuse_closed(marks)?;
        let poll = target.and_then(poll_in).ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("target"))?;
        if self.option as usize >= poll.options.len() { Err(no_such_option()) } else { Ok(()) }
    }

    fn mark(&self, author: u32) -> Option<Mark> {
        Some(Mark { mark: MarkKind::Vote, person: author, value: self.option.to_string() })
    }
}

fn no_such_option() -> Refusal {
    Refusal::of(RefusalCode::Invalid).field("option").words("没有这个选项。", "There is no such option.")
}
