//! Who may watch, post, moderate and manage: pure functions of a conversation's rules, the directory and the time.

use std::collections::{HashMap, HashSet};

use proto::v1::{ConsultationState, ConversationKind, Refusal, RefusalCode, Role, post::Content};

use super::Circle;
use crate::directory::{PersonEntry, Snapshot};

/// The rules of one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "each stands behind one Arc")]
pub enum Rules {
    /// A live consultation.
    Consultation(ConsultationRules),
    /// Direct ones and groups: those who are part of it.
    Members(MembersRules),
}

/// Whom a direct conversation or a group is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersRules {
    /// DIRECT or GROUP.
    pub kind: ConversationKind,
    /// Who made it; keeps a group's list of people.
    pub owner: u32,
    /// All of them.
    pub people: HashSet<u32>,
}

/// What a consultation's staff decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsultationRules {
    /// Whose it is.
    pub organisation: u32,
    /// As last changed.
    pub state: ConsultationState,
    /// Closes by itself, milliseconds since 1970; 0: only by hand.
    pub closes_ms: i64,
    /// Who may watch.
    pub watch: Circle,
    /// Who may post.
    pub post: Circle,
    /// Who moderates.
    pub moderate: Circle,
    /// Seconds between two comments of one person; 0: no limit.
    pub slow_mode_s: u32,
    /// Until when somebody may not post, milliseconds since 1970.
    pub mutes: HashMap<u32, i64>,
}

/// Somebody, in a directory, at a time.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The directory as it is.
    pub directory: &'a Snapshot,
    /// Who.
    pub person: &'a PersonEntry,
    /// When, milliseconds since 1970.
    pub now_ms: i64,
}

impl Rules {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ConversationKind {
        match self {
            Self::Consultation(_) => ConversationKind::Consultation,
            Self::Members(rules) => rules.kind,
        }
    }

    /// How many people are part of it; a consultation: more than can be told.
    #[must_use]
    pub fn people(&self) -> u32 {
        match self {
            Self::Consultation(_) => u32::MAX,
            Self::Members(rules) => rules.people.len() as u32,
        }
    }

    /// May read everything in it. Whoever may not is not told that it exists.
    ///
    /// # Errors
    /// ACCOUNT_DISABLED, NOT_FOUND.
    pub fn may_watch(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        enabled(asker.person)?;
        let may = match self {
            Self::Members(rules) => rules.people.contains(&asker.person.id),
            Self::Consultation(rules) => {
                let runs = rules.manages(asker) || rules.moderates(asker);
                runs || rules.state != ConsultationState::Draft
                    && (rules.watch.holds(asker.directory, asker.person) || rules.invited(asker))
            }
        };
        if may { Ok(()) } else { Err(Refusal::of(RefusalCode::NotFound).field("conversation")) }
    }

    /// May comment now, but for slow mode.
    ///
    /// # Errors
    /// What [`Rules::may_watch`] says; FORBIDDEN, NOT_OPEN, PAUSED, CLOSED, MUTED.
    pub fn may_post(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        self.may_watch(asker)?;
        let Self::Consultation(rules) = self else { return Ok(()) };
        let runs = rules.manages(asker) || rules.moderates(asker);
        if !runs && !rules.invited(asker) {
            return Err(Refusal::of(RefusalCode::Forbidden)
                .words("您可以观看本次协商，但不在发言范围内。", "You may watch this consultation, but are not among those who post."));
        }
        rules.open(asker.now_ms)?;
        match rules.mutes.get(&asker.person.id) {
            Some(until_ms) if *until_ms > asker.now_ms => {
                let wait_ms = until_ms - asker.now_ms;
                Err(Refusal::of(RefusalCode::Muted).retry_after_ms(u32::try_from(wait_ms).unwrap_or(u32::MAX)))
            }
            _ => Ok(()),
        }
    }

    /// May hide comments and mute people.
    ///
    /// # Errors
    /// What [`Rules::may_watch`] says; FORBIDDEN.
    pub fn may_moderate(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        self.may_watch(asker)?;
        let may = match self {
            Self::Members(rules) => rules.kind == ConversationKind::Group && rules.owner == asker.person.id,
            Self::Consultation(rules) => rules.manages(asker) || rules.moderates(asker),
        };
        if may { Ok(()) } else { Err(RefusalCode::Forbidden.into_refusal()) }
    }

    /// May change its rules, state or people.
    ///
    /// # Errors
    /// What [`Rules::may_watch`] says; FORBIDDEN.
    pub fn may_manage(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        self.may_watch(asker)?;
        let may = match self {
            Self::Members(rules) => rules.kind == ConversationKind::Group && rules.owner == asker.person.id,
            Self::Consultation(rules) => rules.manages(asker),
        };
        if may { Ok(()) } else { Err(RefusalCode::Forbidden.into_refusal()) }
    }

