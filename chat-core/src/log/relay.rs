//! Tells the backbone what was committed: in order for each conversation, never awaited by whoever commits. What cannot
//! be told in time is reduced to its head; whoever missed events reads them.

use std::{collections::HashMap, sync::Arc};

use backbone::Backbone;
use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message as _;
use proto::internal::v1::{Announcement, Hint, hint};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{append::Appended, watchers::Watchers};

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

impl Relay {
    /// Starts it; at most `most_bytes` of events wait in each of its lanes.
    #[must_use]
    pub fn start(
        backbone: Arc<dyn Backbone>,
        watchers: Watchers,
        most_bytes: usize,
        tracker: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let lanes: Arc<[Lane]> = (0..LANES).map(|_| Lane { waiting: Mutex::default(), more: Notify::new() }).collect();
        for index in 0..LANES {
            let (lanes, backbone, stop) = (lanes.clone(), backbone.clone(), stop.clone());
            tracker.spawn(async move {
                loop {
                    let lane = &lanes[index];
                    let waiting = std::mem::take(&mut *lane.waiting.lock());
                    if waiting.queue.is_empty() && waiting.heads.is_empty() {
                        tokio::select! {
                            () = lane.more.notified() => continue,
                            () = stop.cancelled() => return,
                        }
                    }
                    for appended in waiting.queue.into_iter().chain(waiting.heads.into_values()) {
                        publish(&*backbone, appended).await;
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
            let bytes: usize = appended.events.iter().map(prost::Message::encoded_len).sum();
            if waiting.bytes + bytes > self.most_bytes || waiting.heads.contains_key(&conversation) {
                metrics::counter!("yitang_chat_core_relay_reduced_total").increment(1);
                waiting.heads.insert(conversation, Appended { head: appended.head, events: Vec::new() });
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

async fn publish(backbone: &dyn Backbone, appended: Appended) {
    let partition = proto::partition_of_conversation(appended.head.conversation);
    let announcement = Announcement { head: Some(appended.head.to_proto()), events: appended.events };
    let payload: Bytes = Hint { hint: Some(hint::Hint::Announcement(announcement)) }.encode_to_vec().into();
    if let Err(error) = backbone.publish(partition, payload).await {
        metrics::counter!("yitang_chat_core_relay_failed_total").increment(1);
        tracing::debug!(%error, "an announcement was not taken; heads will tell");
    }
}
