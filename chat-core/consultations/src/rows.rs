//! Consultations as they are stored.

use kernel::{
    Fault, execute, fetch_all, fetch_one, fetch_optional,
    rights::decode_audience,
    store::{Store, Tx},
};
use prost::Message as _;
use proto::v1::{Audience, ConsultationBrief, ConsultationState};
use sqlx::FromRow;
use uuid::Uuid;

use crate::Draft;

/// Everything about a consultation but its log.
#[derive(Clone, Debug, FromRow)]
pub struct ConsultationRow {
    pub id: Uuid,
    pub title: String,
    pub created_by: i64,
    pub organisation: i64,
    pub description: String,
    pub state: i64,
    pub opens_ms: i64,
    pub closes_ms: i64,
    pub watch: Vec<u8>,
    pub post: Vec<u8>,
    pub moderate: Vec<u8>,
    pub slow_mode_s: i64,
    pub version: i64,
    pub called_ms: i64,
}

impl ConsultationRow {
    /// A new one: scheduled where an opening time is given, a draft where not.
    #[must_use]
    pub fn from_draft(by: u32, organisation: u32, draft: Draft) -> Self {
        let state = if draft.opens_ms == 0 { ConsultationState::Draft } else { ConsultationState::Scheduled };
        let mut row = Self {
            id: Uuid::new_v4(),
            title: String::new(),
            created_by: by.into(),
            organisation: organisation.into(),
            description: String::new(),
            state: (state as i32).into(),
            opens_ms: 0,
            closes_ms: 0,
            watch: Vec::new(),
            post: Vec::new(),
            moderate: Vec::new(),
            slow_mode_s: 0,
            version: 1,
            called_ms: 0,
        };
        row.set_draft(draft);
        row
    }

    /// Puts what staff asked for in place.
    pub fn set_draft(&mut self, draft: Draft) {
        self.title = draft.title;
        self.description = draft.description;
        self.opens_ms = draft.opens_ms;
        self.closes_ms = draft.closes_ms;
        self.watch = draft.watch.encode_to_vec();
        self.post = draft.post.encode_to_vec();
        self.moderate = draft.moderate.encode_to_vec();
        self.slow_mode_s = draft.slow_mode_s.into();
    }

    /// What a list shows of it.
    #[must_use]
    pub fn to_brief(&self) -> ConsultationBrief {
        ConsultationBrief {
            id: self.id.to_string(),
            organisation: self.organisation as u32,
            title: self.title.clone(),
            state: self.state().into(),
            opens_ms: self.opens_ms,
            closes_ms: self.closes_ms,
            version: self.version as u32,
            called_ms: self.called_ms,
        }
    }

    /// Its state; what cannot be known is a draft, which nobody sees.
    #[must_use]
    pub fn state(&self) -> ConsultationState {
        ConsultationState::try_from(self.state as i32).unwrap_or(ConsultationState::Draft)
    }

    /// Who watches, posts, moderates.
    ///
    /// # Errors
    /// When what is stored cannot be decoded.
    pub fn audiences(&self) -> Result<(Audience, Audience, Audience), Fault> {
        Ok((decode_audience(&self.watch)?, decode_audience(&self.post)?, decode_audience(&self.moderate)?))
    }
}

/// One consultation, inside a transaction.
pub async fn find_within(tx: &mut Tx<'_>, id: Uuid) -> Result<Option<ConsultationRow>, Fault> {
    Ok(fetch_optional!(
        tx,
        ConsultationRow,
        "SELECT k.id, c.title, c.created_by, k.organisation, k.description, k.state, k.opens_ms, k.closes_ms, k.watch, k.post, k.moderate, \
         k.slow_mode_s, k.version, k.called_ms FROM consultations k JOIN conversations c ON c.id = k.id WHERE k.id = $1",
        id
    )?)
}

