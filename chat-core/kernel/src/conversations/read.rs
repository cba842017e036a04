//! How far people have read: a watermark that only moves forward.

use std::collections::BTreeMap;

use proto::internal::v1::{ReadMark, person_hint::What};
use uuid::Uuid;

use super::{Conversations, rows};
use crate::fault::Fault;

impl Conversations {
    /// Moves marks forward; gives where each stands now, in the order asked. Marks of conversations that do not exist stand at 0.
    ///
    /// # Errors
    /// A fault.
    pub async fn mark_read(&self, marks: &[ReadMark]) -> Result<Vec<u64>, Fault> {
        let mut wanted: BTreeMap<(Uuid, u32), i64> = BTreeMap::new();
        // A screen reads nothing.
        let person = |mark: &ReadMark| Some(mark.person).filter(|person| !proto::display::is_screen(*person));
        let key = |mark: &ReadMark| Some((Uuid::try_parse(&mark.conversation).ok()?, person(mark)?));
        for mark in marks {
            if let Some(key) = key(mark) {
                let mseq = i64::try_from(mark.mseq).unwrap_or(i64::MAX);
                wanted.entry(key).and_modify(|known| *known = mseq.max(*known)).or_insert(mseq);
            }
        }
        let before = rows::find_read(&self.store, &wanted.keys().copied().collect::<Vec<_>>()).await?;
        // A mark that stands there already costs no transaction.
        let ahead: BTreeMap<_, _> =
            wanted.iter().filter(|(key, mseq)| before.get(key).copied().unwrap_or(0) < **mseq).map(|(key, mseq)| (*key, *mseq)).collect();
        let mut now = before.clone();
        if !ahead.is_empty() {
            let mut tx = self.store.begin().await?;
            let moved = rows::advance_read(&mut tx, &ahead).await?;
            tx.commit().await?;
            for (key, mseq) in moved {
                if before.get(&key).copied().unwrap_or(0) < mseq {
                    let mark = ReadMark { person: key.1, conversation: key.0.to_string(), mseq: mseq as u64 };
                    self.push(key.1, What::Read(mark));
                }
                now.insert(key, mseq);
            }
        }
        Ok(marks.iter().map(|mark| key(mark).and_then(|key| now.get(&key)).copied().unwrap_or(0) as u64).collect())
    }
}
