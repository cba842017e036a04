//! A presence instance of the tests: it unions people over the gateways' streams, and can be taken away.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use proto::internal::v1::{
    GetCountsRequest, PresenceCounts, PresenceReport, RoomCounts, presence_report::Report, presence_service_server::PresenceService,
};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

type Book = BTreeMap<String, BTreeSet<u32>>;

#[derive(Clone)]
pub struct Presence {
    book: Arc<Mutex<Book>>,
    away: Arc<watch::Sender<bool>>,
}

impl Presence {
    pub fn new() -> Self {
        Self { book: Arc::default(), away: Arc::new(watch::Sender::new(false)) }
    }

    pub fn away(&self, away: bool) {
        self.book.lock().clear();
        self.away.send_replace(away);
    }

    fn apply(&self, report: Report) {
        let mut book = self.book.lock();
        match report {
            Report::Set(set) => {
                for here in set.here {
                    book.entry(here.conversation).or_default().insert(here.person);
                }
            }
            Report::Change(change) => {
                for here in change.joined {
                    book.entry(here.conversation).or_default().insert(here.person);
                }
                for gone in change.left {
                    book.entry(gone.conversation).or_default().remove(&gone.person);
                }
            }
            Report::Hello(_) | Report::Heartbeat(_) => {}
        }
    }
}

#[async_trait::async_trait]
impl PresenceService for Presence {
    type ReportStream = Pin<Box<dyn futures::Stream<Item = Result<PresenceCounts, Status>> + Send>>;

    async fn report(&self, reports: Request<Streaming<PresenceReport>>) -> Result<Response<Self::ReportStream>, Status> {
        if *self.away.borrow() {
            return Err(Status::unavailable("away"));
        }
        let (this, mut reports) = (self.clone(), reports.into_inner());
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let mut away = this.away.subscribe();
            let mut told = Book::new();
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            let mut number = 0;
            loop {
                tokio::select! {
                    () = async { away.wait_for(|away| *away).await.map_or((), drop) } => return,
                    report = reports.message() => match report {
                        Ok(Some(PresenceReport { report: Some(report) })) => {
                            if let Report::Change(change) = &report {
                                number += 1;
                                assert_eq!(change.number, number, "changes are numbered");
                            }
                            this.apply(report);
                        }
                        _ => return,
                    },
                    _ = ticks.tick() => {
                        let book = this.book.lock().clone();
                        let changed = book.iter().filter(|(room, people)| told.get(*room) != Some(*people));
                        let rooms: Vec<RoomCounts> = changed
                            .map(|(room, people)| RoomCounts {
                                conversation: room.clone(),
                                people: people.len() as u32,
                                complete: true,
                                ..RoomCounts::default()
                            })
                            .collect();
                        told = book;
                        if !rooms.is_empty() && sender.send(Ok(PresenceCounts { rooms })).await.is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_counts(&self, _: Request<GetCountsRequest>) -> Result<Response<RoomCounts>, Status> {
        Err(Status::unimplemented("nobody asks here"))
    }
}

mod tests {
    use proto::{
        Subprotocol,
        v1::{RoomState, ServerFrame, server_frame, state::State},
    };

    use super::Presence;
    use crate::{Hall, lossy::Lossy};

    fn counts(people: u32, complete: bool) -> impl FnMut(&ServerFrame) -> Option<RoomState> {
        move |frame| match &frame.frame {
            Some(server_frame::Frame::State(state)) => match &state.state {
                Some(State::Room(room)) if room.people_here == people && room.complete == complete => Some(room.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_devices_do_not_count_twice_and_a_restart_shows_no_zero() {
        let backbone = Lossy::new();
        let core = crate::core::Core::new(backbone.clone());
        let presence = Presence::new();
        let one = Hall::full(core.clone(), backbone.clone(), Some(presence.clone()), |options| options.hub.state_ms = 30).await;
        let two = Hall::full(core.clone(), backbone.clone(), Some(presence.clone()), |options| options.hub.state_ms = 30).await;
        let room = core.conversation();
        let mut client = one.client(1).await;
        client.subscribe(room, None, 0).await.unwrap();
        let (mut device, _) = two.signed_in(1, Subprotocol::Json).await;
        device.subscribe(room, None, 0).await.unwrap();
        let mut other = two.client(2).await;
        other.subscribe(room, None, 0).await.unwrap();
        client.wait(counts(2, true)).await;
        device.wait(counts(2, true)).await;
        presence.away(true);
        // What is known here is told, and marked; it never says nobody.
        let own = client.wait(counts(1, false)).await;
        assert!(!own.complete);
        presence.away(false);
        client.wait(counts(2, true)).await;
        other.socket.close(None).await.unwrap();
        client.wait(counts(1, true)).await;
    }
}
