//! Tells the backbone what was committed: in order for each conversation, never awaited by whoever commits. What cannot
//! be told in time is reduced to its head; whoever missed events reads them.

use std::{collections::HashMap, sync::Arc};

use backbone::Backbone;
use bytes::Bytes;
use futures::StreamExt as _;
use parking_lot::Mutex;
use prost::Message as _;
use proto::internal::v1::{Announcement, Hint, hint};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{append::Appended, watchers::Watchers};
use crate::tasks::Tasks;

/// What waits for one lane.
#[derive(Default)]
struct Waiting {
    queue: Vec<Appended>,
    bytes: usize,
    /// Conversations whose events no longer fit: only their newest head is told.
    heads: HashMap<Uuid, Appended>,
}

struct Lane {
    waiting: Mutex<Waiting>,
    more: Notify,
}

/// The relay's front. Cheap to clone.
#[derive(Clone)]
pub struct Relay {
    lanes: Arc<[Lane]>,
    watchers: Watchers,
    most_bytes: usize,
}

const LANES: usize = 8;
/// What an announcement weighs without its events, bytes.
const HEAD_BYTES: usize = 128;
/// Announcements of one lane under way at once, each of another conversation.
const AT_ONCE: usize = 64;
/// What was committed in several transactions is told in one announcement up to this size, bytes.
const ANNOUNCEMENT_BYTES: usize = 64 << 10;

impl Relay {
    /// Starts it; at most `most_bytes` of events wait in each of its lanes.
    #[must_use]
    pub fn start(backbone: Arc<dyn Backbone>, watchers: Watchers, most_bytes: usize, tasks: &Tasks) -> Self {
        let lanes: Arc<[Lane]> = (0..LANES).map(|_| Lane { waiting: Mutex::default(), more: Notify::new() }).collect();
        for index in 0..LANES {
            let (lanes, backbone) = (lanes.clone(), backbone.clone());
            tasks.spawn("announcing", move |stop| async move {
                loop {
                    let lane = &lanes[index];
                    let waiting = std::mem::take(&mut *lane.waiting.lock());
                    if waiting.queue.is_empty() && waiting.heads.is_empty() {
                        tokio::select! {
                            () = lane.more.notified() => continue,
                            () = stop.cancelled() => return,
                        }
                    }
                    let heads = waiting.heads.into_values().collect();
                    for round in rounds(waiting.queue).into_iter().chain([heads]) {
                        let round = futures::stream::iter(round);
                        round.for_each_concurrent(AT_ONCE, |appended| publish(&*backbone, appended)).await;
                    }
                }
            });
        }
        Self { lanes, watchers, most_bytes }
    }

    /// Announces what was just committed. Returns at once.
    pub fn announce(&self, appended: Appended) {
        let conversation = appended.head.conversation;
        let lane = &self.lanes[usize::from(proto::partition_of_conversation(conversation)) % LANES];
        {
            let mut waiting = lane.waiting.lock();
            let bytes = HEAD_BYTES + appended.events.iter().map(prost::Message::encoded_len).sum::<usize>();
            if waiting.bytes + bytes > self.most_bytes || waiting.heads.contains_key(&conversation) {
                metrics::counter!("yitang_chat_core_relay_reduced_total").increment(1);
                let newest = waiting.heads.entry(conversation).or_insert(Appended { head: appended.head, events: Vec::new() });
                // Two transactions may be announced the other way round.
                if newest.head.epoch != appended.head.epoch || newest.head.seq < appended.head.seq {
                    newest.head = appended.head;
                }
            } else {
                waiting.bytes += bytes;
                waiting.queue.push(appended);
            }
        }
        lane.more.notify_one();
        // Whoever waits in this very process need not wait for the backbone.
        self.watchers.wake(conversation);
    }
}

