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
    displays::{self, rows::LinkRow},
    fault::{Error, Fault},
    log::HeadRow,
    rights::{Asker, Grant, Rules},
};

impl EdgeApi {
    pub(super) async fn watch_all(&self, asks: &[WatchAsk]) -> Result<WatchResponse, Fault> {
        let parts = self.conversations();
        let rights = &parts.rights;
        let directory = rights.directory().snapshot();
        // As of the directory that is judged by; the gates of the heads below are at least as new.
        let control = directory.position;
        let ids: Vec<Option<Uuid>> = asks.iter().map(|ask| Uuid::try_parse(&ask.conversation).ok()).collect();
        let distinct: Vec<Uuid> = ids.iter().flatten().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut known: HashMap<Uuid, (HeadRow, std::sync::Arc<Rules>)> = HashMap::with_capacity(distinct.len());
        for head in parts.log.heads(&distinct).await? {
            match rights.rules(&head).await {
                Ok(rules) => {
                    known.insert(head.conversation, (head, rules));
                }
                Err(Error::Refused(_)) => {}
                Err(Error::Fault(fault)) => return Err(fault),
            }
        }
        let people = ids.iter().zip(asks).filter(|(_, ask)| ask.display.is_empty());
        let keys: Vec<(Uuid, u32)> = people.filter_map(|(id, ask)| Some(((*id)?, ask.person))).collect();
        let marks = conversations::read_marks(&parts.store, &keys).await?;
        // Few and far between: links are read each time, and never remembered.
        let links: BTreeSet<Uuid> = asks.iter().filter_map(|ask| Uuid::try_parse(&ask.display).ok()).collect();
        let links = displays::rows::some(&parts.store, &links.into_iter().collect::<Vec<_>>()).await?;
        let now_ms = clock::now_ms();
        displays::note_seen(&parts.store, links.values().collect(), now_ms);
        let verdicts = ids
            .into_iter()
            .zip(asks)
            .map(|(id, ask)| {
                let known = id.and_then(|id| known.get(&id));
                if !ask.display.is_empty() {
                    let grant = Uuid::try_parse(&ask.display).ok().and_then(|link| links.get(&link)).map(LinkRow::grant);
                    return screen(&directory, known.map(|(head, rules)| (head, rules.as_ref())), grant, now_ms);
                }
                let read = id.and_then(|id| marks.get(&(id, ask.person))).copied().unwrap_or(0);
                verdict(&directory, known.map(|(head, rules)| (head, rules.as_ref())), ask.person, read, now_ms)
            })
            .collect();
        Ok(WatchResponse { verdicts, control })
    }
}

/// A screen is asked about again at least this often, ms: staff see when it last showed something.
const SCREEN_MS: i64 = 60_000;

/// What a display link says in its person's place.
fn screen(directory: &Snapshot, known: Option<(&HeadRow, &Rules)>, grant: Option<Grant>, now_ms: i64) -> WatchVerdict {
    let refused = |refusal| WatchVerdict { refusal: Some(refusal), ..WatchVerdict::default() };
    let Some(grant) = grant else { return refused(Refusal::of(RefusalCode::SessionEnded)) };
    if let Err(refusal) = grant.lives(now_ms) {
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
        valid_until_ms: grant.expires_ms.min(now_ms + SCREEN_MS),
        people: rules.people(),
        ..WatchVerdict::default()
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
