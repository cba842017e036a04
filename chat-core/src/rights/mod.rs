//! Who may do what. The rules of a conversation are kept in memory under the gate that they were read at: every change
//! moves the gate in the same transaction, so a post judged under an old gate is judged again under the head's lock.

mod audience;
mod grant;
mod rows;
mod rules;

use std::sync::Arc;

use async_trait::async_trait;
use dashmap::DashMap;
use proto::v1::{Refusal, RefusalCode};
use uuid::Uuid;

pub use audience::{Circle, whole_of};
pub use grant::Grant;
pub use rows::audience;
pub use rules::{Asker, ConsultationRules, MembersRules, Rules, manages};

use crate::{
    directory::Directory,
    fault::{Error, Fault},
    log::{CONTROL_KIND, Gatekeeper, HeadRow, Submission, TargetRow},
    store::{Store, Tx},
};

/// Rules as they were at a gate of a log's incarnation.
#[derive(Clone)]
struct Ruled {
    epoch: i64,
    gate: i64,
    rules: Arc<Rules>,
}

/// The rules of all conversations, read when they are first asked for. Cheap to clone.
#[derive(Clone)]
pub struct Rights {
    store: Store,
    directory: Arc<Directory>,
    known: Arc<DashMap<Uuid, Ruled>>,
    most: usize,
}

impl Rights {
    /// `most`: conversations kept in memory.
    #[must_use]
    pub fn new(store: &Store, directory: &Arc<Directory>, most: usize) -> Self {
        Self { store: store.clone(), directory: directory.clone(), known: Arc::default(), most: most.max(1) }
    }

    /// The directory that is judged by.
    #[must_use]
    pub fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// The rules of a conversation at the gate that its head has now.
    ///
    /// # Errors
    /// NOT_FOUND; a fault.
    pub async fn rules(&self, head: &HeadRow) -> Result<Arc<Rules>, Error> {
        if let Some(rules) = self.at(head) {
            return Ok(rules);
        }
        let mut tx = self.store.begin_read().await?;
        let rules = self.read(&mut tx, head).await?;
        rules.ok_or_else(|| RefusalCode::NotFound.into())
    }

    /// The same inside a transaction that holds the head's lock.
    ///
    /// # Errors
    /// NOT_FOUND; a fault.
    pub async fn rules_within(&self, tx: &mut Tx<'_>, head: &HeadRow) -> Result<Arc<Rules>, Error> {
        if let Some(rules) = self.at(head) {
            return Ok(rules);
        }
        self.read(tx, head).await?.ok_or_else(|| RefusalCode::NotFound.into())
    }

    fn at(&self, head: &HeadRow) -> Option<Arc<Rules>> {
        let ruled = self.known.get(&head.conversation)?;
        (ruled.gate == head.gate && ruled.epoch == head.epoch).then(|| ruled.rules.clone())
    }

    async fn read(&self, tx: &mut Tx<'_>, head: &HeadRow) -> Result<Option<Arc<Rules>>, Fault> {
        let Some(rules) = rows::rules(tx, head).await? else { return Ok(None) };
        let rules = Arc::new(rules);
        if self.known.len() >= self.most {
            // Rare, and any one will do: what is in use is read again.
            let some = self.known.iter().next().map(|entry| *entry.key());
            some.and_then(|id| self.known.remove(&id));
        }
        metrics::gauge!("yitang_chat_core_rules_count").set(self.known.len() as f64);
        self.known.insert(head.conversation, Ruled { epoch: head.epoch, gate: head.gate, rules: rules.clone() });
        Ok(Some(rules))
    }
}

#[async_trait]
impl Gatekeeper for Rights {
    async fn refresh(&self, tx: &mut Tx<'_>, heads: &[HeadRow]) -> Result<(), Fault> {
        for head in heads {
            if self.at(head).is_none() {
                self.read(tx, head).await?;
            }
        }
        Ok(())
    }

    fn asks_last_spoke(&self, head: &HeadRow) -> bool {
        self.at(head).is_some_and(|rules| rules.is_slow())
    }

    fn judge(
        &self,
        head: &HeadRow,
        post: &Submission,
        now_ms: i64,
        last_spoke_ms: Option<i64>,
        target: Option<&TargetRow>,
    ) -> Result<(), Refusal> {
        let directory = self.directory.snapshot();
        let not_found = || Refusal::of(RefusalCode::NotFound).field("conversation");
        if head.kind == CONTROL_KIND {
            return Err(not_found());
        }
        // Read a moment ago; pushed out since only by very many other conversations.
        let rules = self.at(head).ok_or_else(|| Refusal::of(RefusalCode::Overloaded))?;
        let person = directory.person(post.author).ok_or_else(not_found)?;
        let asker = Asker { directory: &directory, person, now_ms };
        rules.may_append(asker, &post.content, target.map(|target| target.author as u32), last_spoke_ms)
    }
}