/// What waits, in rounds: each conversation stands at most once in a round, with all that can be told of it together, and
/// rounds go one after another. So a conversation is told in order, and none waits for the answers to all others.
fn rounds(queue: Vec<Appended>) -> Vec<Vec<Appended>> {
    let mut rounds = Vec::new();
    let mut round: Vec<Appended> = Vec::new();
    // Where a conversation stands in the round, and how many bytes it has there.
    let mut places: HashMap<Uuid, (usize, usize)> = HashMap::new();
    for appended in queue {
        let bytes: usize = appended.events.iter().map(prost::Message::encoded_len).sum();
        if let Some((place, held)) = places.get_mut(&appended.head.conversation) {
            let before = &mut round[*place];
            let follows = before.head.epoch == appended.head.epoch
                && before.head.seq + appended.events.len() as i64 == appended.head.seq
                && *held + bytes <= ANNOUNCEMENT_BYTES;
            if follows {
                *held += bytes;
                before.head = appended.head;
                before.events.extend(appended.events);
                continue;
            }
            rounds.push(std::mem::take(&mut round));
            places.clear();
        }
        places.insert(appended.head.conversation, (round.len(), bytes));
        round.push(appended);
    }
    rounds.push(round);
    rounds
}

async fn publish(backbone: &dyn Backbone, appended: Appended) {
    let partition = proto::partition_of_conversation(appended.head.conversation);
    let announcement = Announcement { head: Some(appended.head.to_proto()), events: appended.events };
    let payload: Bytes = Hint { hint: Some(hint::Hint::Announcement(announcement)) }.encode_to_vec().into();
    if let Err(error) = backbone.publish(partition, payload).await {
        metrics::counter!("yitang_chat_core_relay_failed_total").increment(1);
        tracing::debug!(%error, "an announcement was not taken; heads will tell");
    }
}

#[cfg(test)]
mod tests {
    use proto::v1::Event;

    use super::*;
    use crate::log::entry::HeadRow;

    fn appended(conversation: u128, epoch: i64, seqs: std::ops::RangeInclusive<i64>, head: i64) -> Appended {
        let head = HeadRow {
            conversation: Uuid::from_u128(conversation),
            epoch,
            kind: 1,
            seq: head,
            mseq: head,
            gate: 1,
            time_ms: 0,
            spoke: 0,
            comments: 0,
        };
        Appended { head, events: seqs.map(|seq| Event { seq: seq as u64, ..Event::default() }).collect() }
    }

    fn told(rounds: &[Vec<Appended>]) -> Vec<Vec<(u128, Vec<u64>, i64)>> {
        let one = |one: &Appended| (one.head.conversation.as_u128(), one.events.iter().map(|event| event.seq).collect(), one.head.seq);
        rounds.iter().map(|round| round.iter().map(one).collect()).collect()
    }

    #[test]
    fn transactions_of_one_conversation_are_told_together_and_in_order() {
        #[allow(clippy::reversed_empty_ranges, reason = "no events: only the head moved")]
        let none = 1..=0;
        let queue = vec![appended(1, 7, 1..=2, 2), appended(2, 7, 5..=5, 5), appended(1, 7, 3..=3, 3), appended(1, 7, none, 3)];
        assert_eq!(told(&rounds(queue)), [vec![(1, vec![1, 2, 3], 3), (2, vec![5], 5)]]);
        // Another process wrote what lies between, or the log was made anew: told apart, one after the other.
        for second in [appended(1, 7, 5..=5, 5), appended(1, 8, 3..=3, 3)] {
            let rounds = rounds(vec![appended(1, 7, 1..=2, 2), appended(2, 7, 1..=1, 1), second]);
            assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        }
    }

    #[test]
    fn an_announcement_is_bounded() {
        let long = |seq: u64| {
            let comment = proto::v1::Comment { text: "x".repeat(ANNOUNCEMENT_BYTES / 3), ..Default::default() };
            let mut one = appended(1, 7, seq as i64..=seq as i64, seq as i64);
            one.events[0].kind = Some(proto::v1::event::Kind::Comment(comment));
            one
        };
        let rounds = rounds((1..=5).map(long).collect());
        assert_eq!(told(&rounds), [vec![(1, vec![1, 2], 2)], vec![(1, vec![3, 4], 4)], vec![(1, vec![5], 5)]]);
    }
}
