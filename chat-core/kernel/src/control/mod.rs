//! The control log: people, rights and sessions. It is a log as any other, under a reserved id; gateways follow it from
//! chat-core and not from the backbone, so that ending a session works while the backbone is away.

mod record;

use std::{sync::Arc, time::Duration};

use futures::Stream;
use prost::Message as _;
use proto::internal::v1::{Concern, ControlBatch, ControlEvent};
use sqlx::FromRow;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    execute,
    fault::Fault,
    fetch_all, fetch_optional,
    log::{CONTROL_KIND, create_head, lock_heads},
    store::{Store, Tx},
};

pub use record::Record;

pub use crate::log::CONTROL;

/// How often other processes' events are looked for.
const POLL: Duration = Duration::from_millis(200);
/// A follower hears at least this often that there is nothing new.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Events in one message.
const PAGE: i64 = 500;

#[derive(FromRow)]
struct ControlRow {
    seq: i64,
    time_ms: i64,
    author: i64,
    body: Vec<u8>,
}

/// The control log. Shared as `Arc<Control>`.
pub struct Control {
    store: Store,
    /// Told when this process has committed something.
    news: Arc<Notify>,
    stop: CancellationToken,
}

impl Control {
    /// Opens it, and makes it if it is not there yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(store: &Store, stop: &CancellationToken) -> Result<Arc<Self>, Fault> {
        let mut tx = store.begin().await?;
        if lock_heads(&mut tx, &[CONTROL]).await?.0.is_empty() {
            match create_head(&mut tx, CONTROL, CONTROL_KIND).await {
                Ok(()) => tx.commit().await?,
                // Another process was quicker.
                Err(fault) if fault.stands_already() => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(Arc::new(Self { store: store.clone(), news: Arc::default(), stop: stop.clone() }))
    }

    /// Writes events inside the caller's transaction, which commits them together with what they tell of. To be the last
    /// thing the transaction does: it locks the control log until the commit. Gives the position of the last one; `None`: there were
    /// none to write.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(tx: &mut Tx<'_>, by: u32, records: Vec<Record>) -> Result<Option<u64>, Fault> {
        if records.is_empty() {
            return Ok(None);
        }
        let (heads, now_ms) = lock_heads(tx, &[CONTROL]).await?;
        let head = heads.into_iter().next().ok_or_else(|| Fault::Corrupt("the control log is gone".into()))?;
        let time_ms = now_ms.max(head.time_ms);
        let mut seq = head.seq;
        for Record { concern, kind } in records {
            seq += 1;
            let body = ControlEvent { concern: Some(concern), kind: Some(kind), ..ControlEvent::default() }.encode_to_vec();
            execute!(
                tx,
                "INSERT INTO events (conversation, seq, mseq, time_ms, author, kind, body) VALUES ($1, $2, 0, $3, $4, $5, $6)",
                CONTROL,
                seq,
                time_ms,
                i64::from(by),
                CONTROL_KIND,
                body
            )?;
        }
        execute!(tx, "UPDATE heads SET seq = $2, time_ms = $3, changed_ms = $4 WHERE conversation = $1", CONTROL, seq, time_ms, now_ms)?;
        Ok(Some(seq as u64))
    }

    /// Ends a transaction: records, commits, and wakes the followers in this process. Gives the position of the last record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn commit(&self, mut tx: Tx<'_>, by: u32, records: Vec<Record>) -> Result<Option<u64>, Fault> {
        let position = Self::record(&mut tx, by, records).await?;
        tx.commit().await?;
        self.committed();
        Ok(position)
    }

    /// To be called after the commit of what `record` wrote: followers in this process look at once.
    pub fn committed(&self) {
        self.news.notify_waiters();
    }

    /// Position and epoch of the newest event.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn head(&self) -> Result<(u64, u32), Fault> {
        let head: Option<(i64, i64)> =
            fetch_optional!(self.store, (i64, i64), "SELECT seq, epoch FROM heads WHERE conversation = $1", CONTROL)?;
        let (seq, epoch) = head.ok_or_else(|| Fault::Corrupt("the control log is gone".into()))?;
        Ok((seq as u64, epoch as u32))
    }

    /// Events after a position, at most 500.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_after(&self, after: u64) -> Result<Vec<ControlEvent>, Fault> {
        let rows = fetch_all!(
            self.store,
            ControlRow,
            "SELECT seq, time_ms, author, body FROM events WHERE conversation = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            CONTROL,
            after as i64,
            PAGE
        )?;
        rows.into_iter()
            .map(|row| {
                let event = ControlEvent::decode(row.body.as_slice()).map_err(|error| Fault::Corrupt(error.to_string()))?;
                // Of before events said whom they concern: everybody is asked for again.
                let unsaid = || Concern { rights: true, lists: true, ..Concern::default() };
                let concern = event.concern.clone().unwrap_or_else(unsaid);
                Ok(ControlEvent { position: row.seq as u64, time_ms: row.time_ms, by: row.author as u32, concern: Some(concern), ..event })
            })
            .collect()
    }

    /// Everything after a position, live; a message at least every second. Ends when the process stops; goes on in
    /// silence while the database is away, so that followers notice by the silence.
    pub fn follow(self: &Arc<Self>, after: u64, epoch: u32) -> impl Stream<Item = ControlBatch> + Send + use<> {
        let state = (self.clone(), after, tokio::time::Instant::now() - HEARTBEAT);
        futures::stream::unfold(state, move |(control, after, told)| async move {
            loop {
                let news = control.news.clone().notified_owned();
                match control.list_after(after).await {
                    Ok(events) if events.is_empty() && told.elapsed() < HEARTBEAT => {}
                    Ok(events) => {
                        let position = events.last().map_or(after, |event| event.position);
                        let batch = ControlBatch { events, position, epoch };
                        return Some((batch, (control, position, tokio::time::Instant::now())));
                    }
                    Err(fault) => tracing::debug!(%fault, "the control log waits for the database"),
                }
                tokio::select! {
                    () = news => {}
                    () = tokio::time::sleep(POLL) => {}
                    () = control.stop.cancelled() => return None,
                }
            }
        })
    }
}
