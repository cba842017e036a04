//! The log: every conversation is one append-only, gap-free, numbered list of events. It commits, then announces.

mod append;
mod batcher;
mod entry;
mod heads;
mod lookups;
mod options;
mod page;
mod relay;
mod rows;
mod target;
mod watchers;

use std::{sync::Arc, time::Duration};

use backbone::Backbone;
use futures::Stream;
use proto::v1::{ConversationKind, Event, MarkKind, Page, PageRequest, Receipt, Refusal, RefusalCode, event::Kind};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use append::{Appended, Verdict};
pub use entry::{CONTROL, CONTROL_KIND, Change, Effect, EventRow, Gatekeeper, HeadRow, Judge, Judged, Submission};
pub use options::LogOptions;
pub use rows::lock_heads;

use self::{batcher::Batcher, heads::Heads, relay::Relay, watchers::Watchers};
use crate::{
    execute,
    fault::{Error, Fault},
    fetch_among, fetch_optional,
    store::{Store, Tx},
    tasks::Tasks,
};

/// The log of all conversations. Shared as `Arc<Log>`.
pub struct Log {
    store: Store,
    gatekeeper: Arc<dyn Gatekeeper>,
    batcher: Batcher,
    relay: Relay,
    heads: Heads,
    watchers: Watchers,
    options: LogOptions,
    stop: CancellationToken,
}

impl Log {
    /// Starts the batcher's lanes and the relay. They end after `stop`, when all that was taken is written.
    #[must_use]
    pub fn start(
        store: &Store,
        gatekeeper: &Arc<dyn Gatekeeper>,
        backbone: &Arc<dyn Backbone>,
        options: &LogOptions,
        tasks: &Tasks,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let watchers = Watchers::start(backbone, tasks);
        let relay = Relay::start(backbone.clone(), watchers.clone(), options.relay_bytes, tasks);
        Arc::new(Self {
            batcher: Batcher::start(store, gatekeeper, &relay, options, tasks),
            heads: Heads::new(store.clone(), options),
            store: store.clone(),
            gatekeeper: gatekeeper.clone(),
            relay,
            watchers,
            options: options.clone(),
            stop: stop.clone(),
        })
    }

    /// Appends posts; each has its own verdict, in the order given. A receipt means: it is on the disk.
    pub async fn submit(&self, posts: Vec<Submission>) -> Vec<Verdict> {
        self.batcher.submit(posts).await
    }

    /// Appends one post.
    ///
    /// # Errors
    /// The refusal that its author is told.
    pub async fn append(&self, post: Submission) -> Result<Receipt, Refusal> {
        let mut verdicts = self.submit(vec![post]).await;
        verdicts.pop().unwrap_or_else(|| Err(Refusal::of(RefusalCode::Internal)))
    }

    /// Changes a conversation's rules or people, with its events, in one transaction under the head's lock.
    ///
    /// # Errors
    /// NOT_FOUND, or what the change says.
    pub async fn commit(&self, conversation: Uuid, change: &mut dyn Change) -> Result<HeadRow, Error> {
        let mut tx = self.store.begin().await?;
        let Some(appended) = append::change(&mut tx, |person| self.gatekeeper.find_card(person), conversation, change).await? else {
            return Err(RefusalCode::NotFound.into());
        };
        tx.commit().await?;
        let head = appended.head;
        self.relay.announce(appended);
        Ok(head)
    }

    /// A new conversation's head, inside the transaction that makes the conversation; its first event says what it is.
    /// After the commit, call [`Log::announce`].
    ///
    /// # Errors
    /// When there is one already, or the database fails.
    pub async fn create(tx: &mut Tx<'_>, conversation: Uuid, kind: ConversationKind, author: u32, first: Kind) -> Result<Appended, Error> {
        create_head(tx, conversation, kind as i64).await?;
        let mut first = First { author, kind: Some(first) };
        append::change(tx, |_| 0, conversation, &mut first).await?.ok_or_else(|| Fault::Corrupt("a head just made is gone".into()).into())
    }

    /// Announces what [`Log::create`] made, or what a transaction of the caller's own appended.
    pub fn announce(&self, appended: Appended) {
        self.relay.announce(appended);
    }

    /// A page of history, as later events left it.
    ///
    /// # Errors
    /// NOT_FOUND, EPOCH_CHANGED, POSITION_BEYOND_HEAD, MALFORMED; a fault.
    pub async fn page(&self, conversation: Uuid, ask: &PageRequest, read_mseq: u64) -> Result<Page, Error> {
        page::read_page(&self.store, conversation, ask, read_mseq as i64).await
    }

