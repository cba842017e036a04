//! Who may do what. The rules of a conversation are kept in memory under the gate that they were read at: every change
//! moves the gate in the same transaction, so a post judged under an old gate is judged again under the head's lock.

mod rows;
mod rules;
mod selector;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use proto::v1::{Refusal, RefusalCode};
use quick_cache::sync::Cache;
use uuid::Uuid;

pub use rows::{decode_audience, put_rules};
pub use rules::{Asker, Phase, RuleSet, Rules, Spoke, manages};
pub use selector::{Selector, whole_of};

use crate::{
    directory::{Directory, Snapshot},
    fault::{Error, Fault},
    log::{Gatekeeper, HeadRow, Judge, Judged},
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
    known: Arc<Cache<Uuid, Ruled>>,
}

impl Rights {
    /// `most`: conversations kept in memory.
    #[must_use]
    pub fn new(store: &Store, directory: &Arc<Directory>, most: usize) -> Self {
        Self { store: store.clone(), directory: directory.clone(), known: Arc::new(Cache::new(most.max(1))) }
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
        if let Some(rules) = self.find_known(head) {
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
        if let Some(rules) = self.find_known(head) {
            return Ok(rules);
        }
        self.read(tx, head).await?.ok_or_else(|| RefusalCode::NotFound.into())
    }

    fn find_known(&self, head: &HeadRow) -> Option<Arc<Rules>> {
        let ruled = self.known.get(&head.conversation)?;
        (ruled.gate == head.gate && ruled.epoch == head.epoch).then_some(ruled.rules)
    }

    async fn read(&self, tx: &mut Tx<'_>, head: &HeadRow) -> Result<Option<Arc<Rules>>, Fault> {
        Ok(self.read_all(tx, &[head]).await?.remove(&head.conversation))
    }

    async fn read_all(&self, tx: &mut Tx<'_>, heads: &[&HeadRow]) -> Result<HashMap<Uuid, Arc<Rules>>, Fault> {
        let ids: Vec<Uuid> = heads.iter().map(|head| head.conversation).collect();
        let mut found = rows::find_rules(tx, &ids).await?;
        let mut read = HashMap::with_capacity(found.len());
        for head in heads {
            let Some(rules) = found.remove(&head.conversation).map(Arc::new) else { continue };
            self.known.insert(head.conversation, Ruled { epoch: head.epoch, gate: head.gate, rules: rules.clone() });
            read.insert(head.conversation, rules);
        }
        metrics::gauge!("yitang_chat_core_rules_count").set(self.known.len() as f64);
        Ok(read)
    }
}

#[async_trait]
impl Gatekeeper for Rights {
    async fn prepare(&self, tx: &mut Tx<'_>, heads: &[HeadRow]) -> Result<Box<dyn Judge>, Fault> {
        let mut rules = HashMap::with_capacity(heads.len());
        let mut unknown = Vec::new();
        for head in heads {
            match self.find_known(head) {
                Some(known) => drop(rules.insert(head.conversation, known)),
                None => unknown.push(head),
            }
        }
        if !unknown.is_empty() {
            rules.extend(self.read_all(tx, &unknown).await?);
        }
        Ok(Box::new(BatchJudge { rules, directory: self.directory.snapshot() }))
    }

    fn find_card(&self, person: u32) -> u32 {
        self.directory.snapshot().person(person).map_or(0, |person| person.card)
    }
}

/// The rules of a batch's conversations, held for as long as the batch is judged: the cache may let go of them meanwhile.
struct BatchJudge {
    rules: HashMap<Uuid, Arc<Rules>>,
    directory: Arc<Snapshot>,
}

impl Judge for BatchJudge {
    fn asks_spoke(&self, conversation: Uuid) -> bool {
        self.rules.get(&conversation).is_some_and(|rules| rules.asks_spoke())
    }

    fn judge(&self, post: &Judged) -> Result<(), Refusal> {
        let not_found = || Refusal::of(RefusalCode::NotFound).field("conversation");
        let rules = self.rules.get(&post.conversation).ok_or_else(not_found)?;
        let person = self.directory.person(post.author).ok_or_else(not_found)?;
        let asker = Asker { directory: &self.directory, person, now_ms: post.now_ms };
        let spoke = post.spoke.map(|(last_ms, posts)| Spoke { last_ms, posts });
        rules.may_append(asker, post.needs, post.target_author, spoke)
    }
}
