//! Consultations as somebody may see them: one, and their list.

use kernel::{
    Context, Error,
    accounts::Caller,
    log::HeadRow,
    rights::{Asker, Rules},
};
use proto::v1::{Consultation, ListConsultationsRequest, ListConsultationsResponse, Refusal, RefusalCode};
use uuid::Uuid;

use crate::rows::{self, ConsultationRow};

/// Rows read for one page at most: most are not for this person in a large body.
const ROWS_READ: i64 = 2_000;
/// Rows read at once.
const ROWS_AT_ONCE: i64 = 200;

/// Those that the caller may watch or manage.
///
/// # Errors
/// INVALID (the cursor); a fault.
pub async fn list(context: &Context, caller: &Caller, asked: &ListConsultationsRequest) -> Result<ListConsultationsResponse, Error> {
    let limit = if asked.limit == 0 { 50 } else { asked.limit.min(200) } as usize;
    let mut offset: i64 = if asked.cursor.is_empty() {
        0
    } else {
        asked
            .cursor
            .parse()
            .ok()
            .filter(|offset| (0..10_000_000).contains(offset))
            .ok_or_else(|| Refusal::of(RefusalCode::Invalid).field("cursor"))?
    };
    let last = offset + ROWS_READ;
    let mut consultations = Vec::new();
    loop {
        let page = rows::list_consultations(&context.store, ROWS_AT_ONCE, offset).await?;
        let ids: Vec<Uuid> = page.iter().map(|row| row.id).collect();
        let heads = context.log.heads(&ids).await?;
        let keys: Vec<_> = ids.iter().map(|id| (*id, caller.person.id)).collect();
        let marks = context.conversations.find_read(&keys).await?;
        let directory = context.directory.snapshot();
        let asker = Asker { directory: &directory, person: &caller.person, now_ms: context.clock.now_ms() };
        for row in &page {
            offset += 1;
            let Some(head) = heads.iter().find(|head| head.conversation == row.id) else { continue };
            let rules = context.rights.rules(head).await?;
            if rules.may_watch(asker).is_err() || asked.managed && rules.may_manage(asker).is_err() {
                continue;
            }
            if !asked.states.is_empty() && !asked.states.contains(&(row.state() as i32)) {
                continue;
            }
            let read = marks.get(&(row.id, caller.person.id)).copied().unwrap_or(0);
            consultations.push(show(row, head, read, &rules, asker)?);
            if consultations.len() >= limit {
                return Ok(ListConsultationsResponse { consultations, next: offset.to_string() });
            }
        }
        if page.len() < ROWS_AT_ONCE as usize {
            return Ok(ListConsultationsResponse { consultations, next: String::new() });
        }
        if offset >= last {
            return Ok(ListConsultationsResponse { consultations, next: offset.to_string() });
        }
    }
}

/// As this person sees it.
///
/// # Errors
/// NOT_FOUND; a fault.
pub async fn find(context: &Context, caller: &Caller, id: &str) -> Result<Consultation, Error> {
    let seen = context.see(caller, id).await?;
    let row = rows::find_consultation(&context.store, seen.head.conversation).await?.ok_or(RefusalCode::NotFound)?;
    let key = (seen.head.conversation, caller.person.id);
    let read = context.conversations.find_read(&[key]).await?.get(&key).copied().unwrap_or(0);
    show(&row, &seen.head, read, &seen.rules, seen.asker())
}

/// What is the same for everybody.
pub fn show_public(row: &ConsultationRow, head: &HeadRow) -> Consultation {
    Consultation {
        id: row.id.to_string(),
        organisation: row.organisation as u32,
        title: row.title.clone(),
        description: row.description.clone(),
        state: row.state().into(),
        opens_ms: row.opens_ms,
        closes_ms: row.closes_ms,
        slow_mode_s: row.slow_mode_s as u32,
        version: row.version as u32,
        comments: head.comments.max(0) as u64,
        people_spoke: head.spoke as u32,
        head_mseq: head.mseq as u64,
        called_ms: row.called_ms,
        ..Consultation::default()
    }
}

pub fn show(row: &ConsultationRow, head: &HeadRow, read_mseq: i64, rules: &Rules, asker: Asker<'_>) -> Result<Consultation, Error> {
    let post = rules.may_post(asker);
    let (watch, post_audience, moderate) = row.audiences()?;
    let may_manage = rules.may_manage(asker).is_ok();
    Ok(Consultation {
        watch: Some(watch),
        post: Some(post_audience),
        moderators: moderate.people,
        created_by: row.created_by as u32,
        may_post: post.is_ok(),
        post_refusal: post.err(),
        may_moderate: rules.may_moderate(asker).is_ok(),
        may_manage,
        read_mseq: read_mseq as u64,
        ..show_public(row, head)
    })
}
