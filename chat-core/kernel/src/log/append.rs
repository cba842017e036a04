//! One batch, one transaction: lock the heads, look up duplicates, judge, allot, insert.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proto::v1::{Event, MarkKind, MarkSet, Receipt, ReceiptState, Refusal, RefusalCode, event::Kind};
use sequence::kinds::{self, Gone, Mark, NewestText, Target};
use uuid::Uuid;

use super::{
    entry::{Change, Effect, Gatekeeper, HeadRow, Judge, Judged, Submission, TargetRow, encode_body},
    lookups::{self, StandingRow},
    rows::{self, NewMark, NewRow},
    target,
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
pub enum FindStanding {
    /// Before anything is judged.
    First,
    /// Only of what is refused: the unique index of events finds the rest, and then nothing of the batch is written. That saves
    /// the lookup where, as nearly always, nothing stands.
    Last,
}

/// Appends a batch of posts, of one conversation or many, each with its own verdict.
///
/// # Errors
/// A fault: nothing of the batch was written. With [`FindStanding::Last`], [`Fault::stands_already`]: look up first.
pub async fn append(tx: &mut Tx<'_>, gatekeeper: &dyn Gatekeeper, batch: &[Submission], find: FindStanding) -> Result<Written, Fault> {
    let conversations: BTreeSet<Uuid> = batch.iter().map(|post| post.conversation).collect();
    let conversations: Vec<Uuid> = conversations.into_iter().collect();
    // The time after the lock: what this batch may do is decided at the instant that nobody else can.
    let (locked, now_ms) = rows::lock_heads(tx, &conversations).await?;
    let judge = gatekeeper.prepare(tx, &locked).await?;

    let keys: Vec<Key> = if find == FindStanding::First { batch.iter().map(key_of).collect() } else { Vec::new() };
    let standing = find_standing(tx, &keys).await?;
    let found = Found::read(tx, &*judge, batch).await?;
    let mut draft = Draft::new(locked, now_ms, standing, found);
    let mut stood: BTreeSet<Uuid> = draft.standing.keys().map(|(conversation, ..)| *conversation).collect();
    let mut verdicts: Vec<Verdict> = batch.iter().map(|post| draft.append(&*judge, gatekeeper.find_card(post.author), post)).collect();
    if find == FindStanding::Last {
        // What stands is answered with its first receipt, whatever would be answered now.
        let refused =
            batch.iter().zip(&verdicts).filter(|(post, verdict)| verdict.is_err() && draft.heads.contains_key(&post.conversation));
        let found = find_standing(tx, &refused.map(|(post, _)| key_of(post)).collect::<Vec<_>>()).await?;
        stood.extend(found.keys().map(|(conversation, ..)| *conversation));
        draft.standing.extend(found);
        for (verdict, post) in verdicts.iter_mut().zip(batch).filter(|(verdict, _)| verdict.is_err()) {
            if let Some(first) = draft.find_answer(post) {
                *verdict = first;
            }
        }
    }
    stood.retain(|conversation| !draft.events.contains_key(conversation));
    let unannounced: Vec<_> = stood.iter().filter_map(|conversation| draft.heads.get(conversation).copied()).collect();
    let mut appended = draft.insert(tx).await?;
    appended.extend(unannounced.into_iter().map(|head| Appended { head, events: Vec::new() }));
    Ok(Written { verdicts, appended })
}

/// What a post is known by: conversation, author, client_id.
type Key = (Uuid, i64, Uuid);
/// What an event is known by: conversation, seq.
type EventKey = (Uuid, i64);
/// What a mark is known by: conversation, and target, mark and person.
type MarkKey = (Uuid, [i64; 3]);

fn key_of(post: &Submission) -> Key {
    (post.conversation, i64::from(post.author), post.client_id)
}

fn mark_key(target: EventKey, mark: MarkKind, person: u32) -> MarkKey {
    (target.0, [target.1, i64::from(mark as i32), i64::from(person)])
}

async fn find_standing(tx: &mut Tx<'_>, keys: &[Key]) -> Result<HashMap<Key, StandingRow>, Fault> {
    Ok(lookups::find_standing(tx, keys).await?.into_iter().map(|row| ((row.conversation, row.author, row.client_id), row)).collect())
}

/// What a batch's posts are judged by, as it stood before the batch; then kept up with it.
#[derive(Default)]
struct Found {
    spoke: HashMap<(Uuid, i64), (i64, i64)>,
    targets: HashMap<EventKey, TargetRow>,
    /// Targets whose content is judged by.
    events: HashMap<EventKey, Event>,
    /// Newest texts of targets that are to be given back.
    texts: HashMap<EventKey, NewestText>,
    marks: HashMap<MarkKey, String>,
}

impl Found {
    /// Reads what this batch's kinds ask for. A batch of nothing but comments, where nobody's last comment matters, asks nothing.
    async fn read(tx: &mut Tx<'_>, judge: &dyn Judge, batch: &[Submission]) -> Result<Self, Fault> {
        let speaks = |post: &&Submission| judge.asks_spoke(post.conversation);
        let speakers: BTreeSet<_> = batch.iter().filter(speaks).map(|post| (post.conversation, i64::from(post.author))).collect();
        let (mut targets, mut events, mut texts, mut marks) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for post in batch {
            let Some(target) = post.target() else { continue };
            let kind = post.kind();
            targets.insert(target);
            if kind.needs_target_event() {
                events.insert(target);
            }
            if kind.needs_newest_text() {
                texts.insert(target);
            }
            let own = kind.mark(post.author).map(|mark| (mark.mark, mark.person));
            marks.extend(kind.needs_marks(post.author).into_iter().chain(own).map(|(mark, person)| mark_key(target, mark, person)));
        }
        let [targets, events, texts] = [targets, events, texts].map(|keys| keys.into_iter().collect::<Vec<EventKey>>());
        let (speakers, marks): (Vec<_>, Vec<_>) = (speakers.into_iter().collect(), marks.into_iter().collect());
        let mut found = Self::default();
        let rows = lookups::find_speakers(tx, &speakers).await?;
        found.spoke.extend(rows.into_iter().map(|row| ((row.conversation, row.person), (row.last_ms, row.posts))));
        let rows = lookups::find_targets(tx, &targets).await?;
        found.targets.extend(rows.into_iter().map(|row| ((row.conversation, row.seq), row)));
        let rows = lookups::find_marks(tx, &marks).await?;
        found.marks.extend(rows.into_iter().map(|row| ((row.conversation, [row.target, row.mark, row.person]), row.value)));
        found.events = target::find_events(tx, &events).await?;
        found.texts = target::find_newest_texts(tx, &texts).await?;
        Ok(found)
    }

    /// The marks that a post's kind asks to be judged by, as they stand.
    fn marks_for(&self, post: &Submission, target: EventKey) -> Vec<Mark> {
        let standing = |(mark, person): (MarkKind, u32)| {
            let value = self.marks.get(&mark_key(target, mark, person))?.clone();
            Some(Mark { mark, person, value })
        };
        post.kind().needs_marks(post.author).into_iter().filter_map(standing).collect()
    }
}

/// A batch as it will be written: pure but for the last step.
struct Draft {
    now_ms: i64,
    heads: HashMap<Uuid, HeadRow>,
    standing: HashMap<Key, StandingRow>,
    found: Found,
    rows: Vec<NewRow>,
    events: BTreeMap<Uuid, Vec<Event>>,
    spoke: BTreeMap<(Uuid, i64), (i64, i64)>,
    changed_targets: BTreeSet<EventKey>,
    marks: BTreeMap<MarkKey, NewMark>,
}

impl Draft {
    fn new(heads: Vec<HeadRow>, now_ms: i64, standing: HashMap<Key, StandingRow>, found: Found) -> Self {
        Self {
            now_ms,
            heads: heads.into_iter().map(|head| (head.conversation, head)).collect(),
            standing,
            found,
            rows: Vec::new(),
            events: BTreeMap::new(),
            spoke: BTreeMap::new(),
            changed_targets: BTreeSet::new(),
            marks: BTreeMap::new(),
        }
    }

    /// The answer of a post that stands already; `None`: it does not.
    fn find_answer(&self, post: &Submission) -> Option<Verdict> {
        let head = self.heads.get(&post.conversation)?;
        let standing = self.standing.get(&key_of(post))?;
        Some(if standing.digest == post.digest() {
            Ok(receipt(head, post.client_id, standing.seq, standing.mseq, standing.time_ms))
        } else {
            Err(Refusal::of(RefusalCode::Conflict).field("client_id"))
        })
    }

    fn append(&mut self, judge: &dyn Judge, card: u32, post: &Submission) -> Verdict {
        let Some(mut head) = self.heads.get(&post.conversation).copied() else {
            return Err(Refusal::of(RefusalCode::NotFound).field("conversation"));
        };
        // Sent again: the first receipt again, whatever has become of the conversation since.
        if let Some(first) = self.find_answer(post) {
            return first;
        }
        let target = self.judge(judge, &head, post)?;
        let (kind, leaves) = self.apply(post, target);
        let known = kinds::as_kind(&kind);
        let time_ms = self.now_ms.max(head.time_ms);
        head.seq += 1;
        head.mseq += i64::from(known.makes_unread());
        head.comments += known.comments_delta();
        head.time_ms = time_ms;
        let author = i64::from(post.author);
        if known.counts_as_speaking() {
            let before = self.found.spoke.entry((post.conversation, author)).or_default();
            *before = (time_ms, before.1 + 1);
            let spoke = self.spoke.entry((post.conversation, author)).or_default();
            *spoke = (time_ms, spoke.1 + 1);
        }
        let digest = post.digest();
        let standing = StandingRow {
            conversation: post.conversation,
            author,
            client_id: post.client_id,
            seq: head.seq,
            mseq: head.mseq,
            time_ms,
            digest: digest.clone(),
        };
        self.standing.insert(key_of(post), standing);
        if let Some(leaves) = &leaves {
            self.set_mark(post, head.seq, leaves);
        }
        self.push(&head, By { author: post.author, card }, Some((post.client_id, digest)), kind, leaves);
        self.heads.insert(post.conversation, head);
        Ok(receipt(&head, post.client_id, head.seq, head.mseq, time_ms))
    }

    /// Judges a post by the rules and by its target; gives the target's row.
    fn judge(&self, judge: &dyn Judge, head: &HeadRow, post: &Submission) -> Result<Option<TargetRow>, Refusal> {
        let kind = post.kind();
        let row = post.target().and_then(|target| self.found.targets.get(&target).copied());
        let allowed = judge.judge(&Judged {
            conversation: post.conversation,
            author: post.author,
            needs: kind.needs(),
            target_author: row.map(|row| row.author as u32),
            spoke: self.found.spoke.get(&(post.conversation, i64::from(post.author))).copied(),
            now_ms: self.now_ms,
        });
        // Whoever may not watch learns nothing of what stands here; the others learn that before anything else.
        if let Err(refusal) = &allowed
            && refusal.code() == RefusalCode::NotFound
        {
            return Err(refusal.clone());
        }
        kind.judge_target(row.map(|row| to_target(&row)).as_ref())?;
        if kind.refers_to().is_some_and(|seq| seq > head.seq as u64) {
            return Err(Refusal::of(RefusalCode::NotFound).field("reply_to"));
        }
        allowed?;
        if let Some(target) = post.target() {
            kind.judge(self.found.events.get(&target), &self.found.marks_for(post, target))?;
        }
        Ok(row)
    }

    /// The event that a post becomes, with the mark it leaves; its target is changed.
    fn apply(&mut self, post: &Submission, target: Option<TargetRow>) -> (Kind, Option<MarkSet>) {
        let mut content = post.content.clone();
        let Some(mut row) = target else { return (kinds::event_kind(content), None) };
        let key = (row.conversation, row.seq);
        let posted = kinds::as_posted_mut(&mut content);
        let mut state = to_target(&row);
        posted.apply(&mut state, self.found.texts.get(&key).cloned());
        if state != to_target(&row) {
            (row.version, row.gone) = (i64::from(state.version), state.gone.code());
            self.found.targets.insert(key, row);
            self.changed_targets.insert(key);
        }
        let leaves = posted.mark(post.author).map(|mark| {
            let standing = self.found.marks.get(&mark_key(key, mark.mark, mark.person));
            sequence::mark_set(row.seq as u64, &mark, standing.map(String::as_str))
        });
        let kind = kinds::event_kind(content);
        // A text that comes with this very batch is the newest one for what follows in it.
        if let Some(kinds::Rewrite::Text { version, text }) = kinds::as_kind(&kind).rewrite()
            && let Some(newest) = self.found.texts.get_mut(&key)
        {
            *newest = NewestText { text: text.to_owned(), version };
        }
        (kind, leaves)
    }

    fn set_mark(&mut self, post: &Submission, seq: i64, set: &MarkSet) {
        let person = post.kind().mark(post.author).map_or(0, |mark| mark.person);
        let key = (post.conversation, [set.target as i64, set.mark.into(), person.into()]);
        self.found.marks.insert(key, set.value.clone());
        let (conversation, [target, mark, person]) = key;
        self.marks.insert(key, NewMark { conversation, target, mark, person, value: set.value.clone(), seq });
    }

    fn push(&mut self, head: &HeadRow, by: By, client: Option<(Uuid, Vec<u8>)>, kind: Kind, leaves: Option<MarkSet>) {
        let (event, row) = make_event(head, by, client, kind, leaves);
        self.rows.push(row);
        self.events.entry(head.conversation).or_default().push(event);
    }

    async fn insert(mut self, tx: &mut Tx<'_>) -> Result<Vec<Appended>, Fault> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        // Side by side in the tables and their indexes, so that each page is looked for once.
        self.rows.sort_unstable_by_key(|row| (row.conversation, row.seq));
        rows::insert_events(tx, &self.rows).await?;
        let spoke: Vec<_> = self.spoke.iter().map(|((conversation, person), (at, posts))| (*conversation, *person, *at, *posts)).collect();
        if !spoke.is_empty() {
            for (conversation, _) in rows::upsert_speakers(tx, &spoke).await? {
                self.heads.entry(conversation).and_modify(|head| head.spoke += 1);
            }
        }
        let changed: Vec<HeadRow> = self.events.keys().filter_map(|conversation| self.heads.get(conversation).copied()).collect();
        rows::update_heads(tx, &changed, self.now_ms).await?;
        let targets: Vec<_> = self.changed_targets.iter().filter_map(|key| self.found.targets.get(key).copied()).collect();
        rows::update_targets(tx, &targets).await?;
        if !self.marks.is_empty() {
            rows::upsert_marks(tx, &self.marks.into_values().collect::<Vec<_>>()).await?;
        }
        Ok(changed.into_iter().zip(self.events.into_values()).map(|(head, events)| Appended { head, events }).collect())
    }
}

/// Makes a change of rules or people with its events, under the head's lock. `None`: there is no such conversation.
///
/// # Errors
/// What the change says, or a fault.
pub async fn change(
    tx: &mut Tx<'_>,
    find_card: impl Fn(u32) -> u32,
    conversation: Uuid,
    change: &mut dyn Change,
) -> Result<Option<Appended>, Error> {
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
        head.mseq += i64::from(kinds::as_kind(&kind).makes_unread());
        head.time_ms = head.time_ms.max(now_ms);
        let (event, row) = make_event(&head, By { author, card: find_card(author) }, None, kind, None);
        rows.push(row);
        events.push(event);
    }
    if !rows.is_empty() {
        rows::insert_events(tx, &rows).await?;
    }
    if moves_gate || !rows.is_empty() {
        rows::update_heads(tx, &[head], now_ms).await?;
    }
    Ok(Some(Appended { head, events }))
}

/// Who appends an event, and the card that they are shown by.
#[derive(Clone, Copy)]
struct By {
    author: u32,
    card: u32,
}

/// The event at the head's position, and the row that it is stored in.
fn make_event(
    head: &HeadRow,
    By { author, card }: By,
    client: Option<(Uuid, Vec<u8>)>,
    kind: Kind,
    leaves: Option<MarkSet>,
) -> (Event, NewRow) {
    let (client_id, digest) = client.unzip();
    let known = kinds::as_kind(&kind);
    let (code, target) = (known.code(), known.target().map(|target| target as i64));
    let (seq, mseq) = (head.seq as u64, head.mseq as u64);
    let event = Event { seq, mseq, time_ms: head.time_ms, author, marks: None, leaves, card, kind: Some(kind) };
    let row = NewRow {
        conversation: head.conversation,
        seq: head.seq,
        mseq: head.mseq,
        time_ms: head.time_ms,
        author: author.into(),
        client_id,
        digest,
        kind: code,
        target,
        body: encode_body(&event),
    };
    (event, row)
}

fn to_target(row: &TargetRow) -> Target {
    Target { kind: row.kind, version: row.version as u32, gone: Gone::from_code(row.gone) }
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
