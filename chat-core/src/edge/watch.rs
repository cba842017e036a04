//! Verdicts on who may watch and post: from memory, but for one statement on heads and one on read marks a batch.

use std::collections::{BTreeSet, HashMap};

use proto::{
    internal::v1::{WatchAsk, WatchResponse, WatchVerdict},
    v1::{Refusal, RefusalCode},
};
use uuid::Uuid;

use super::EdgeApi;
use crate::{
    clock, conversations,
    directory::Snapshot,
    fault::{Error, Fault},
    log::HeadRow,
    rights::{Asker, Rules},
};

impl EdgeApi {
    pub(super) async fn watch_all(&self, asks: &[WatchAsk]) -> Result<WatchResponse, Fault> {
        let rights = &self.conversations.rights;
        let directory = rights.directory().snapshot();
        // As of the directory that is judged by; the gates of the heads below are at least as new.
        let control = directory.position;
        let ids: Vec<Option<Uuid>> = asks.iter().map(|ask| Uuid::try_parse(&ask.conversation).ok()).collect();
        let distinct: Vec<Uuid> = ids.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut known: HashMap<Uuid, (HeadRow, std::sync::Arc<Rules>)> = HashMap::with_capacity(distinct.len());
        for head in self.conversations.log.heads(&distinct).await? {
            match rights.rules(&head).await {
                Ok(rules) => {
                    known.insert(head.conversation, (head, rules));
                }
                Err(Error::Refused(_)) => {}
                Err(Error::Fault(fault)) => return Err(fault),
            }
        }
        let keys: Vec<(Uuid, u32)> = ids.iter().zip(asks).filter_map(|(id, ask)| Some(((*id)?, ask.person))).collect();
        let marks = conversations::read_marks(&self.conversations.store, &keys).await?;
        let now_ms = clock::now_ms();
        let verdicts = ids
            .into_iter()
            .zip(asks)
            .map(|(id, ask)| {
                let known = id.and_then(|id| known.get(&id));
                let read = id.and_then(|id| marks.get(&(id, ask.person))).copied().unwrap_or(0);
                verdict(&directory, known.map(|(head, rules)| (head, rules.as_ref())), ask.person, read, now_ms)
            })
            .collect();
        Ok(WatchResponse { verdicts, control })
    }
}

fn verdict(directory: &Snapshot, known: Option<(&HeadRow, &Rules)>, person: u32, read_mseq: i64, now_ms: i64) -> WatchVerdict {
    let refused = |refusal| WatchVerdict { refusal: Some(refusal), ..WatchVerdict::default() };
    let Some((head, rules)) = known else { return refused(Refusal::of(RefusalCode::NotFound).field("conversation")) };
    let Some(person) = directory.person(person) else { return refused(Refusal::of(RefusalCode::Unauthenticated)) };
    let asker = Asker { directory, person, now_ms };
    if let Err(refusal) = rules.may_watch(asker) {
        return refused(refusal);
    }
    let post = rules.may_post(asker);
    WatchVerdict {
        refusal: None,
        head: Some(head.to_proto()),
        kind: rules.kind().into(),
        read_mseq: read_mseq.min(head.mseq) as u64,
        may_post: post.is_ok(),
        post_refusal: post.err(),
        may_moderate: rules.may_moderate(asker).is_ok(),
        valid_until_ms: rules.holds_until_ms(asker),
        people: rules.people(),
    }
}
