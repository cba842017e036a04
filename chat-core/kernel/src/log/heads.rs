//! Which heads moved lately: one query for however many gateways ask.

use std::{sync::Arc, time::Duration};

use sqlx::FromRow;
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

use super::{LogOptions, entry::HeadRow, rows::HEAD};
use crate::{fault::Fault, fetch_all, fetch_among, store::Store};

#[derive(Clone, Copy, FromRow)]
struct ChangedRow {
    #[sqlx(flatten)]
    head: HeadRow,
    partition: i64,
    changed_ms: i64,
}

struct Recent {
    /// Everything that changed at or after this.
    since_ms: i64,
    as_of_ms: i64,
    read: Instant,
    rows: Arc<Vec<ChangedRow>>,
}

/// Answers about heads.
pub struct Heads {
    store: Store,
    cache: Duration,
    overlap_ms: i64,
    recent: Mutex<Option<Recent>>,
}

impl Heads {
    /// With an empty cache.
    #[must_use]
    pub fn new(store: Store, options: &LogOptions) -> Self {
        Self { store, cache: Duration::from_millis(options.heads_cache_ms), overlap_ms: options.heads_overlap_ms, recent: Mutex::new(None) }
    }

    /// Heads that moved at or after `since_ms`, and those that moved shortly before (commits may become visible late);
    /// with the time to ask from next. `partitions`: only of these; empty: all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_since(&self, since_ms: i64, partitions: &[u32]) -> Result<(Vec<HeadRow>, i64), Fault> {
        let from_ms = since_ms - self.overlap_ms;
        // Whoever comes while a query is under way waits here and takes its answer.
        let mut recent = self.recent.lock().await;
        let fresh = recent.as_ref().filter(|recent| recent.since_ms <= from_ms && recent.read.elapsed() < self.cache);
        let (rows, as_of_ms) = match fresh {
            Some(fresh) => (fresh.rows.clone(), fresh.as_of_ms),
            None => {
                let as_of_ms = self.store.now_ms().await?;
                // Room for askers who are a little behind this one.
                let since_ms = from_ms.min(as_of_ms - 2 * self.overlap_ms);
                let rows = fetch_all!(
                    self.store,
                    ChangedRow,
                    "SELECT conversation, epoch, kind, seq, mseq, gate, time_ms, spoke, comments, partition, changed_ms \
                     FROM heads WHERE changed_ms >= $1",
                    since_ms
                )?;
                let rows = Arc::new(rows);
                *recent = Some(Recent { since_ms, as_of_ms, read: Instant::now(), rows: rows.clone() });
                (rows, as_of_ms)
            }
        };
        drop(recent);
        let wanted =
            |row: &&ChangedRow| row.changed_ms >= from_ms && (partitions.is_empty() || partitions.contains(&(row.partition as u32)));
        Ok((rows.iter().filter(wanted).map(|row| row.head).collect(), as_of_ms))
    }

    /// The heads of these conversations; unknown ones are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, conversations: &[Uuid]) -> Result<Vec<HeadRow>, Fault> {
        Ok(fetch_among!(self.store, HeadRow, format!("SELECT {HEAD} FROM heads WHERE conversation"), conversations, "")?)
    }
}
