//! Group commit: whatever came while the last transaction was being synced goes into the next one.

use std::{sync::Arc, time::Duration};

use proto::v1::{Refusal, RefusalCode};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    LogOptions,
    append::{self, FindStanding, Verdict},
    entry::{Gatekeeper, Submission},
    relay::Relay,
};
use crate::{
    fault::Fault,
    store::{Database, Own, Store},
    tasks::Tasks,
};

/// SQLite's log is folded into its file after so many posts, as soon as nobody waits: for a few milliseconds often, and not once
/// a second so long that it would be felt. While batches are full it is folded beside the writer, and less often
/// (`Store::fold_logs`).
const FOLD_POSTS: usize = 512;

/// One lane's transactions that are given up one after another are given so many times `silence_ms` at most.
const MOST_SILENCES: u32 = 16;

/// Who waits for a post's transaction, and since when.
struct Asker {
    since: Instant,
    answer: oneshot::Sender<Verdict>,
}

/// A post that waits for its transaction.
type Waiting = (Submission, Asker);

/// Posts of one transaction beside those who wait for them: however often it is tried, no post is copied.
#[derive(Default)]
struct Batch {
    posts: Vec<Submission>,
    askers: Vec<Asker>,
}

impl Batch {
    fn push(&mut self, (post, asker): Waiting) {
        self.posts.push(post);
        self.askers.push(asker);
    }

    /// Keeps the first `at`, gives the rest.
    fn split_off(&mut self, at: usize) -> Self {
        Self { posts: self.posts.split_off(at), askers: self.askers.split_off(at) }
    }

    /// Refuses those who have waited too long; `true`: somebody is left.
    fn refuse_late(&mut self, patience: Duration) -> bool {
        let mut rest = Self::default();
        for (post, asker) in std::mem::take(&mut self.posts).into_iter().zip(std::mem::take(&mut self.askers)) {
            if asker.since.elapsed() > patience {
                asker.send(Err(Refusal::of(RefusalCode::Unavailable)));
            } else {
                rest.push((post, asker));
            }
        }
        *self = rest;
        !self.posts.is_empty()
    }
}

impl Asker {
    fn send(self, verdict: Verdict) {
        // Whoever asked may be gone; what was written stays.
        let _ = self.answer.send(verdict);
    }
}

/// The batcher's front. Cheap to clone.
#[derive(Clone)]
pub struct Batcher {
    lanes: Arc<[mpsc::Sender<Waiting>]>,
}

struct Lane {
    store: Store,
    /// Kept from one transaction to the next, until it breaks or is old.
    own: Option<Own>,
    /// A transaction that is not answered for so long is given up, with its connection.
    silence: Duration,
    gatekeeper: Arc<dyn Gatekeeper>,
    relay: Relay,
    options: LogOptions,
}

impl Batcher {
    /// Starts its lanes. After `stop`, what was taken is still written; then they end.
    #[must_use]
    pub fn start(store: &Store, gatekeeper: &Arc<dyn Gatekeeper>, relay: &Relay, options: &LogOptions, tasks: &Tasks) -> Self {
        let count = match store.database() {
            Database::Sqlite { .. } => 1,
            Database::Postgres(_) => options.lanes.max(1),
        };
        let lanes = (0..count).map(|_| {
            let (send, receive) = mpsc::channel(options.waiting_posts);
            let lane = Lane {
                store: store.clone(),
                own: None,
                silence: options.silence(),
                gatekeeper: gatekeeper.clone(),
                relay: relay.clone(),
                options: options.clone(),
            };
            tasks.spawn("a lane of posts", |stop| lane.run(receive, stop));
            send
        });
        Self { lanes: lanes.collect() }
    }

    /// Appends posts; each has its own verdict, in the order given. A receipt means: it is on the disk.
    pub async fn submit(&self, posts: Vec<Submission>) -> Vec<Verdict> {
        let since = Instant::now();
        let answers: Vec<_> = posts
            .into_iter()
            .map(|post| {
                let lane = &self.lanes[post.conversation.as_u128() as usize % self.lanes.len()];
                let (answer, answered) = oneshot::channel();
                match lane.try_send((post, Asker { since, answer })) {
                    Ok(()) => Ok(answered),
                    Err(mpsc::error::TrySendError::Full(_)) => Err(Refusal::of(RefusalCode::Overloaded)),
                    Err(mpsc::error::TrySendError::Closed(_)) => Err(Refusal::of(RefusalCode::Draining)),
                }
            })
            .collect();
        let mut verdicts = Vec::with_capacity(answers.len());
        for answer in answers {
            verdicts.push(match answer {
                Ok(answered) => answered.await.unwrap_or_else(|_| Err(Refusal::of(RefusalCode::Unavailable))),
                Err(refusal) => Err(refusal),
            });
        }
        verdicts
    }
}