    /// May append this. `target_author`: whose comment an edit, recall or hide is about. `last_spoke_ms`: when this person
    /// last commented here.
    ///
    /// # Errors
    /// The refusal that the author is told.
    pub fn may_append(
        &self,
        asker: Asker<'_>,
        content: &Content,
        target_author: Option<u32>,
        last_spoke_ms: Option<i64>,
    ) -> Result<(), Refusal> {
        let own = || match target_author {
            Some(author) if author == asker.person.id => Ok(()),
            _ => Err(Refusal::of(RefusalCode::Forbidden)
                .words("只能修改或撤回自己的发言。", "Only your own comments can be edited or taken back.")),
        };
        match content {
            Content::Comment(_) => {
                self.may_post(asker)?;
                self.slow_mode(asker, last_spoke_ms)
            }
            Content::Edit(_) => {
                self.may_post(asker)?;
                own()
            }
            Content::Recall(_) => {
                self.may_watch(asker)?;
                // Once it is closed, it stands as a record; while it is paused, or its author muted, it may be taken back.
                if let Self::Consultation(rules) = self
                    && rules.closed(asker.now_ms)
                {
                    return Err(RefusalCode::Closed.into_refusal());
                }
                own()
            }
            Content::Hide(_) => self.may_moderate(asker),
            _ => Err(RefusalCode::Unsupported.into_refusal()),
        }
    }

    /// Whether somebody's last comment bears on their next one.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        matches!(self, Self::Consultation(rules) if rules.slow_mode_s > 0)
    }

    fn slow_mode(&self, asker: Asker<'_>, last_spoke_ms: Option<i64>) -> Result<(), Refusal> {
        let (Self::Consultation(rules), Some(last_ms)) = (self, last_spoke_ms) else { return Ok(()) };
        let wait_ms = last_ms + i64::from(rules.slow_mode_s) * 1_000 - asker.now_ms;
        if wait_ms <= 0 || rules.manages(asker) || rules.moderates(asker) {
            return Ok(());
        }
        Err(Refusal::of(RefusalCode::SlowMode).retry_after_ms(wait_ms as u32))
    }

    /// Until when a verdict for this person holds if nothing changes, milliseconds since 1970; 0: for good.
    #[must_use]
    pub fn holds_until_ms(&self, asker: Asker<'_>) -> i64 {
        let Self::Consultation(rules) = self else { return 0 };
        let muted = rules.mutes.get(&asker.person.id).copied().filter(|until_ms| *until_ms > asker.now_ms);
        let closes = Some(rules.closes_ms).filter(|closes_ms| rules.state == ConsultationState::Open && *closes_ms > asker.now_ms);
        muted.into_iter().chain(closes).min().unwrap_or(0)
    }
}

impl ConsultationRules {
    /// Staff of the organisation whose it is, and administrators of it or above it.
    fn manages(&self, asker: Asker<'_>) -> bool {
        manages(asker.directory, asker.person, self.organisation)
    }

    fn moderates(&self, asker: Asker<'_>) -> bool {
        self.moderate.names(asker.person.id)
    }

    fn invited(&self, asker: Asker<'_>) -> bool {
        self.post.holds(asker.directory, asker.person)
    }

    fn closed(&self, now_ms: i64) -> bool {
        // The closing event may come a moment after its time; no comment comes after its time.
        self.state == ConsultationState::Closed || self.closes_ms != 0 && self.closes_ms <= now_ms && self.state != ConsultationState::Draft
    }

    fn open(&self, now_ms: i64) -> Result<(), Refusal> {
        if self.closed(now_ms) {
            return Err(RefusalCode::Closed.into_refusal());
        }
        match self.state {
            ConsultationState::Open => Ok(()),
            ConsultationState::Paused => Err(RefusalCode::Paused.into_refusal()),
            _ => Err(RefusalCode::NotOpen.into_refusal()),
        }
    }
}

/// May make and run consultations of this organisation.
#[must_use]
pub fn manages(directory: &Snapshot, person: &PersonEntry, organisation: u32) -> bool {
    let staff = person.roles.has(Role::Staff) && person.organisation == organisation;
    let administrator = person.roles.has(Role::Administrator) && directory.is_within(organisation, person.organisation);
    !person.disabled && (staff || administrator)
}

fn enabled(person: &PersonEntry) -> Result<(), Refusal> {
    if person.disabled { Err(RefusalCode::AccountDisabled.into_refusal()) } else { Ok(()) }
}

trait IntoRefusal {
    fn into_refusal(self) -> Refusal;
}

impl IntoRefusal for RefusalCode {
    fn into_refusal(self) -> Refusal {
        Refusal::of(self)
    }
}

#[cfg(test)]
mod tests;
