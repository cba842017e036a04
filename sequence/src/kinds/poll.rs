//! A question to everybody who may post here.

use std::collections::BTreeSet;

use proto::{
    codec,
    limits::{POLL_OPTION_CHARS, POLL_OPTIONS, POLL_QUESTION_CHARS},
    v1::{Event, Poll, Refusal, RefusalCode, event::Kind},
};

use super::{EventKind, PostedKind, Right};

/// The code of polls.
pub const CODE: i64 = 6;

impl EventKind for Poll {
    fn code(&self) -> i64 {
        CODE
    }

    fn makes_unread(&self) -> bool {
        true
    }

    fn counts_as_speaking(&self) -> bool {
        true
    }
}

impl PostedKind for Poll {
    fn check(&mut self) -> Result<(), Refusal> {
        check_line(&mut self.question, POLL_QUESTION_CHARS, "question")?;
        let invalid = |zh: String, en: String| Refusal::of(RefusalCode::Invalid).field("options").words(zh, en);
        if !POLL_OPTIONS.contains(&self.options.len()) {
            let (least, most) = (POLL_OPTIONS.start(), POLL_OPTIONS.end());
            return Err(invalid(format!("请填写 {least} 至 {most} 个选项。"), format!("A poll has {least} to {most} options.")));
        }
        self.options.iter_mut().try_for_each(|option| check_line(option, POLL_OPTION_CHARS, "options"))?;
        if self.options.iter().collect::<BTreeSet<_>>().len() < self.options.len() {
            return Err(invalid("选项不能重复。".to_owned(), "No two options may be alike.".to_owned()));
        }
        Ok(())
    }

    fn weight(&self) -> usize {
        self.question.len() + self.options.iter().map(String::len).sum::<usize>()
    }

    fn needs(&self) -> Right {
        Right::Ask
    }
}

/// Trims a text and holds it to what a text may hold and to `most` characters.
fn check_line(text: &mut String, most: usize, field: &str) -> Result<(), Refusal> {
    codec::check_text(text).map_err(|refusal| refusal.field(field))?;
    let trimmed = text.trim();
    if trimmed.chars().count() > most {
        return Err(Refusal::of(RefusalCode::TextTooLong)
            .field(field)
            .words(format!("内容过长，最多 {most} 个字符。"), format!("The text is too long: at most {most} characters.")));
    }
    if trimmed.len() < text.len() {
        *text = trimmed.to_owned();
    }
    Ok(())
}

/// The poll that an event is.
#[must_use]
pub fn poll_in(event: &Event) -> Option<&Poll> {
    match &event.kind {
        Some(Kind::Poll(poll)) => Some(poll),
        _ => None,
    }
}