impl Lane {
    async fn run(mut self, mut posts: mpsc::Receiver<Waiting>, stop: CancellationToken) {
        let mut unfolded = 0;
        loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    // What was taken is written still; nothing more is taken.
                    posts.close();
                    posts.recv().await
                }
                first = posts.recv() => first,
            };
            let Some(first) = first else { return };
            let mut bytes = first.0.weight();
            let mut batch = Batch::default();
            batch.push(first);
            while batch.posts.len() < self.options.batch_posts && bytes < self.options.batch_bytes {
                let Ok(next) = posts.try_recv() else { break };
                bytes += next.0.weight();
                batch.push(next);
            }
            metrics::histogram!("yitang_chat_core_batch_posts").record(batch.posts.len() as f64);
            let started = Instant::now();
            unfolded += batch.posts.len();
            let full = batch.posts.len() >= self.options.batch_posts;
            self.write(batch).await;
            metrics::histogram!("yitang_chat_core_batch_seconds").record(started.elapsed());
            if unfolded >= FOLD_POSTS && !full && posts.is_empty() {
                unfolded = 0;
                self.store.fold_log().await;
            }
        }
    }

    /// Writes a batch, however long the database is away within the posts' patience; one that fails for another reason is
    /// halved until the row that is to blame stands alone.
    async fn write(&mut self, batch: Batch) {
        let patience = Duration::from_millis(self.options.post_timeout_ms);
        let mut todo = vec![batch];
        while let Some(mut batch) = todo.pop() {
            let mut pause = Duration::from_millis(20);
            loop {
                match self.try_write(&batch.posts).await {
                    Ok(verdicts) => {
                        batch.askers.into_iter().zip(verdicts).for_each(|(asker, verdict)| asker.send(verdict));
                        break;
                    }
                    Err(fault) if fault.is_passing() => {
                        // Whether a broken commit took effect is not known here. Writing the same again finds out: what
                        // stands under its client_id is answered with its first receipt.
                        tracing::warn!(%fault, posts = batch.posts.len(), "a batch was not written; trying again");
                        metrics::counter!("yitang_chat_core_batches_retried_total").increment(1);
                        if !batch.refuse_late(patience) {
                            break;
                        }
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_millis(250));
                    }
                    Err(fault) if batch.posts.len() == 1 => {
                        let refusal = fault.refuse("appending a post");
                        batch.askers.into_iter().for_each(|asker| asker.send(Err(refusal.clone())));
                        break;
                    }
                    Err(fault) => {
                        tracing::warn!(%fault, posts = batch.posts.len(), "a batch failed; halving it");
                        let second = batch.split_off(batch.posts.len() / 2);
                        todo.push(second);
                        todo.push(batch);
                        break;
                    }
                }
            }
        }
    }

    async fn try_write(&mut self, posts: &[Submission]) -> Result<Vec<Verdict>, Fault> {
        match self.try_write_once(posts, FindStanding::Last).await {
            Err(fault) if fault.stands_already() => {
                metrics::counter!("yitang_chat_core_batches_sent_again_total").increment(1);
                self.try_write_once(posts, FindStanding::First).await
            }
            written => written,
        }
    }

    async fn try_write_once(&mut self, posts: &[Submission], find: FindStanding) -> Result<Vec<Verdict>, Fault> {
        let own = match self.own.take() {
            Some(own) if !own.is_old() => own,
            // What is old serves still, where nothing new is to be had.
            kept => match (self.store.own().await, kept) {
                (Ok(new), _) => new,
                (Err(_), Some(old)) => old,
                (Err(fault), None) => return Err(fault),
            },
        };
        let attempt = self.append(own, posts, find);
        let Database::Postgres(_) = self.store.database() else {
            let (own, written) = attempt.await;
            self.own = own;
            return written;
        };
        // A network that has gone away says nothing.
        match timeout(self.silence, attempt).await {
            Ok((own, written)) => {
                self.own = own;
                self.silence = self.options.silence();
                written
            }
            Err(elapsed) => {
                // Ever more patiently: each connection given up may leave a process at the database that waits for its disk still.
                self.silence = (self.silence * 2).min(self.options.silence() * MOST_SILENCES);
                Err(sqlx::Error::Io(elapsed.into()).into())
            }
        }
    }

    /// One transaction; gives the connection back where it can be used again.
    async fn append(&self, mut own: Own, posts: &[Submission], find: FindStanding) -> (Option<Own>, Result<Vec<Verdict>, Fault>) {
        let tried = async {
            let mut tx = own.begin().await.map_err(|fault| (false, fault))?;
            let written = append::append(&mut tx, &*self.gatekeeper, posts, find).await;
            // Ended here and now either way: dropped, it would hold its locks until this connection is used again.
            let ended = match &written {
                Ok(written) if written.wrote() => tx.commit().await,
                _ => tx.rollback().await,
            };
            match (written, ended) {
                (Ok(written), Ok(())) => Ok(written),
                // A standby is a standby for as long as the connection lasts.
                (Err(fault), ended) => Err((ended.is_ok() && !fault.is_read_only(), fault)),
                (Ok(_), Err(fault)) => Err((false, fault)),
            }
        };
        match tried.await {
            Ok(written) => {
                written.appended.into_iter().for_each(|appended| self.relay.announce(appended));
                (Some(own), Ok(written.verdicts))
            }
            Err((good, fault)) => (good.then_some(own), Err(fault)),
        }
    }
}
