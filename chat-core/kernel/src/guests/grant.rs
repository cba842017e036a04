//! What a guest's link grants: one conversation may be shown, and nothing else is ever its right. Pure.

use proto::v1::{Refusal, RefusalCode};
use uuid::Uuid;

use crate::rights::{Asker, Phase, Rules};

/// After how long a guest asks again about what may come to be, ms.
const SOON_MS: u32 = 10_000;
/// After how long it asks again about what somebody has to mend, ms.
const LATER_MS: u32 = 60_000;

/// A guest's link as it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The conversation that it shows.
    pub conversation: Uuid,
    /// Who made it: it is as good as this person's right to run the conversation.
    pub maker: u32,
    /// Until when it is good, milliseconds since 1970.
    pub expires_ms: i64,
    /// Somebody ended it.
    pub ended: bool,
}

impl Grant {
    /// Judges whether it is good at all at this time.
    ///
    /// # Errors
    /// SESSION_ENDED: never again.
    pub fn judge_alive(&self, now_ms: i64) -> Result<(), Refusal> {
        if self.ended || self.expires_ms <= now_ms {
            return Err(Refusal::of(RefusalCode::SessionEnded)
                .words("这个大屏链接已停用或已过期。", "This display link has been ended or has expired."));
        }
        Ok(())
    }

    /// May show this conversation. `maker`: who made the link, now; `None`: not in the directory any more.
    ///
    /// # Errors
    /// SESSION_ENDED; NOT_FOUND (another conversation); FORBIDDEN (its maker does not run the conversation any more); NOT_OPEN
    /// (still a draft, or one again).
    pub fn may_show(&self, conversation: Uuid, rules: &Rules, maker: Option<Asker<'_>>, now_ms: i64) -> Result<(), Refusal> {
        self.judge_alive(now_ms)?;
        if conversation != self.conversation || rules.members().is_some() {
            return Err(not_found());
        }
        if maker.is_none_or(|maker| rules.may_manage(maker).is_err()) {
            return Err(Refusal::of(RefusalCode::Forbidden).retry_after_ms(LATER_MS).words(
                "创建这个大屏链接的人员已不再管理本次协商。",
                "Whoever made this display link does not run the consultation any more.",
            ));
        }
        if rules.set().phase == Phase::Draft {
            return Err(Refusal::of(RefusalCode::NotOpen)
                .retry_after_ms(SOON_MS)
                .words("本次协商尚未公布。", "This consultation has not been announced yet."));
        }
        Ok(())
    }
}

fn not_found() -> Refusal {
    Refusal::of(RefusalCode::NotFound).field("conversation")
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proto::v1::Role;

    use super::*;
    use crate::{
        directory::{
            PersonEntry,
            example::{person, tree},
        },
        rights::RuleSet,
    };

    fn rules(phase: Phase) -> Rules {
        Rules::new(RuleSet { organisation: 2, phase, ..RuleSet::default() }, HashSet::new(), HashMap::new())
    }

    #[test]
    fn what_a_screen_may_show() {
        use Phase as S;
        use RefusalCode as C;
        let tree = tree();
        let (shown, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let good = Grant { conversation: shown, maker: 1, expires_ms: 1_000, ended: false };
        let ended = Grant { ended: true, ..good };
        let staff = person(1, 2, &[Role::Staff]);
        let moved = person(1, 3, &[Role::Staff]);
        let member = person(1, 2, &[Role::Member]);
        let administrator_above = person(1, 1, &[Role::Administrator]);
        let disabled = PersonEntry { disabled: true, ..staff.clone() };
        let table = [
            ("as it is meant", good, shown, S::Open, Some(&staff), 999, None),
            ("before it opens", good, shown, S::Scheduled, Some(&staff), 0, None),
            ("in a pause", good, shown, S::Paused, Some(&staff), 0, None),
            ("what was said stands on the wall after the end", good, shown, S::Closed, Some(&staff), 0, None),
            ("made from above", good, shown, S::Open, Some(&administrator_above), 0, None),
            ("a draft", good, shown, S::Draft, Some(&staff), 0, Some(C::NotOpen)),
            ("expired", good, shown, S::Open, Some(&staff), 1_000, Some(C::SessionEnded)),
            ("ended", ended, shown, S::Open, Some(&staff), 0, Some(C::SessionEnded)),
            ("ended, and another conversation", ended, other, S::Open, Some(&staff), 0, Some(C::SessionEnded)),
            ("another conversation", good, other, S::Open, Some(&staff), 0, Some(C::NotFound)),
            ("its maker works elsewhere now", good, shown, S::Open, Some(&moved), 0, Some(C::Forbidden)),
            ("its maker is staff no more", good, shown, S::Open, Some(&member), 0, Some(C::Forbidden)),
            ("its maker was disabled", good, shown, S::Open, Some(&disabled), 0, Some(C::Forbidden)),
            ("its maker is gone", good, shown, S::Open, None, 0, Some(C::Forbidden)),
        ];
        for (case, grant, conversation, state, maker, now_ms, refused) in table {
            let rules = rules(state);
            let maker = maker.map(|person| Asker { directory: &tree, person, now_ms });
            let verdict = grant.may_show(conversation, &rules, maker, now_ms);
            assert_eq!(verdict.err().map(|refusal| refusal.code()), refused, "{case}");
        }
        let group = Rules::new(RuleSet { members: true, keeper: 1, phase: S::Open, ..RuleSet::default() }, [1].into(), HashMap::new());
        let maker = Asker { directory: &tree, person: &staff, now_ms: 0 };
        assert_eq!(good.may_show(shown, &group, Some(maker), 0).unwrap_err().code(), C::NotFound, "a group is no consultation");
    }

    #[test]
    fn only_an_ended_link_says_that_asking_again_is_of_no_use() {
        let tree = tree();
        let shown = Uuid::from_u128(7);
        let grant = Grant { conversation: shown, maker: 1, expires_ms: 1_000, ended: false };
        let staff = person(1, 2, &[Role::Staff]);
        let maker = |now_ms| Some(Asker { directory: &tree, person: &staff, now_ms });
        let open = rules(Phase::Open);
        assert!(grant.may_show(shown, &rules(Phase::Draft), maker(0), 0).unwrap_err().retry_after_ms > 0);
        assert!(grant.may_show(shown, &open, None, 0).unwrap_err().retry_after_ms > 0);
        assert_eq!(grant.may_show(shown, &open, maker(1_000), 1_000).unwrap_err().retry_after_ms, 0);
    }
}
