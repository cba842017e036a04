//! Conversations: who is part of them, how far each has read, and what may be asked of any of them.

mod marks;
mod people;
mod rows;
mod service;

use std::sync::Arc;

use backbone::Backbone;
use prost::Message as _;
use proto::{
    internal::v1::{Hint, PersonHint, hint, person_hint::What},
    v1::{Refusal, RefusalCode},
};
use uuid::Uuid;

pub use people::{check_client_id, check_title};
pub use rows::{NewConversation, add_members, insert, made_before, read_marks, set_title};
pub use service::ConversationApi;

use crate::{
    accounts::Caller,
    clock,
    control::Control,
    directory::Snapshot,
    fault::Error,
    log::{HeadRow, Log},
    rights::{Asker, Rights, Rules},
    store::Store,
};

/// Conversations. Shared as `Arc<Conversations>`.
pub struct Conversations {
    /// The database.
    pub store: Store,
    /// The log of all.
    pub log: Arc<Log>,
    /// Who may do what.
    pub rights: Rights,
    /// Where changes of rights are recorded.
    pub control: Arc<Control>,
    /// Tells a person's other devices.
    pub backbone: Arc<dyn Backbone>,
}

/// A conversation as one person may see it, at one moment.
pub struct Seen {
    /// Its head.
    pub head: HeadRow,
    /// Its rules at that head's gate.
    pub rules: Arc<Rules>,
    directory: Arc<Snapshot>,
    caller: Caller,
    now_ms: i64,
}

impl Seen {
    /// Who asks.
    #[must_use]
    pub fn asker(&self) -> Asker<'_> {
        Asker { directory: &self.directory, person: &self.caller.person, now_ms: self.now_ms }
    }
}

/// A conversation's id, as clients write it.
///
/// # Errors
/// INVALID, naming the field.
pub fn parse_id(id: &str, field: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(id).map_err(|_| Refusal::of(RefusalCode::Invalid).field(field))
}

impl Conversations {
    /// Looks at a conversation for somebody who may watch it.
    ///
    /// # Errors
    /// NOT_FOUND (also where they may not); a fault.
    pub async fn see(&self, caller: &Caller, id: &str) -> Result<Seen, Error> {
        let id = parse_id(id, "conversation")?;
        let head = self.log.head(id).await?.ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("conversation"))?;
        let rules = self.rights.rules(&head).await?;
        let directory = self.rights.directory().snapshot();
        let seen = Seen { head, rules, directory, caller: caller.clone(), now_ms: clock::now_ms() };
        seen.rules.may_watch(seen.asker())?;
        Ok(seen)
    }

    /// Tells all devices of a person, wherever they are. A hint: lost while the backbone is away.
    pub(crate) fn tell(&self, person: u32, what: What) {
        let hint = Hint { hint: Some(hint::Hint::Person(PersonHint { person, what: Some(what) })) };
        let backbone = self.backbone.clone();
        tokio::spawn(async move {
            if let Err(error) = backbone.publish(proto::partition_of_person(person) as u16, hint.encode_to_vec().into()).await {
                tracing::debug!(%error, "a person's other devices were not told");
            }
        });
    }
}
