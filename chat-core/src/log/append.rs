//! One batch, one transaction: lock the heads, look up duplicates, judge, allot, insert.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::v1::{Event, Receipt, ReceiptState, Refusal, RefusalCode, event::Kind, post::Content};
use uuid::Uuid;

use super::{
    entry::{COMMENT, Change, Effect, Gatekeeper, HeadRow, Submission, TargetRow, body_of, counts, kind_code},
    looks::{self, StandingRow},
    rows::{self, NewRow},
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
    /// Consecutive, ending at the head. None where a post was found to stand already: whoever wrote it may not have lived to
    /// announce it, or may have given up waiting for the commit.
    pub events: Vec<Event>,
}

/// One batch's results, valid once its transaction is committed.
pub struct Written {
    /// In the order of the submissions.
    pub verdicts: Vec<Verdict>,
    /// What to announce.
    pub appended: Vec<Appended>,
}

impl Written {
    /// Whether there is anything to commit.
    #[must_use]
    pub fn wrote(&self) -> bool {
        self.appended.iter().any(|appended| !appended.events.is_empty())
    }
}

/// When it is looked up whether posts stand already, which is so only where somebody sends again what was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Before anything is judged.
    First,
    /// Only of what is refused: the unique index of events finds the rest, and then nothing of the batch is written. That saves
    /// the look where, as nearly always, nothing stands.
    Last,
}

/// Appends a batch of posts, of one conversation or many, each with its own verdict.
///
/// # Errors
/// A fault: nothing of the batch was written. With [`Look::Last`], [`Fault::stands_already`]: look first.
pub async fn append(tx: &mut Tx<'_>, gatekeeper: &dyn Gatekeeper, batch: &[Submission], look: Look) -> Result<Written, Fault> {
    let conversations: BTreeSet<Uuid> = batch.iter().map(|post| post.conversation).collect();
    let conversations: Vec<Uuid> = conversations.into_iter().collect();
    // The time after the lock: what this batch may do is decided at the instant that nobody else can.
    let (locked, now_ms) = rows::lock_heads(tx, &conversations).await?;
    gatekeeper.refresh(tx, &locked).await?;

    let keys: Vec<Key> = if look == Look::First { batch.iter().map(key).collect() } else { Vec::new() };
    let slow: BTreeSet<Uuid> = locked.iter().filter(|head| gatekeeper.asks_last_spoke(head)).map(|head| head.conversation).collect();
    let speakers: BTreeSet<_> =
        batch.iter().filter(|post| slow.contains(&post.conversation)).map(|post| (post.conversation, i64::from(post.author))).collect();
    let targets: BTreeSet<_> = batch.iter().filter_map(|post| Some((post.conversation, post.target()? as i64))).collect();
    let (speakers, targets): (Vec<_>, Vec<_>) = (speakers.into_iter().collect(), targets.into_iter().collect());
    let mut desk = Desk {
        gatekeeper,
        now_ms,
        standing: standing(tx, &keys).await?,
        last_spoke: looks::speakers(tx, &speakers).await?.into_iter().map(|row| ((row.conversation, row.person), row.last_ms)).collect(),
        targets: looks::targets(tx, &targets).await?.into_iter().map(|row| ((row.conversation, row.seq), row)).collect(),
        heads: locked.into_iter().map(|head| (head.conversation, head)).collect(),
        rows: Vec::new(),
        events: BTreeMap::new(),
        spoke: BTreeMap::new(),
        marked: BTreeSet::new(),
    };
    let mut stood: BTreeSet<Uuid> = desk.standing.keys().map(|(conversation, ..)| *conversation).collect();
    let mut verdicts: Vec<Verdict> = batch.iter().map(|post| desk.take(post)).collect();
    if look == Look::Last {
        // What stands is answered with its first receipt, whatever would be said of it now.
        let refused = batch.iter().zip(&verdicts).filter(|(post, verdict)| verdict.is_err() && desk.heads.contains_key(&post.conversation));
        let found = standing(tx, &refused.map(|(post, _)| key(post)).collect::<Vec<_>>()).await?;
        stood.extend(found.keys().map(|(conversation, ..)| *conversation));
        desk.standing.extend(found);
        for (verdict, post) in verdicts.iter_mut().zip(batch).filter(|(verdict, _)| verdict.is_err()) {
            if let Some(first) = desk.answered(post) {
                *verdict = first;
            }
        }
    }
    stood.retain(|conversation| !desk.events.contains_key(conversation));
    let untold: Vec<_> = stood.iter().filter_map(|conversation| desk.heads.get(conversation).copied()).collect();
    let mut appended = desk.write(tx).await?;
    appended.extend(untold.into_iter().map(|head| Appended { head, events: Vec::new() }));
    Ok(Written { verdicts, appended })
}

