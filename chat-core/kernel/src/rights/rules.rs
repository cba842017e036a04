//! Who may watch, post, moderate and manage: pure functions of a conversation's rules, the directory and the time. Which subject
//! a conversation belongs to is nothing that they ask.

use std::collections::{HashMap, HashSet};

use proto::v1::{Audience, ConversationKind, Refusal, RefusalCode, Role};
use sequence::kinds::Right;
use serde::{Deserialize, Serialize};

use super::{Selector, selector::as_hex};
use crate::directory::{PersonEntry, Snapshot};

/// How far a conversation has come. The numbers are stored, and those of `proto::v1::ConsultationState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub enum Phase {
    /// Shown to those who run it only.
    #[default]
    Draft,
    /// Announced: watched, not yet posted in.
    Scheduled,
    /// Posted in.
    Open,
    /// Watched; for a while nobody posts.
    Paused,
    /// A record: watched, never posted in again unless it is reopened.
    Closed,
}

impl From<u8> for Phase {
    /// An unknown number is a draft, which nobody sees.
    fn from(number: u8) -> Self {
        [Self::Draft, Self::Scheduled, Self::Open, Self::Paused, Self::Closed]
            .into_iter()
            .find(|phase| u8::from(*phase) == number)
            .unwrap_or_default()
    }
}

impl From<Phase> for u8 {
    fn from(phase: Phase) -> Self {
        phase as u8 + 1
    }
}

/// What a subject says of a conversation: who may do what in it, when, and how often. Stored as JSON, so that a field more needs
/// no migration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleSet {
    /// `proto::v1::ConversationKind`, as clients are told.
    pub kind: i32,
    /// Its staff, and administrators of it or above it, run the conversation; 0: no organisation's do.
    pub organisation: u32,
    /// The member who runs it; 0: none does.
    pub keeper: u32,
    /// Those who are part of it watch and post.
    pub members: bool,
    /// Who else watches.
    #[serde(with = "as_hex")]
    pub watch: Audience,
    /// Who else posts.
    #[serde(with = "as_hex")]
    pub post: Audience,
    /// Who moderates, besides those who run it.
    #[serde(with = "as_hex")]
    pub moderate: Audience,
    /// How far it has come.
    pub phase: Phase,
    /// Closes by itself, milliseconds since 1970; 0: only by hand.
    pub closes_ms: i64,
    /// Seconds between two comments of one person; 0: no limit.
    pub slow_mode_s: u32,
    /// Comments of one person at most; 0: no limit.
    pub quota: u32,
}

impl RuleSet {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ConversationKind {
        ConversationKind::try_from(self.kind).unwrap_or_default()
    }
}

/// A conversation's rules, ready to be judged by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    set: RuleSet,
    watch: Selector,
    post: Selector,
    moderate: Selector,
    members: HashSet<u32>,
    mutes: HashMap<u32, i64>,
}

/// Somebody, in a directory, at a time.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The directory as it is.
    pub directory: &'a Snapshot,
    /// Who asks.
    pub person: &'a PersonEntry,
    /// The time to judge by, milliseconds since 1970.
    pub now_ms: i64,
}

/// What somebody has posted in a conversation before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoke {
    /// When they last commented, milliseconds since 1970.
    pub last_ms: i64,
    /// How many comments they made.
    pub posts: i64,
}

impl Rules {
    /// `members`: the people who are part of it, where its rules have any; `mutes`: until when somebody may not post, milliseconds
    /// since 1970.
    #[must_use]
    pub fn new(set: RuleSet, members: HashSet<u32>, mutes: HashMap<u32, i64>) -> Self {
        let [watch, post, moderate] = [&set.watch, &set.post, &set.moderate].map(Selector::from_audience);
        Self { set, watch, post, moderate, members, mutes }
    }

