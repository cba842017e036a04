//! A new consultation: its conversation and its row.

use kernel::{
    Error,
    conversations::{NewConversation, create_conversation},
    log::Appended,
    store::Tx,
};
use uuid::Uuid;

use crate::{
    draft::Draft,
    events::changed,
    rows::{self, ConsultationRow},
    rules::rule_set,
};

/// Writes a new consultation inside a transaction: scheduled where an opening time is given, a draft where not. After the commit,
/// what it gives is to be announced.
///
/// # Errors
/// When the client_id was used already; a fault.
pub async fn insert(tx: &mut Tx<'_>, by: u32, client_id: &str, organisation: u32, draft: Draft) -> Result<(Uuid, Appended), Error> {
    let row = ConsultationRow::from_draft(by, organisation, draft);
    let new = NewConversation {
        id: row.id,
        title: &row.title,
        created_by: by,
        client_id: Some(client_id),
        direct: None,
        members: &[],
        rules: rule_set(&row)?,
        first: changed(&row, ""),
    };
    let appended = create_conversation(tx, new).await?;
    let now_ms = tx.clock().now_ms();
    rows::insert_consultation(tx, &row, now_ms).await?;
    Ok((row.id, appended))
}
