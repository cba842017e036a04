//! One batch, one transaction: lock the heads, look up duplicates, judge, allot, insert.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::v1::{Event, Receipt, ReceiptState, Refusal, RefusalCode, event::Kind, post::Content};
use uuid::Uuid;

use super::{
    entry::{COMMENT, Change, Effect, Gatekeeper, HeadRow, Submission, TargetRow, body_of, counts, kind_code},
    rows::{self, NewRow, StandingRow},
};
use crate::{
    fault::{Error, Fault},
    store::Tx,
};

/// What came of a post.
pub type Verdict = Result<Receipt, Refusal>;

/// What a transaction appended to one conversation, to be announced once it is committed.
#[derive(Clone, Debug)]
pub struct Appended {
    /// As it is now.
    pub head: HeadRow,
    /// Consecutive, ending at the head.
    pub events: Vec<Event>,
}

/// One batch's results, valid once its transaction is committed.
pub struct Written {
    /// In the order of the submissions.
    pub verdicts: Vec<Verdict>,
    /// What to announce.
    pub appended: Vec<Appended>,
}

/// Appends a batch of posts, of one conversation or many, each with its own verdict.
///
/// # Errors
/// A fault: nothing of the batch was written.
pub async fn append(tx: &mut Tx<'_>, gatekeeper: &dyn Gatekeeper, batch: &[Submission]) -> Result<Written, Fault> {
    let conversations: BTreeSet<Uuid> = batch.iter().map(|post| post.conversation).collect();
    let conversations: Vec<Uuid> = conversations.into_iter().collect();
    let locked = rows::lock_heads(tx, &conversations).await?;
    // Read after the lock: what this batch may do is decided at the instant that nobody else can.
    let now_ms = tx.now_ms().await?;
    gatekeeper.refresh(tx, &locked).await?;

    let keys: Vec<_> = batch.iter().map(|post| (post.conversation, i64::from(post.author), post.client_id)).collect();
    let speakers: BTreeSet<_> = keys.iter().map(|key| (key.0, key.1)).collect();
    let targets: BTreeSet<_> = batch.iter().filter_map(|post| Some((post.conversation, post.target()? as i64))).collect();
    let mut desk = Desk {
        gatekeeper,
        now_ms,
        standing: rows::standing(tx, &keys).await?.into_iter().map(|row| ((row.conversation, row.author, row.client_id), row)).collect(),
        last_spoke: rows::speakers(tx, &speakers.into_iter().collect::<Vec<_>>())
            .await?
            .into_iter()
            .map(|row| ((row.conversation, row.person), row.last_ms))
            .collect(),
        targets: if targets.is_empty() {
            HashMap::new()
        } else {
            rows::targets(tx, &targets.into_iter().collect::<Vec<_>>())
                .await?
                .into_iter()
                .map(|row| ((row.conversation, row.seq), row))
                .collect()
        },
        heads: locked.into_iter().map(|head| (head.conversation, head)).collect(),
        rows: Vec::new(),
        events: BTreeMap::new(),
        spoke: BTreeMap::new(),
        marked: BTreeSet::new(),
    };
    let verdicts = batch.iter().map(|post| desk.take(post)).collect();
    let appended = desk.write(tx).await?;
    Ok(Written { verdicts, appended })
}

/// Everything that a batch's posts are judged against, and what they make of it. Pure but for the last step.
struct Desk<'a> {
    gatekeeper: &'a dyn Gatekeeper,
    now_ms: i64,
    heads: HashMap<Uuid, HeadRow>,
    standing: HashMap<(Uuid, i64, Uuid), StandingRow>,
    last_spoke: HashMap<(Uuid, i64), i64>,
    targets: HashMap<(Uuid, i64), TargetRow>,
    rows: Vec<NewRow>,
    events: BTreeMap<Uuid, Vec<Event>>,
    spoke: BTreeMap<(Uuid, i64), (i64, i64)>,
    marked: BTreeSet<(Uuid, i64)>,
}

