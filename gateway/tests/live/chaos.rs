//! Everything at once: sockets come, break off and resume on either of two gateways, while the backbone loses, is cut and
//! mended, and the log goes on. Every history must be whole.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use gateway::Placement;
use proto::{
    Subprotocol,
    v1::{Position, ServerFrame, Verdict, batch::Body, server_frame, sign_in::Credential},
};
use tokio::{
    task::LocalSet,
    time::{Instant, timeout},
};
use uuid::Uuid;

use crate::{
    Hall,
    client::Client,
    core::{Core, comment},
    lossy::Lossy,
};

const EVENTS: u64 = 1_500;
const CLIENTS: u32 = 24;

/// A viewer's history: what it has must always be 1..=seq.
struct Viewer {
    person: u32,
    room: Uuid,
    epoch: u32,
    seq: u64,
    resumes: u64,
}

impl Viewer {
    /// One connection, for `room_for` or until everything was seen.
    async fn visit(&mut self, hall: &Hall, room_for: Duration) {
        let subprotocol = if self.person.is_multiple_of(3) { Subprotocol::Json } else { Subprotocol::Proto };
        let mut client: Client = hall.connect(subprotocol).await;
        let ticket = hall.core.ticket(self.person, "chaos", "");
        let position = Position { conversation: self.room.to_string(), epoch: self.epoch, seq: self.seq };
        client.sign_in(Credential::Ticket(ticket), Vec::new()).await;
        let subscribed = client.subscribe(self.room, (self.epoch != 0).then_some(position), 0).await.unwrap();
        let at = subscribed.position.clone().unwrap();
        match subscribed.verdict() {
            Verdict::Resumed => {
                assert_eq!(at.seq, self.seq);
                self.resumes += 1;
            }
            // Nothing was said before the first visit; later, little enough is missed to be replayed.
            Verdict::Fresh => assert_eq!(self.epoch, 0),
            other => panic!("{other:?} at {}", self.seq),
        }
        (self.epoch, self.seq) = (at.epoch, at.seq);
        let until = Instant::now() + room_for;
        while self.seq < EVENTS {
            let Ok(frame) = tokio::time::timeout_at(until, client.next()).await else { return };
            self.see(frame.expect("nobody closes"));
        }
    }

    fn see(&mut self, frame: ServerFrame) {
        let Some(server_frame::Frame::Batch(batch)) = frame.frame else { return };
        let Some(Body::Events(body)) = batch.body else { panic!("no events") };
        for event in body.events {
            assert_eq!(event.seq, self.seq + 1, "each event once, in order, none missing");
            self.seq = event.seq;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_breaks_every_history_is_whole() {
    break_everything(Placement::OwnThreads).await;
}

#[tokio::test]
async fn and_so_it_is_where_all_is_one_thread() {
    LocalSet::new().run_until(break_everything(Placement::ThisThread)).await;
}

async fn break_everything(placement: Placement) {
    let backbone = Lossy::new();
    let core = Core::new(backbone.clone());
    let one = Hall::at(placement, core.clone(), backbone.clone(), None, |options| options.hub.repair_ms = 500).await;
    let two = Hall::at(placement, core, backbone, None, |options| {
        options.hub.repair_ms = 500;
        // Its rooms close and open all the time.
        options.hub.room_grace_s = 0;
    })
    .await;
    let (one, two) = (Arc::new(one), Arc::new(two));
    let room = one.core.conversation();
    let resumes = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let mut viewers = tokio::task::JoinSet::new();
    for person in 1..=CLIENTS {
        let mut viewer = Viewer { person, room, epoch: 0, seq: 0, resumes: 0 };
        let halls = [one.clone(), two.clone()];
        // All have come once before anything is said.
        viewer.visit(&halls[0], Duration::ZERO).await;
        let resumes = resumes.clone();
        viewers.spawn(async move {
            while viewer.seq < EVENTS {
                let hall = &halls[rand::random_range(0..2)];
                viewer.visit(hall, Duration::from_millis(rand::random_range(1..400))).await;
            }
            resumes.fetch_add(viewer.resumes, Ordering::Relaxed);
        });
    }
    let faults = {
        let (backbone, done) = (one.backbone.clone(), done.clone());
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                backbone.loses_next.store(true, Ordering::Release);
                tokio::time::sleep(Duration::from_millis(rand::random_range(10..150))).await;
                if rand::random_bool(0.2) {
                    backbone.cut(true);
                    tokio::time::sleep(Duration::from_millis(rand::random_range(10..300))).await;
                    backbone.cut(false);
                }
            }
        })
    };
    let mut held = Vec::new();
    for number in 1..=EVENTS {
        let announcement = one.core.commit(room, 1, comment(&number.to_string()));
        // Some announcements are late, and overtaken.
        held.push(announcement);
        if rand::random_bool(0.7) {
            while !held.is_empty() {
                let late = held.swap_remove(rand::random_range(0..held.len()));
                one.core.announce(room, late).await;
            }
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..4))).await;
        }
    }
    timeout(Duration::from_secs(40), async { while viewers.join_next().await.transpose().unwrap().is_some() {} })
        .await
        .expect("every history becomes whole");
    done.store(true, Ordering::Relaxed);
    faults.await.unwrap();
    assert!(resumes.load(Ordering::Relaxed) > u64::from(CLIENTS), "they came back often");
}
