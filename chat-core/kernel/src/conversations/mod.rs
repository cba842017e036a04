//! Conversations as rows, whatever subject they are of: made with their rules and people, found by what their maker called them, and
//! how far each person has read.

mod read;
mod rows;

use std::{collections::BTreeMap, sync::Arc};

use backbone::Backbone;
use prost::Message as _;
use proto::{
    internal::v1::{Hint, PersonHint, hint, person_hint::What},
    v1::{Change, ConversationKind, event::Kind},
};
use uuid::Uuid;

pub use rows::{
    ConversationRow, add_members, find_by_client_id, find_conversation, find_direct, list_conversations, remove_members, update_title,
};

use crate::{
    execute,
    fault::{Error, Fault},
    log::{Appended, Log},
    rights::{RuleSet, put_rules},
    store::{Store, Tx},
};

/// A conversation to be made.
pub struct NewConversation<'a> {
    /// Its id.
    pub id: Uuid,
    /// Empty for a direct one.
    pub title: &'a str,
    /// Who makes it.
    pub created_by: u32,
    /// What its maker called it: the same request again gives the same conversation.
    pub client_id: Option<&'a str>,
    /// Of a direct one: both people, the lower id first.
    pub direct: Option<(u32, u32)>,
    /// The people who are part of it, where its rules have any.
    pub members: &'a [u32],
    /// Who may do what in it.
    pub rules: RuleSet,
    /// The event that it begins with.
    pub first: Kind,
}

/// Makes a conversation inside a transaction: its row, people, rules and log. After the commit, give what this gives to
/// [`Log::announce`].
///
/// # Errors
/// When one stands already under its id, client_id or pair; a fault.
pub async fn create_conversation(tx: &mut Tx<'_>, new: NewConversation<'_>) -> Result<Appended, Error> {
    let NewConversation { id, title, created_by, client_id, direct, members, rules, first } = new;
    let created_ms = tx.clock().now_ms();
    let kind = rules.kind();
    execute!(
        tx,
        "INSERT INTO conversations (id, kind, title, created_by, client_id, direct_low, direct_high, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        id,
        i64::from(kind as i32),
        title,
        i64::from(created_by),
        client_id,
        direct.map(|(low, _)| i64::from(low)),
        direct.map(|(_, high)| i64::from(high)),
        created_ms
    )?;
    rows::add_members(tx, id, members, created_ms).await?;
    put_rules(tx, id, &rules).await?;
    Log::create(tx, id, kind, created_by, first).await
}

/// People's own state of conversations, told to their devices. Shared as `Arc<Conversations>`.
pub struct Conversations {
    store: Store,
    backbone: Arc<dyn Backbone>,
}

impl Conversations {
    /// Over a database, told over a backbone.
    #[must_use]
    pub fn new(store: &Store, backbone: &Arc<dyn Backbone>) -> Self {
        Self { store: store.clone(), backbone: backbone.clone() }
    }

    /// How far people have read, each of one conversation: (conversation, person) to mseq; nobody's mark is 0.
    ///
    /// # Errors
    /// A fault.
    pub async fn find_read(&self, keys: &[(Uuid, u32)]) -> Result<BTreeMap<(Uuid, u32), i64>, Fault> {
        rows::find_read(&self.store, keys).await
    }

    /// Pushes to all devices of these people that they are part of a conversation now.
    pub fn push_added(&self, conversation: Uuid, kind: ConversationKind, people: &[u32]) {
        for person in people {
            let brief = proto::v1::ConversationBrief { kind: kind.into() };
            let change = Change {
                subject: "conversations".to_owned(),
                id: conversation.to_string(),
                brief: Some(proto::v1::change::Brief::Conversation(brief)),
                ..Change::default()
            };
            self.push(*person, What::Change(change));
        }
    }

    /// Tells all devices of a person, wherever they are. A hint: lost while the backbone is away.
    fn push(&self, person: u32, what: What) {
        let hint = Hint { hint: Some(hint::Hint::Person(PersonHint { person, what: Some(what) })) };
        let backbone = self.backbone.clone();
        tokio::spawn(async move {
            if let Err(error) = backbone.publish(proto::partition_of_person(person), hint.encode_to_vec().into()).await {
                tracing::debug!(%error, "a person's other devices were not told");
            }
        });
    }
}
