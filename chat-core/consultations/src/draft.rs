//! What staff say of a consultation, held to the contract.

use kernel::{directory::Snapshot, rights::whole_of, text::check_title};
use proto::{
    limits,
    v1::{Audience, CreateConsultationRequest, Refusal, RefusalCode, UpdateConsultationRequest},
};

/// Names in one audience at most, of organisations or people.
const NAMES: usize = 5_000;
/// Slow mode at most, s.
const SLOW_MODE_S: u32 = 3_600;

/// A consultation as staff asked for it, within the contract's bounds.
#[derive(Clone, Debug)]
pub struct Draft {
    pub title: String,
    pub description: String,
    pub opens_ms: i64,
    pub closes_ms: i64,
    pub watch: Audience,
    pub post: Audience,
    pub moderate: Audience,
    pub slow_mode_s: u32,
}

fn invalid(field: &str) -> Refusal {
    Refusal::of(RefusalCode::Invalid).field(field)
}

impl Draft {
    /// From a request to make one.
    ///
    /// # Errors
    /// INVALID, TOO_LARGE, with the field.
    pub fn from_new(asked: CreateConsultationRequest, directory: &Snapshot) -> Result<Self, Refusal> {
        let watch = asked.watch.unwrap_or_else(|| whole_of(asked.organisation));
        let post = asked.post.unwrap_or_else(|| watch.clone());
        let moderate = Audience { people: asked.moderators, ..Audience::default() };
        let draft = Self {
            title: asked.title,
            description: asked.description,
            opens_ms: asked.opens_ms,
            closes_ms: asked.closes_ms,
            watch,
            post,
            moderate,
            slow_mode_s: asked.slow_mode_s,
        };
        draft.check(directory)
    }

    /// From a request to change one of this organisation.
    ///
    /// # Errors
    /// INVALID, TOO_LARGE, with the field.
    pub fn from_change(asked: UpdateConsultationRequest, organisation: u32, directory: &Snapshot) -> Result<Self, Refusal> {
        Self::from_new(
            CreateConsultationRequest {
                client_id: String::new(),
                organisation,
                title: asked.title,
                description: asked.description,
                opens_ms: asked.opens_ms,
                closes_ms: asked.closes_ms,
                watch: asked.watch,
                post: asked.post,
                moderators: asked.moderators,
                slow_mode_s: asked.slow_mode_s,
            },
            directory,
        )
    }

    fn check(mut self, directory: &Snapshot) -> Result<Self, Refusal> {
        self.title = check_title(&self.title)?;
        if self.description.len() > limits::DESCRIPTION_BYTES {
            return Err(Refusal::of(RefusalCode::TooLarge).field("description"));
        }
        if self.description.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(Refusal::of(RefusalCode::TextForbiddenCharacter).field("description"));
        }
        if self.opens_ms < 0 {
            return Err(invalid("opens_ms"));
        }
        if self.closes_ms < 0 || self.closes_ms != 0 && self.closes_ms <= self.opens_ms {
            return Err(invalid("closes_ms").words("结束时间应晚于开始时间。", "It must close after it opens."));
        }
        if self.slow_mode_s > SLOW_MODE_S {
            return Err(invalid("slow_mode_s"));
        }
        for (field, audience) in [("watch", &self.watch), ("post", &self.post), ("moderators", &self.moderate)] {
            if audience.organisations.len() > NAMES || audience.people.len() > NAMES {
                return Err(Refusal::of(RefusalCode::TooLarge).field(field));
            }
            let known = audience.organisations.iter().all(|scope| directory.organisation(scope.organisation).is_some())
                && audience.people.iter().all(|id| directory.person(*id).is_some());
            if !known {
                return Err(invalid(field));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use kernel::directory::example::tree;

    use super::*;

    fn asked() -> CreateConsultationRequest {
        CreateConsultationRequest { organisation: 2, title: "共商".into(), ..CreateConsultationRequest::default() }
    }

    #[test]
    fn without_a_word_it_is_for_the_organisation_and_all_below() {
        let draft = Draft::from_new(asked(), &tree()).unwrap();
        assert_eq!((draft.watch, draft.post), (whole_of(2), whole_of(2)));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_field() {
        let table = [
            ("title", CreateConsultationRequest { title: " ".into(), ..asked() }),
            ("description", CreateConsultationRequest { description: "x".repeat(20_000), ..asked() }),
            ("description", CreateConsultationRequest { description: "\u{0}".into(), ..asked() }),
            ("opens_ms", CreateConsultationRequest { opens_ms: -1, ..asked() }),
            ("closes_ms", CreateConsultationRequest { opens_ms: 10, closes_ms: 10, ..asked() }),
            ("slow_mode_s", CreateConsultationRequest { slow_mode_s: 4_000, ..asked() }),
            ("watch", CreateConsultationRequest { watch: Some(whole_of(99)), ..asked() }),
            ("moderators", CreateConsultationRequest { moderators: vec![99], ..asked() }),
        ];
        for (field, asked) in table {
            assert_eq!(Draft::from_new(asked, &tree()).unwrap_err().field, field);
        }
    }
}