/// What a post is known by: conversation, author, client_id.
type Key = (Uuid, i64, Uuid);

fn key(post: &Submission) -> Key {
    (post.conversation, i64::from(post.author), post.client_id)
}

async fn standing(tx: &mut Tx<'_>, keys: &[Key]) -> Result<HashMap<Key, StandingRow>, Fault> {
    Ok(looks::standing(tx, keys).await?.into_iter().map(|row| ((row.conversation, row.author, row.client_id), row)).collect())
}

/// Everything that a batch's posts are judged against, and what they make of it. Pure but for the last step.
struct Desk<'a> {
    gatekeeper: &'a dyn Gatekeeper,
    now_ms: i64,
    heads: HashMap<Uuid, HeadRow>,
    standing: HashMap<Key, StandingRow>,
    last_spoke: HashMap<(Uuid, i64), i64>,
    targets: HashMap<(Uuid, i64), TargetRow>,
    rows: Vec<NewRow>,
    events: BTreeMap<Uuid, Vec<Event>>,
    spoke: BTreeMap<(Uuid, i64), (i64, i64)>,
    marked: BTreeSet<(Uuid, i64)>,
}

impl Desk<'_> {
    /// What was said to a post that stands already; `None`: it does not.
    fn answered(&self, post: &Submission) -> Option<Verdict> {
        let head = self.heads.get(&post.conversation)?;
        let standing = self.standing.get(&key(post))?;
        Some(if standing.digest == post.digest() {
            Ok(receipt(head, post.client_id, standing.seq, standing.mseq, standing.time_ms))
        } else {
            Err(Refusal::of(RefusalCode::Conflict).field("client_id"))
        })
    }

    fn take(&mut self, post: &Submission) -> Verdict {
        let Some(mut head) = self.heads.get(&post.conversation).copied() else {
            return Err(Refusal::of(RefusalCode::NotFound).field("conversation"));
        };
        // Sent again: the first receipt again, whatever has become of the conversation since.
        if let Some(first) = self.answered(post) {
            return first;
        }
        let author = i64::from(post.author);
        let digest = post.digest();
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
            other => sequence::kinds::event_kind(other),
        }
    }

    fn put(&mut self, head: &HeadRow, author: u32, client: Option<(Uuid, Vec<u8>)>, kind: Kind) {
        let (client_id, digest) = client.unzip();
        let event =
            Event { seq: head.seq as u64, mseq: head.mseq as u64, time_ms: head.time_ms, author, kind: Some(kind), ..Event::default() };
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
        let spoke: Vec<_> = self.spoke.iter().map(|((conversation, person), (at, posts))| (*conversation, *person, *at, *posts)).collect();
        if !spoke.is_empty() {
            for (conversation, _) in rows::note_speakers(tx, &spoke).await? {
                self.heads.entry(conversation).and_modify(|head| head.spoke += 1);
            }
        }
        let changed: Vec<HeadRow> = self.events.keys().filter_map(|conversation| self.heads.get(conversation).copied()).collect();
        rows::update_heads(tx, &changed, self.now_ms).await?;
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
    let (heads, now_ms) = rows::lock_heads(tx, &[conversation]).await?;
    let Some(mut head) = heads.into_iter().next() else { return Ok(None) };
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
        events.push(Event {
            seq: head.seq as u64,
            mseq: head.mseq as u64,
            time_ms: head.time_ms,
            author,
            kind: Some(kind),
            ..Event::default()
        });
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