    /// Acts of those who run a conversation with a seq below `before`, the newest first: without the texts that they gave back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_acts(&self, conversation: Uuid, before: i64, limit: i64) -> Result<Vec<Event>, Fault> {
        page::list_acts(&self.store, conversation, before, limit).await
    }

    /// The value of a person's mark on an event (`person` 0: of the one that is nobody's).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_mark(&self, conversation: Uuid, target: u64, mark: MarkKind, person: u32) -> Result<Option<String>, Fault> {
        let row = fetch_optional!(
            self.store,
            (String,),
            "SELECT value FROM marks WHERE conversation = $1 AND target = $2 AND mark = $3 AND person = $4",
            conversation,
            target as i64,
            i64::from(mark as i32),
            i64::from(person)
        )?;
        Ok(row.map(|row| row.0))
    }

    /// Which of these people have spoken in a conversation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_speakers(&self, conversation: Uuid, people: &[u32]) -> Result<Vec<u32>, Fault> {
        const SPEAKERS: &str = "SELECT person FROM speakers WHERE conversation = $1 AND person";
        let people: Vec<i64> = people.iter().map(|person| i64::from(*person)).collect();
        let rows = fetch_among!(self.store, (i64,), SPEAKERS, people, "", conversation)?;
        Ok(rows.into_iter().map(|row| row.0 as u32).collect())
    }

    /// A conversation's head.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn head(&self, conversation: Uuid) -> Result<Option<HeadRow>, Fault> {
        page::find_head(&self.store, conversation).await
    }

    /// Several heads; unknown ones are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heads(&self, conversations: &[Uuid]) -> Result<Vec<HeadRow>, Fault> {
        self.heads.find(conversations).await
    }

    /// Heads that moved since a time, and the time to ask from next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heads_since(&self, since_ms: i64, partitions: &[u32]) -> Result<(Vec<HeadRow>, i64), Fault> {
        self.heads.list_since(since_ms, partitions).await
    }

    /// Every event after `after`: first what is there, then live, without a seam. A hint of the backbone only wakes the
    /// stream, the store tells what is new; so nothing is missed while the backbone is away.
    pub fn follow(self: &Arc<Self>, conversation: Uuid, after: u64) -> impl Stream<Item = Result<Vec<Event>, Fault>> + Send + use<> {
        let poll = Duration::from_millis(self.options.follow_poll_ms);
        let watch = self.watchers.watch(conversation);
        let state = (self.clone(), watch, after as i64);
        futures::stream::unfold(state, move |(log, watch, after)| async move {
            loop {
                let news = watch.news();
                match page::read_stretch(&log.store, conversation, after, i64::MAX, i64::from(proto::limits::PAGE_EVENTS)).await {
                    Ok(events) if events.is_empty() => {}
                    Ok(events) => {
                        let last = events.last().map_or(after, |event| event.seq as i64);
                        return Some((Ok(events), (log, watch, last)));
                    }
                    // Away for a moment: it is looked again. Otherwise whoever follows is told.
                    Err(fault) if fault.is_passing() => tracing::debug!(%fault, "a stream waits for the database"),
                    Err(fault) => return Some((Err(fault), (log, watch, after))),
                }
                tokio::select! {
                    () = news => {}
                    () = tokio::time::sleep(poll) => {}
                    () = log.stop.cancelled() => return None,
                }
            }
        })
    }

    /// Gives every log a new incarnation: after a restore from a backup, positions of before mean nothing any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn new_epochs(store: &Store) -> Result<u64, Fault> {
        let mut tx = store.begin().await?;
        // Each log gets its own, and never the one it had: readers only compare for equality.
        let base = i64::from(new_epoch());
        let changed =
            execute!(tx, "UPDATE heads SET epoch = 1 + (epoch + $1 + 4294967293) % 4294967294, gate = gate + 1", base % 4_294_967_292 + 1)?;
        tx.commit().await?;
        Ok(changed)
    }
}

/// The event that a new conversation begins with.
struct First {
    author: u32,
    kind: Option<Kind>,
}

#[async_trait::async_trait]
impl Change for First {
    async fn apply(&mut self, _: &mut Tx<'_>, _: &HeadRow, _: i64) -> Result<Effect, Error> {
        Ok(Effect { events: self.kind.take().map(|kind| (self.author, kind)).into_iter().collect(), moves_gate: false })
    }
}

/// Makes an empty log.
///
/// # Errors
/// When there is one already, or the database fails.
pub async fn create_head(tx: &mut Tx<'_>, conversation: Uuid, kind: i64) -> Result<(), Fault> {
    execute!(
        tx,
        "INSERT INTO heads (conversation, epoch, kind, partition) VALUES ($1, $2, $3, $4)",
        conversation,
        i64::from(new_epoch()),
        kind,
        i64::from(proto::partition_of_conversation(conversation))
    )?;
    Ok(())
}

/// A random incarnation: never 0, which means "none known".
fn new_epoch() -> u32 {
    rand::random_range(1..u32::MAX)
}