impl Desk<'_> {
    fn take(&mut self, post: &Submission) -> Verdict {
        let Some(mut head) = self.heads.get(&post.conversation).copied() else {
            return Err(Refusal::of(RefusalCode::NotFound).field("conversation"));
        };
        let author = i64::from(post.author);
        let digest = post.digest();
        if let Some(standing) = self.standing.get(&(post.conversation, author, post.client_id)) {
            // Sent again: the first receipt again, whatever has become of the conversation since.
            return if standing.digest == digest {
                Ok(receipt(&head, post.client_id, standing.seq, standing.mseq, standing.time_ms))
            } else {
                Err(Refusal::of(RefusalCode::Conflict).field("client_id"))
            };
        }
        let target = match post.target() {
            None => None,
            Some(seq) => {
                let row = i64::try_from(seq).ok().and_then(|seq| self.targets.get(&(post.conversation, seq)));
                let row = row.filter(|row| row.kind == COMMENT).ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("target"))?;
                if row.gone != 0 {
                    return Err(Refusal::of(RefusalCode::TargetGone));
                }
                Some(*row)
            }
        };
        if let Content::Comment(comment) = &post.content
            && comment.reply_to > head.seq as u64
        {
            return Err(Refusal::of(RefusalCode::NotFound).field("reply_to"));
        }
        let last_spoke = self.last_spoke.get(&(post.conversation, author)).copied();
        self.gatekeeper.judge(&head, post, self.now_ms, last_spoke, target.as_ref())?;

        let kind = self.kind_of(post, target);
        let time_ms = self.now_ms.max(head.time_ms);
        head.seq += 1;
        head.time_ms = time_ms;
        match &kind {
            Kind::Comment(_) => {
                head.mseq += 1;
                head.comments += 1;
                if last_spoke.is_none() {
                    head.spoke += 1;
                }
                self.last_spoke.insert((post.conversation, author), time_ms);
                let spoke = self.spoke.entry((post.conversation, author)).or_default();
                *spoke = (time_ms, spoke.1 + 1);
            }
            Kind::Recall(_) | Kind::Hide(_) => head.comments -= 1,
            _ => {}
        }
        let receipt = receipt(&head, post.client_id, head.seq, head.mseq, time_ms);
        self.standing.insert(
            (post.conversation, author, post.client_id),
            StandingRow {
                conversation: post.conversation,
                author,
                client_id: post.client_id,
                seq: head.seq,
                mseq: head.mseq,
                time_ms,
                digest: digest.clone(),
            },
        );
        self.put(&head, post.author, Some((post.client_id, digest)), kind);
        self.heads.insert(post.conversation, head);
        Ok(receipt)
    }

    /// The event that a post becomes, and what it does to its target.
    fn kind_of(&mut self, post: &Submission, target: Option<TargetRow>) -> Kind {
        let mut mark = |change: &dyn Fn(&mut TargetRow)| {
            let Some(row) = target else { return 0 };
            let key = (row.conversation, row.seq);
            self.marked.insert(key);
            self.targets.get_mut(&key).map_or(0, |row| {
                change(row);
                row.version
            })
        };
        match post.content.clone() {
            Content::Comment(comment) => Kind::Comment(comment),
            Content::Edit(mut edit) => {
                edit.version = mark(&|row| row.version += 1) as u32;
                Kind::Edit(edit)
            }
            Content::Recall(recall) => {
                mark(&|row| row.gone = 1);
                Kind::Recall(recall)
            }
            Content::Hide(hide) => {
                mark(&|row| row.gone = 2);
                Kind::Hide(hide)
            }
        }
    }

    fn put(&mut self, head: &HeadRow, author: u32, client: Option<(Uuid, Vec<u8>)>, kind: Kind) {
        let (client_id, digest) = client.unzip();
        let event = Event { seq: head.seq as u64, mseq: head.mseq as u64, time_ms: head.time_ms, author, kind: Some(kind) };
        let kind = event.kind.as_ref();
        self.rows.push(NewRow {
            conversation: head.conversation,
            seq: head.seq,
            mseq: head.mseq,
            time_ms: head.time_ms,
            author: author.into(),
            client_id,
            digest,
            kind: kind.map_or(0, kind_code),
            target: sequence::target_of(&event).map(|target| target as i64),
            body: kind.map(body_of).unwrap_or_default(),
        });
        self.events.entry(head.conversation).or_default().push(event);
    }

    async fn write(mut self, tx: &mut Tx<'_>) -> Result<Vec<Appended>, Fault> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        // Side by side in the tables and their indexes, so that each page is looked for once.
        self.rows.sort_unstable_by_key(|row| (row.conversation, row.seq));
        rows::insert_events(tx, &self.rows).await?;
        let changed: Vec<HeadRow> = self.events.keys().filter_map(|conversation| self.heads.get(conversation).copied()).collect();
        rows::update_heads(tx, &changed, self.now_ms).await?;
        let spoke: Vec<_> = self.spoke.iter().map(|((conversation, person), (at, posts))| (*conversation, *person, *at, *posts)).collect();
        if !spoke.is_empty() {
            rows::note_speakers(tx, &spoke).await?;
        }
        let marked: Vec<_> = self.marked.iter().filter_map(|key| self.targets.get(key).copied()).collect();
        rows::mark_targets(tx, &marked).await?;
        Ok(changed.into_iter().zip(self.events.into_values()).map(|(head, events)| Appended { head, events }).collect())
    }
}

/// Makes a change of rules or people with its events, under the head's lock. `None`: there is no such conversation.
///
/// # Errors
/// What the change says, or a fault.
pub async fn change(tx: &mut Tx<'_>, conversation: Uuid, change: &mut dyn Change) -> Result<Option<Appended>, Error> {
    let Some(mut head) = rows::lock_heads(tx, &[conversation]).await?.into_iter().next() else { return Ok(None) };
    let now_ms = tx.now_ms().await?;
    let Effect { events: kinds, moves_gate } = change.apply(tx, &head, now_ms).await?;
    if moves_gate {
        head.gate += 1;
    }
    let mut rows = Vec::with_capacity(kinds.len());
    let mut events = Vec::with_capacity(kinds.len());
    for (author, kind) in kinds {
        head.seq += 1;
        head.mseq += i64::from(counts(&kind));
        head.time_ms = head.time_ms.max(now_ms);
        rows.push(NewRow {
            conversation,
            seq: head.seq,
            mseq: head.mseq,
            time_ms: head.time_ms,
            author: author.into(),
            client_id: None,
            digest: None,
            kind: kind_code(&kind),
            target: None,
            body: body_of(&kind),
        });
        events.push(Event { seq: head.seq as u64, mseq: head.mseq as u64, time_ms: head.time_ms, author, kind: Some(kind) });
    }
    if !rows.is_empty() {
        rows::insert_events(tx, &rows).await?;
    }
    if moves_gate || !rows.is_empty() {
        rows::update_heads(tx, &[head], now_ms).await?;
    }
    Ok(Some(Appended { head, events }))
}

fn receipt(head: &HeadRow, client_id: Uuid, seq: i64, mseq: i64, time_ms: i64) -> Receipt {
    Receipt {
        client_id: client_id.to_string(),
        position: Some(proto::v1::Position { conversation: head.conversation.to_string(), epoch: head.epoch as u32, seq: seq as u64 }),
        mseq: mseq as u64,
        time_ms,
        state: ReceiptState::Shown.into(),
    }
}
