//! What every subject is handed, and what it does with it: look at a conversation, commit a change.

use std::sync::Arc;

use backbone::Backbone;
use clock::Clock;
use proto::v1::{DisplayScope, Page, PageRequest, Refusal, RefusalCode, page_request::Where};
use tonic::{Request, metadata::MetadataMap};
use uuid::Uuid;

use crate::{
    accounts::{Accounts, Caller},
    control::{Control, Record},
    conversations::Conversations,
    directory::{Directory, Snapshot},
    fault::{Error, Fault},
    guests,
    log::{Change, HeadRow, Log},
    rights::{Asker, Rights, Rules},
    store::{Store, Tx},
    tasks::Tasks,
};

/// The kernel's parts. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub store: Store,
    /// The log of all conversations.
    pub log: Arc<Log>,
    /// The control log.
    pub control: Arc<Control>,
    /// Who may do what.
    pub rights: Rights,
    /// Organisations and people, in memory.
    pub directory: Arc<Directory>,
    /// Who calls.
    pub accounts: Arc<Accounts>,
    /// How far people have read, and what their devices are told.
    pub conversations: Arc<Conversations>,
    /// The time.
    pub clock: Clock,
    /// Carries hints.
    pub backbone: Arc<dyn Backbone>,
    /// Background tasks.
    pub tasks: Tasks,
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
    /// Who looks.
    #[must_use]
    pub fn asker(&self) -> Asker<'_> {
        Asker { directory: &self.directory, person: &self.caller.person, now_ms: self.now_ms }
    }
}

/// A guest that makes a public call, allowed to show its conversation at this moment.
pub struct Guest {
    /// The conversation's head.
    pub head: HeadRow,
    /// What it may show.
    pub scope: DisplayScope,
}

/// An id as clients write it.
///
/// # Errors
/// INVALID, naming the field.
pub fn parse_id(id: &str, field: &str) -> Result<Uuid, Refusal> {
    Uuid::try_parse(id).map_err(|_| Refusal::of(RefusalCode::Invalid).field(field))
}

impl Context {
    /// Who makes this call: a person.
    ///
    /// # Errors
    /// What [`Accounts::caller`] says.
    pub fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Refusal> {
        self.accounts.caller(request.metadata())
    }

    /// The guest that makes this call, if its link lets it show its conversation now; `None`: it is a person's call.
    ///
    /// # Errors
    /// What [`guests::Grant::may_show`] says; a fault.
    pub async fn guest(&self, metadata: &MetadataMap) -> Result<Option<Guest>, Error> {
        let Some(link) = guests::find_link(metadata) else { return Ok(None) };
        let unknown = || Error::from(RefusalCode::SessionEnded);
        let id = Uuid::try_parse(link).map_err(|_| unknown())?;
        let grant = guests::rows::find_link(&self.store, id).await?.ok_or_else(unknown)?.to_grant();
        let head = self.log.head(grant.conversation).await?.ok_or(RefusalCode::NotFound)?;
        let rules = self.rights.rules(&head).await?;
        let (directory, now_ms) = (self.directory.snapshot(), self.clock.now_ms());
        let maker = directory.person(grant.maker).map(|person| Asker { directory: &directory, person, now_ms });
        grant.may_show(grant.conversation, &rules, maker, now_ms)?;
        let scope = DisplayScope { link: id.to_string(), conversation: grant.conversation.to_string() };
        Ok(Some(Guest { head, scope }))
    }

    /// Looks at a conversation for somebody who may watch it.
    ///
    /// # Errors
    /// NOT_FOUND (also where they may not); a fault.
    pub async fn see(&self, caller: &Caller, id: &str) -> Result<Seen, Error> {
        let id = parse_id(id, "conversation")?;
        let head = self.log.head(id).await?.ok_or_else(|| Refusal::of(RefusalCode::NotFound).field("conversation"))?;
        let rules = self.rights.rules(&head).await?;
        let directory = self.directory.snapshot();
        let seen = Seen { head, rules, directory, caller: caller.clone(), now_ms: self.clock.now_ms() };
        seen.rules.may_watch(seen.asker())?;
        Ok(seen)
    }

    /// A page of history, as later events left it; no right is asked. `person`: whose `first_unread` is meant.
    ///
    /// # Errors
    /// NOT_FOUND, EPOCH_CHANGED, POSITION_BEYOND_HEAD, MALFORMED; a fault.
    pub async fn read_page(&self, conversation: Uuid, person: u32, asked: &PageRequest) -> Result<Page, Error> {
        let read = match asked.r#where {
            Some(Where::FirstUnread(_)) => {
                let key = (conversation, person);
                self.conversations.find_read(&[key]).await?.get(&key).copied().unwrap_or(0)
            }
            _ => 0,
        };
        self.log.page(conversation, asked, read as u64).await
    }

    /// Makes a change of a conversation with its events and records, in one transaction under the head's lock.
    ///
    /// # Errors
    /// NOT_FOUND, or what the change says.
    pub async fn commit(&self, conversation: Uuid, change: &mut dyn Change) -> Result<HeadRow, Error> {
        let head = self.log.commit(conversation, change).await?;
        self.control.committed();
        Ok(head)
    }

    /// Ends a transaction that changes the directory: records, commits, and waits until this process sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn commit_directory(&self, tx: Tx<'_>, by: u32, records: Vec<Record>) -> Result<(), Fault> {
        if let Some(position) = self.control.commit(tx, by, records).await? {
            self.directory.wait_until(position).await;
        }
        Ok(())
    }
}
