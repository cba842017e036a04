//! Verdicts on who may watch and post: from memory, but for one statement on heads and one on read marks a batch.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use proto::{
    internal::v1::{WatchAsk, WatchResponse, WatchVerdict},
    v1::{Refusal, RefusalCode},
};
use uuid::Uuid;

use kernel::{
    Error, Fault,
    directory::Snapshot,
    guests::{self, Grant, LinkRow},
    log::HeadRow,
    rights::{Asker, Rules},
};

use super::EdgeApi;

impl EdgeApi {
    pub(super) async fn watch_all(&self, asks: &[WatchAsk]) -> Result<WatchResponse, Fault> {
        let context = &self.context;
        let directory = context.directory.snapshot();
        // As of the directory that is judged by; the gates of the heads below are at least as new.
        let control = directory.position;
        let ids: Vec<Option<Uuid>> = asks.iter().map(|ask| Uuid::try_parse(&ask.conversation).ok()).collect();
        let distinct: Vec<Uuid> = ids.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut known: HashMap<Uuid, (HeadRow, Arc<Rules>)> = HashMap::with_capacity(distinct.len());
        for head in context.log.heads(&distinct).await? {
            match context.rights.rules(&head).await {
                Ok(rules) => {
                    known.insert(head.conversation, (head, rules));
                }
                Err(Error::Refused(_)) => {}
                Err(Error::Fault(fault)) => return Err(fault),
            }
        }
        let people = ids.iter().zip(asks).filter(|(_, ask)| ask.display.is_empty());
        let keys: Vec<(Uuid, u32)> = people.filter_map(|(id, ask)| Some(((*id)?, ask.person))).collect();
        let read = context.conversations.find_read(&keys).await?;
        // Few and far between: links are read each time, and never remembered.
        let links: BTreeSet<Uuid> = asks.iter().filter_map(|ask| Uuid::try_parse(&ask.display).ok()).collect();
        let links = guests::rows::find_links(&context.store, &links.into_iter().collect::<Vec<_>>()).await?;
        let now_ms = context.clock.now_ms();
        guests::update_seen(&context.store, links.values().collect(), now_ms);
        let verdicts = ids
            .into_iter()
            .zip(asks)
            .map(|(id, ask)| {
                let known = id.and_then(|id| known.get(&id)).map(|(head, rules)| (head, rules.as_ref()));
                if !ask.display.is_empty() {
                    let grant = Uuid::try_parse(&ask.display).ok().and_then(|link| links.get(&link)).map(LinkRow::to_grant);
                    return judge_guest(&directory, known, grant, now_ms);
                }
                let read = id.and_then(|id| read.get(&(id, ask.person))).copied().unwrap_or(0);
                judge_person(&directory, known, ask.person, read, now_ms)
            })
            .collect();
        Ok(WatchResponse { verdicts, control })
    }
}

/// How long a guest's verdict holds at most, ms: judging it anew is what shows staff when a screen was last there.
const GUEST_MS: i64 = 60_000;

/// A guest's verdict: its link is judged in a person's place.
fn judge_guest(directory: &Snapshot, known: Option<(&HeadRow, &Rules)>, grant: Option<Grant>, now_ms: i64) -> WatchVerdict {
    let refused = |refusal| WatchVerdict { refusal: Some(refusal), ..WatchVerdict::default() };
    let Some(grant) = grant else { return refused(Refusal::of(RefusalCode::SessionEnded)) };
    if let Err(refusal) = grant.judge_alive(now_ms) {
        return refused(refusal);
    }
    let Some((head, rules)) = known else { return refused(Refusal::of(RefusalCode::NotFound).field("conversation")) };
    let maker = directory.person(grant.maker).map(|person| Asker { directory, person, now_ms });
    if let Err(refusal) = grant.may_show(head.conversation, rules, maker, now_ms) {
        return refused(refusal);
    }
    WatchVerdict {
        head: Some(head.to_proto()),
        kind: rules.kind().into(),
        post_refusal: Some(Refusal::of(RefusalCode::Forbidden)),
        valid_until_ms: grant.expires_ms.min(now_ms + GUEST_MS),
        people: rules.people(),
        ..WatchVerdict::default()
    }
}

fn judge_person(directory: &Snapshot, known: Option<(&HeadRow, &Rules)>, person: u32, read_mseq: i64, now_ms: i64) -> WatchVerdict {
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