    /// As its subject wrote them.
    #[must_use]
    pub fn set(&self) -> &RuleSet {
        &self.set
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ConversationKind {
        self.set.kind()
    }

    /// The people who are part of it; `None`: it is for whom its selectors name.
    #[must_use]
    pub fn members(&self) -> Option<&HashSet<u32>> {
        self.set.members.then_some(&self.members)
    }

    /// How many people are part of it; where selectors name them, more than can be told.
    #[must_use]
    pub fn people(&self) -> u32 {
        self.members().map_or(u32::MAX, |members| members.len() as u32)
    }

    /// May read everything in it. Whoever may not is not told that it exists.
    ///
    /// # Errors
    /// ACCOUNT_DISABLED, NOT_FOUND.
    pub fn may_watch(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        if asker.person.disabled {
            return Err(Refusal::of(RefusalCode::AccountDisabled));
        }
        let shown = || self.set.phase != Phase::Draft && (self.watch.selects(asker.directory, asker.person) || self.invites(asker));
        if self.moderates(asker) || shown() { Ok(()) } else { Err(Refusal::of(RefusalCode::NotFound).field("conversation")) }
    }

    /// May comment now, but for slow mode and quota.
    ///
    /// # Errors
    /// What [`Rules::may_watch`] says; FORBIDDEN, NOT_OPEN, PAUSED, CLOSED, MUTED.
    pub fn may_post(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        self.may_watch(asker)?;
        if !self.moderates(asker) && !self.invites(asker) {
            return Err(Refusal::of(RefusalCode::Forbidden)
                .words("您可以观看本次协商，但不在发言范围内。", "You may watch this consultation, but are not among those who post."));
        }
        self.is_open(asker.now_ms)?;
        match self.mutes.get(&asker.person.id) {
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
        if self.moderates(asker) { Ok(()) } else { Err(Refusal::of(RefusalCode::Forbidden)) }
    }

    /// May change its rules, state or people.
    ///
    /// # Errors
    /// What [`Rules::may_watch`] says; FORBIDDEN.
    pub fn may_manage(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        self.may_watch(asker)?;
        if self.manages(asker) { Ok(()) } else { Err(Refusal::of(RefusalCode::Forbidden)) }
    }

    /// May append an event that needs this right. `target_author`: whose event it acts on; `spoke`: what this person commented here
    /// before, where [`Rules::asks_spoke`].
    ///
    /// # Errors
    /// The refusal that the author is told.
    pub fn may_append(&self, asker: Asker<'_>, needs: Right, target_author: Option<u32>, spoke: Option<Spoke>) -> Result<(), Refusal> {
        let owns = target_author == Some(asker.person.id);
        let own = || if owns { Ok(()) } else { Err(not_own()) };
        match needs {
            Right::Post { slow } => {
                self.may_post(asker)?;
                if slow { self.may_speak_again(asker, spoke) } else { Ok(()) }
            }
            Right::Ask => {
                self.may_post(asker)?;
                // Among their own, everybody asks; where an organisation invites, those who run it.
                if self.set.members { self.may_speak_again(asker, spoke) } else { self.may_moderate(asker) }
            }
            Right::PostOwn => {
                self.may_post(asker)?;
                own()
            }
            Right::TakeBackOwn => {
                self.may_watch(asker)?;
                // Once it is closed, it stands as a record; while it is paused, or its author muted, it may be taken back.
                if self.is_closed(asker.now_ms) {
                    return Err(Refusal::of(RefusalCode::Closed));
                }
                own()
            }
            Right::Moderate => self.may_moderate(asker),
            // Who moderates does so in a pause too; who asked and does not, while posting is open.
            Right::ModerateOrPostOwn => match self.may_moderate(asker) {
                Err(_) if owns => self.may_post(asker),
                judged => judged,
            },
        }
    }

    /// Whether what somebody commented before bears on their next comment.
    #[must_use]
    pub fn asks_spoke(&self) -> bool {
        self.set.slow_mode_s > 0 || self.set.quota > 0
    }

    /// Slow mode and quota. Those who run the conversation have neither.
    fn may_speak_again(&self, asker: Asker<'_>, spoke: Option<Spoke>) -> Result<(), Refusal> {
        let Some(spoke) = spoke else { return Ok(()) };
        if self.moderates(asker) {
            return Ok(());
        }
        if self.set.quota > 0 && spoke.posts >= i64::from(self.set.quota) {
            let quota = self.set.quota;
            return Err(Refusal::of(RefusalCode::RateLimited).retry_after_ms(0).words(
                format!("每人最多发言 {quota} 条，您已用完。"),
                format!("Everybody may post {quota} comments here, and you have."),
            ));
        }
        if self.set.slow_mode_s == 0 {
            return Ok(());
        }
        let wait_ms = spoke.last_ms + i64::from(self.set.slow_mode_s) * 1_000 - asker.now_ms;
        if wait_ms <= 0 { Ok(()) } else { Err(Refusal::of(RefusalCode::SlowMode).retry_after_ms(wait_ms as u32)) }
    }

    /// Until when a verdict for this person holds if nothing changes, milliseconds since 1970; 0: for good.
    #[must_use]
    pub fn holds_until_ms(&self, asker: Asker<'_>) -> i64 {
        let ahead = |time_ms: &i64| *time_ms > asker.now_ms;
        let muted = self.mutes.get(&asker.person.id).copied().filter(ahead);
        let closes = Some(self.set.closes_ms).filter(|closes_ms| self.set.phase == Phase::Open && ahead(closes_ms));
        muted.into_iter().chain(closes).min().unwrap_or(0)
    }

    fn invites(&self, asker: Asker<'_>) -> bool {
        self.set.members && self.members.contains(&asker.person.id) || self.post.selects(asker.directory, asker.person)
    }

    fn manages(&self, asker: Asker<'_>) -> bool {
        let keeps = self.set.keeper != 0 && self.set.keeper == asker.person.id && self.members.contains(&asker.person.id);
        keeps || self.set.organisation != 0 && manages(asker.directory, asker.person, self.set.organisation)
    }

    fn moderates(&self, asker: Asker<'_>) -> bool {
        self.manages(asker) || self.moderate.selects(asker.directory, asker.person)
    }

    fn is_closed(&self, now_ms: i64) -> bool {
        // The closing event may come a moment after its time; no comment comes after its time.
        let RuleSet { phase, closes_ms, .. } = self.set;
        phase == Phase::Closed || closes_ms != 0 && closes_ms <= now_ms && phase != Phase::Draft
    }

    fn is_open(&self, now_ms: i64) -> Result<(), Refusal> {
        if self.is_closed(now_ms) {
            return Err(Refusal::of(RefusalCode::Closed));
        }
        match self.set.phase {
            Phase::Open => Ok(()),
            Phase::Paused => Err(Refusal::of(RefusalCode::Paused)),
            _ => Err(Refusal::of(RefusalCode::NotOpen)),
        }
    }
}

/// Makes and runs what belongs to this organisation: its staff, and administrators of it or above it.
#[must_use]
pub fn manages(directory: &Snapshot, person: &PersonEntry, organisation: u32) -> bool {
    let staff = person.roles.has(Role::Staff) && person.organisation == organisation;
    let administrator = person.roles.has(Role::Administrator) && directory.is_within(organisation, person.organisation);
    !person.disabled && (staff || administrator)
}

fn not_own() -> Refusal {
    Refusal::of(RefusalCode::Forbidden).words("只能修改或撤回自己的发言。", "Only your own comments can be edited or taken back.")
}

#[cfg(test)]
mod tests;
