//! Tells every presence instance who is here, and hears counts from them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use proto::internal::v1::{
    GatewayHello, Gone, Heartbeat, Here, PresenceChange, PresenceReport, PresenceSet, presence_report::Report,
    presence_service_client::PresenceServiceClient,
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Upstream, fanout::Fanout};

/// Entries of one message.
const ENTRIES: usize = 1_000;
const HEARTBEAT: Duration = Duration::from_millis(500);

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
    fn tell(&mut self, change: &Change) {
        // A stream that cannot keep up ends, and begins again with the full set.
        self.streams.retain(|_, stream| stream.try_send(change.clone()).is_ok());
    }
}

/// Who is here, as this gateway knows it. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reporter {
    book: Arc<Mutex<Book>>,
}

impl Reporter {
    /// The first socket of a person has come into a room.
    pub fn joined(&self, room: Uuid, person: u32, path: Vec<u32>) {
        // Nobody stands behind a screen.
        if proto::display::is_screen(person) {
            return;
        }
        let mut book = self.book.lock();
        book.tell(&Change::Joined(Here { conversation: room.to_string(), person, path: path.clone() }));
        book.here.insert((room, person), path);
    }

    /// The last socket of a person has left a room.
    pub fn left(&self, room: Uuid, person: u32) {
        if proto::display::is_screen(person) {
            return;
        }
        let mut book = self.book.lock();
        book.here.remove(&(room, person));
        book.tell(&Change::Left(Gone { conversation: room.to_string(), person }));
    }

    /// The full set, and every change after it.
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

/// Keeps a stream to one presence instance, made anew whenever it breaks.
pub async fn report(instance: usize, upstream: Upstream, reporter: Reporter, fanout: Fanout, gateway: String, stop: CancellationToken) {
    let incarnation = rand::random();
    let (queue, gateways) = (fanout.inner.options.presence_queue, fanout.inner.options.gateways);
    loop {
        let hello = GatewayHello { gateway: gateway.clone(), incarnation, gateways };
        let one = stream(instance, &upstream, &reporter, &fanout, hello, queue);
        if let Some(Err(status)) = stop.run_until_cancelled(one).await {
            tracing::debug!(instance, %status, "presence is not reached");
        }
        reporter.unfollow(instance);
        fanout.presence_lost(instance);
        if stop.run_until_cancelled(sleep(Duration::from_millis(200))).await.is_none() {
            return;
        }
    }
}

async fn stream(
    instance: usize,
    upstream: &Upstream,
    reporter: &Reporter,
    fanout: &Fanout,
    hello: GatewayHello,
    queue: usize,
) -> Result<(), tonic::Status> {
    let (sender, receiver) = mpsc::channel::<PresenceReport>(64);
    let (set, mut changes) = reporter.follow(instance, queue);
    let gone = || tonic::Status::unavailable("presence has closed the stream");
    let up = async move {
        let say = |report| PresenceReport { report: Some(report) };
        sender.send(say(Report::Hello(hello))).await.map_err(|_| gone())?;
        let mut chunks = set.chunks(ENTRIES).peekable();
        while let Some(chunk) = chunks.next() {
            let set = PresenceSet { here: chunk.to_vec(), last: chunks.peek().is_none() };
            sender.send(say(Report::Set(set))).await.map_err(|_| gone())?;
        }
        if set.is_empty() {
            sender.send(say(Report::Set(PresenceSet { here: Vec::new(), last: true }))).await.map_err(|_| gone())?;
        }
        let mut ticks = interval(HEARTBEAT);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        loop {
            tokio::select! {
                change = changes.recv() => {
                    let mut change = change.ok_or_else(gone)?;
                    number += 1;
                    let mut told = PresenceChange { number, ..PresenceChange::default() };
                    // In one message only what cannot depend on each other's order.
                    loop {
                        match change {
                            Change::Joined(here) => told.joined.push(here),
                            Change::Left(gone) => told.left.push(gone),
                        }
                        let Ok(next) = changes.try_recv() else { break };
                        if told.joined.len() + told.left.len() >= ENTRIES || depends(&told, &next) {
                            number += 1;
                            let full = std::mem::replace(&mut told, PresenceChange { number, ..PresenceChange::default() });
                            sender.send(say(Report::Change(full))).await.map_err(|_| gone())?;
                        }
                        change = next;
                    }
                    sender.send(say(Report::Change(told))).await.map_err(|_| gone())?;
                }
                _ = ticks.tick() => sender.send(say(Report::Heartbeat(Heartbeat {}))).await.map_err(|_| gone())?,
            }
        }
    };
    let down = async {
        let mut client = PresenceServiceClient::new(upstream.clone());
        let mut counts = client.report(ReceiverStream::new(receiver)).await?.into_inner();
        while let Some(told) = counts.message().await? {
            for room in told.rooms {
                if let Ok(id) = Uuid::try_parse(&room.conversation) {
                    fanout.counts(instance, id, Some(room));
                }
            }
        }
        Err(gone())
    };
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

/// Whether somebody told of already comes or goes again.
fn depends(told: &PresenceChange, next: &Change) -> bool {
    let (conversation, person) = match next {
        Change::Joined(here) => (&here.conversation, here.person),
        Change::Left(gone) => (&gone.conversation, gone.person),
    };
    told.joined.iter().any(|here| here.person == person && here.conversation == *conversation)
        || told.left.iter().any(|gone| gone.person == person && gone.conversation == *conversation)
}
