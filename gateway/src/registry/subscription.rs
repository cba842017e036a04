//! What a session knows of a conversation that it follows.

use proto::{
    internal::v1::WatchVerdict,
    v1::{PostState, Refusal},
};

/// One conversation that a socket follows.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    /// Whether it is among the room's sockets here; `false`: not yet.
    pub joined: bool,
    /// May post now.
    pub may_post: bool,
    /// Why it may not post.
    pub post_refusal: Option<Box<Refusal>>,
    /// May hide and mute.
    pub may_moderate: bool,
    /// Ask again then, milliseconds since 1970; 0: when the control log says so.
    pub valid_until_ms: i64,
    /// How many people are part of it.
    pub people: u32,
    /// Something changed while it was on its way in, or while it was asked for.
    pub stale: bool,
    /// It is being asked for again.
    pub asking: bool,
    /// Where the control log stood when it was judged.
    judged_at: u64,
}

impl Subscription {
    /// Whether what is known now was judged later than at `control`: answers may overtake one another. `heard` is how far the
    /// control log was heard here; a judgement beyond that is of a log that is no more, or will be asked for when it is heard.
    #[must_use]
    pub fn is_newer_than(&self, control: u64, heard: u64) -> bool {
        control < self.judged_at && self.judged_at <= heard
    }

    /// May it post, in the contract's form.
    #[must_use]
    pub fn to_post_state(&self) -> PostState {
        PostState { may_post: self.may_post, refusal: self.post_refusal.as_deref().cloned(), may_moderate: self.may_moderate }
    }

    /// Forgets at which position it was judged: whatever is judged from now on counts as later.
    pub fn forget_position(&mut self) {
        self.judged_at = 0;
    }

    /// Applies what chat-core said when the control log stood at `control`; `true`: the right to post is another one than before.
    pub fn apply(&mut self, verdict: &WatchVerdict, control: u64) -> bool {
        self.judged_at = control;
        let code = |refusal: Option<&Refusal>| refusal.map(|refusal| refusal.code);
        let changed = self.may_post != verdict.may_post
            || self.may_moderate != verdict.may_moderate
            || code(self.post_refusal.as_deref()) != code(verdict.post_refusal.as_ref());
        self.may_post = verdict.may_post;
        self.post_refusal = verdict.post_refusal.clone().map(Box::new);
        self.may_moderate = verdict.may_moderate;
        self.valid_until_ms = verdict.valid_until_ms;
        self.people = verdict.people;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_overtaken_is_known_by_the_control_log() {
        let verdict = |may_post| WatchVerdict { may_post, ..WatchVerdict::default() };
        let mut subscription = Subscription::default();
        assert!(!subscription.is_newer_than(0, 0) && subscription.apply(&verdict(true), 5));
        assert!(subscription.apply(&verdict(false), 7), "muted");
        assert!(subscription.is_newer_than(6, 7), "judged before that");
        assert!(!subscription.is_newer_than(6, 6), "the log was never heard to go so far");
        assert!(!subscription.is_newer_than(7, 9));
        subscription.forget_position();
        assert!(!subscription.is_newer_than(2, 9), "another log");
    }
}
