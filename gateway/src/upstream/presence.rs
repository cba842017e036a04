//! Reports who is here to every presence instance, and passes on the counts that come back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use proto::internal::v1::{
    GatewayHello, Gone, Heartbeat, Here, PresenceChange, PresenceReport, PresenceSet, RoomCounts, presence_report::Report,
    presence_service_client::PresenceServiceClient,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::service::Upstream;

/// Entries of one message.
const ENTRIES: usize = 1_000;
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How soon an instance that was lost is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// What comes back from an instance.
#[derive(Clone, Debug)]
pub enum PresenceUpdate {
    /// Its counts of one conversation.
    Counts {
        /// The conversation that they are of.
        conversation: Uuid,
        /// Who is there.
        counts: RoomCounts,
    },
    /// It is not heard any more: what it said before is not to be believed.
    Lost,
}

#[derive(Clone, Debug)]
enum Change {
    Joined(Here),
    Left(Gone),
}

#[derive(Default)]
struct Book {
    here: HashMap<(Uuid, u32), Vec<u32>>,
    streams: HashMap<usize, mpsc::Sender<Change>>,
}

impl Book {
    fn send(&mut self, change: &Change) {
        // A stream that cannot keep up ends, and begins again with the full set.
        self.streams.retain(|_, stream| stream.try_send(change.clone()).is_ok());
    }
}

/// Who is here, as this gateway knows it. Cheap to clone.
#[derive(Clone, Default)]
pub struct PresenceReporter {
    book: Arc<Mutex<Book>>,
}

impl PresenceReporter {
    /// The first socket of a person has come into a room. `path` is the person's organisation and those above it.
    pub fn add(&self, room: Uuid, person: u32, path: Vec<u32>) {
        // Nobody stands behind a screen.
        if proto::display::is_screen(person) {
            return;
        }
        let mut book = self.book.lock();
        book.send(&Change::Joined(Here { conversation: room.to_string(), person, path: path.clone() }));
        book.here.insert((room, person), path);
    }

    /// The last socket of a person has left a room.
    pub fn remove(&self, room: Uuid, person: u32) {
        if proto::display::is_screen(person) {
            return;
        }
        let mut book = self.book.lock();
        book.here.remove(&(room, person));
        book.send(&Change::Left(Gone { conversation: room.to_string(), person }));
    }

    /// The full set, and every change after it; past `queue` changes that wait, the stream ends.
    fn follow(&self, instance: usize, queue: usize) -> (Vec<Here>, mpsc::Receiver<Change>) {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let mut book = self.book.lock();
        let set = book
            .here
            .iter()
            .map(|((room, person), path)| Here { conversation: room.to_string(), person: *person, path: path.clone() })
            .collect();
        book.streams.insert(instance, sender);
        (set, receiver)
    }

    fn unfollow(&self, instance: usize) {
        self.book.lock().streams.remove(&instance);
    }
}

/// One presence instance that is reported to.
pub struct PresenceInstance {
    /// Its number, by which its counts are told from those of others.
    pub number: usize,
    /// Where it is.
    pub upstream: Upstream,
    /// This gateway's name.
    pub gateway: String,
    /// How many gateways it should expect; 0: not known.
    pub gateways: u32,
    /// Changes that may wait for it; past it the full set is sent anew.
    pub queue: usize,
}

/// Keeps a stream to one presence instance, made anew whenever it breaks, until stopped.
pub async fn report(instance: PresenceInstance, reporter: PresenceReporter, stop: CancellationToken, apply: impl Fn(PresenceUpdate)) {
    let incarnation = rand::random();
    loop {
        if let Some(Err(status)) = stop.run_until_cancelled(run_stream(&instance, &reporter, incarnation, &apply)).await {
            tracing::debug!(instance = instance.number, %status, "presence is not reached");
        }
        reporter.unfollow(instance.number);
        apply(PresenceUpdate::Lost);
        if stop.run_until_cancelled(sleep(AGAIN)).await.is_none() {
            return;
        }
    }
}

async fn run_stream(
    instance: &PresenceInstance,
    reporter: &PresenceReporter,
    incarnation: u64,
    apply: &impl Fn(PresenceUpdate),
) -> Result<(), tonic::Status> {
    let (sender, receiver) = mpsc::channel::<PresenceReport>(64);
    let (set, changes) = reporter.follow(instance.number, instance.queue);
    let hello = GatewayHello { gateway: instance.gateway.clone(), incarnation, gateways: instance.gateways };
    let down = async {
        let mut client = PresenceServiceClient::new(instance.upstream.clone());
        let mut answers = client.report(ReceiverStream::new(receiver)).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            for counts in answer.rooms {
                if let Ok(conversation) = Uuid::try_parse(&counts.conversation) {
                    apply(PresenceUpdate::Counts { conversation, counts });
                }
            }
        }
        Err(closed())
    };
    tokio::select! {
        ended = send_reports(sender, hello, set, changes) => ended,
        ended = down => ended,
    }
}

fn closed() -> tonic::Status {
    tonic::Status::unavailable("presence has closed the stream")
}

async fn send(sender: &mpsc::Sender<PresenceReport>, report: Report) -> Result<(), tonic::Status> {
    sender.send(PresenceReport { report: Some(report) }).await.map_err(|_| closed())
}

/// Sends the full set, and then every change, in batches, with heartbeats between.
async fn send_reports(
    sender: mpsc::Sender<PresenceReport>,
    hello: GatewayHello,
    set: Vec<Here>,
    mut changes: mpsc::Receiver<Change>,
) -> Result<(), tonic::Status> {
    send(&sender, Report::Hello(hello)).await?;
    let mut chunks = set.chunks(ENTRIES).peekable();
    while let Some(chunk) = chunks.next() {
        send(&sender, Report::Set(PresenceSet { here: chunk.to_vec(), last: chunks.peek().is_none() })).await?;
    }
    if set.is_empty() {
        send(&sender, Report::Set(PresenceSet { here: Vec::new(), last: true })).await?;
    }
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0;
    loop {
        tokio::select! {
            change = changes.recv() => {
                let mut change = change.ok_or_else(closed)?;
                number += 1;
                let mut batch = PresenceChange { number, ..PresenceChange::default() };
                // In one message only what cannot depend on each other's order.
                loop {
                    match change {
                        Change::Joined(here) => batch.joined.push(here),
                        Change::Left(gone) => batch.left.push(gone),
                    }
                    let Ok(next) = changes.try_recv() else { break };
                    if batch.joined.len() + batch.left.len() >= ENTRIES || names_person_of(&batch, &next) {
                        number += 1;
                        let full = std::mem::replace(&mut batch, PresenceChange { number, ..PresenceChange::default() });
                        send(&sender, Report::Change(full)).await?;
                    }
                    change = next;
                }
                send(&sender, Report::Change(batch)).await?;
            }
            _ = ticks.tick() => send(&sender, Report::Heartbeat(Heartbeat {})).await?,
        }
    }
}

/// Whether the batch names the person of `next` already, in the same conversation.
fn names_person_of(batch: &PresenceChange, next: &Change) -> bool {
    let (conversation, person) = match next {
        Change::Joined(here) => (&here.conversation, here.person),
        Change::Left(gone) => (&gone.conversation, gone.person),
    };
    batch.joined.iter().any(|here| here.person == person && here.conversation == *conversation)
        || batch.left.iter().any(|gone| gone.person == person && gone.conversation == *conversation)
}