/// One consultation.
pub async fn find_consultation(store: &Store, id: Uuid) -> Result<Option<ConsultationRow>, Fault> {
    Ok(fetch_optional!(
        store,
        ConsultationRow,
        "SELECT k.id, c.title, c.created_by, k.organisation, k.description, k.state, k.opens_ms, k.closes_ms, k.watch, k.post, k.moderate, \
         k.slow_mode_s, k.version, k.called_ms FROM consultations k JOIN conversations c ON c.id = k.id WHERE k.id = $1",
        id
    )?)
}

/// All of them: the open ones, then the coming ones by their time, then drafts, then the past, the latest first.
pub async fn list_consultations(store: &Store, limit: i64, offset: i64) -> Result<Vec<ConsultationRow>, Fault> {
    Ok(fetch_all!(
        store,
        ConsultationRow,
        "SELECT k.id, c.title, c.created_by, k.organisation, k.description, k.state, k.opens_ms, k.closes_ms, k.watch, k.post, k.moderate, \
         k.slow_mode_s, k.version, k.called_ms FROM consultations k JOIN conversations c ON c.id = k.id \
         ORDER BY CASE k.state WHEN 3 THEN 0 WHEN 4 THEN 1 WHEN 2 THEN 2 WHEN 1 THEN 3 ELSE 4 END, \
         CASE WHEN k.state = 2 THEN k.opens_ms ELSE -k.changed_ms END, k.id LIMIT $1 OFFSET $2",
        limit,
        offset
    )?)
}

/// Those that the clock may have something to say about.
pub async fn list_due(store: &Store, now_ms: i64) -> Result<Vec<Uuid>, Fault> {
    let rows = fetch_all!(
        store,
        (Uuid,),
        "SELECT id FROM consultations WHERE (state = 2 AND opens_ms <> 0 AND opens_ms <= $1) \
         OR (state IN (2, 3, 4) AND closes_ms <> 0 AND closes_ms <= $1)",
        now_ms
    )?;
    Ok(rows.into_iter().map(|row| row.0).collect())
}

pub async fn insert_consultation(tx: &mut Tx<'_>, row: &ConsultationRow, now_ms: i64) -> Result<(), Fault> {
    execute!(
        tx,
        "INSERT INTO consultations (id, organisation, description, state, opens_ms, closes_ms, watch, post, moderate, slow_mode_s, version, changed_ms, called_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        row.id,
        row.organisation,
        row.description.as_str(),
        row.state,
        row.opens_ms,
        row.closes_ms,
        row.watch.as_slice(),
        row.post.as_slice(),
        row.moderate.as_slice(),
        row.slow_mode_s,
        row.version,
        now_ms,
        row.called_ms
    )?;
    Ok(())
}

pub async fn update_consultation(tx: &mut Tx<'_>, row: &ConsultationRow, now_ms: i64) -> Result<(), Fault> {
    execute!(
        tx,
        "UPDATE consultations SET description = $2, state = $3, opens_ms = $4, closes_ms = $5, watch = $6, post = $7, moderate = $8, \
         slow_mode_s = $9, version = $10, changed_ms = $11, called_ms = $12 WHERE id = $1",
        row.id,
        row.description.as_str(),
        row.state,
        row.opens_ms,
        row.closes_ms,
        row.watch.as_slice(),
        row.post.as_slice(),
        row.moderate.as_slice(),
        row.slow_mode_s,
        row.version,
        now_ms,
        row.called_ms
    )?;
    Ok(())
}

/// Writes when all were called. Its place among the past and the open ones stays what it is.
pub async fn update_called(tx: &mut Tx<'_>, id: Uuid, called_ms: i64) -> Result<(), Fault> {
    execute!(tx, "UPDATE consultations SET called_ms = $2 WHERE id = $1", id, called_ms)?;
    Ok(())
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub async fn count_consultations(tx: &mut Tx<'_>) -> Result<i64, Fault> {
    let (count,): (i64,) = fetch_one!(tx, (i64,), "SELECT count(*) FROM consultations")?;
    Ok(count)
}
