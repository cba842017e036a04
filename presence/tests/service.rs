//! The service, over real connections.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use presence::{Options, Presence};
use proto::internal::v1::{
    GatewayHello, GetCountsRequest, Gone, Heartbeat, Here, PresenceChange, PresenceReport, PresenceSet, RoomCounts,
    presence_report::Report, presence_service_client::PresenceServiceClient,
};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Code, Request, Streaming,
    transport::{Channel, Endpoint, Server},
};

const KEY: &str = "the roles' shared key";
const ROOM: &str = "hall";

/// A presence instance on a free port; stops when dropped.
struct Instance {
    uri: String,
    task: tokio::task::JoinHandle<()>,
}

impl Instance {
    async fn start(options: Options) -> Self {
        // Kept for this test: the instance that is started again listens on the same one.
        Self::start_on(options, TcpListener::bind(("127.0.0.1", testkit::free_port())).await.unwrap())
    }

    fn start_on(options: Options, listener: TcpListener) -> Self {
        let port = listener.local_addr().unwrap().port();
        let presence = Presence::start(options);
        let task = tokio::spawn(async move {
            Server::builder().add_routes(presence.routes()).serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        Self { uri: format!("http://127.0.0.1:{port}"), task }
    }

    async fn client(&self) -> PresenceServiceClient<Channel> {
        PresenceServiceClient::new(Endpoint::from_shared(self.uri.clone()).unwrap().connect().await.unwrap())
    }

    async fn counts(&self, room: &str) -> RoomCounts {
        self.client().await.get_counts(with_key(GetCountsRequest { conversation: room.to_owned() })).await.unwrap().into_inner()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn options() -> Options {
    // Many times the interval of reports and counts: a machine that is busy with other tests loses no stream.
    Options { key: KEY.to_owned(), start_grace_ms: 0, grace_ms: 2_000, counts_ms: 50, silence_ms: 3_000, ..Options::default() }
}

fn with_key<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(proto::metadata::KEY, KEY.parse().unwrap());
    request
}

fn here(person: u32) -> Here {
    Here { conversation: ROOM.to_owned(), person, path: vec![90, 11, 1] }
}

/// A gateway that reports and receives counts.
struct Gateway {
    sender: mpsc::Sender<PresenceReport>,
    counts: Streaming<proto::internal::v1::PresenceCounts>,
}

impl Gateway {
    async fn open(instance: &Instance, name: &str, incarnation: u64, people: &[u32]) -> Self {
        let (sender, receiver) = mpsc::channel(64);
        let counts = instance.client().await.report(with_key(ReceiverStream::new(receiver))).await.unwrap().into_inner();
        let gateway = Self { sender, counts };
        gateway.send(Report::Hello(GatewayHello { gateway: name.to_owned(), incarnation, gateways: 1 })).await;
        gateway.send(Report::Set(PresenceSet { here: people.iter().map(|person| here(*person)).collect(), last: true })).await;
        gateway
    }

    async fn send(&self, report: Report) {
        let _ = self.sender.send(PresenceReport { report: Some(report) }).await;
    }

    /// The next counts of the room.
    async fn receive(&mut self) -> RoomCounts {
        timeout(Duration::from_secs(5), async {
            loop {
                let counts = self.counts.message().await.unwrap().expect("the stream goes on");
                if let Some(room) = counts.rooms.into_iter().find(|room| room.conversation == ROOM) {
                    return room;
                }
            }
        })
        .await
        .expect("counts within five seconds")
    }

    async fn receive_people(&mut self, people: u32, complete: bool) -> RoomCounts {
        loop {
            let counts = self.receive().await;
            if (counts.people, counts.complete) == (people, complete) {
                return counts;
            }
            self.send(Report::Heartbeat(Heartbeat {})).await;
        }
    }

    /// Keeps the stream alive from a task of its own.
    fn keep_alive(&self) -> tokio::task::JoinHandle<()> {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            while sender.send(PresenceReport { report: Some(Report::Heartbeat(Heartbeat {})) }).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    }
}

#[tokio::test]
async fn counts_come_down_the_same_stream_and_people_of_two_gateways_are_united() {
    let instance = Instance::start(options()).await;
    let mut a = Gateway::open(&instance, "a", 1, &[1, 2]).await;
    let mut b = Gateway::open(&instance, "b", 1, &[2, 3]).await;
    let (_a, _b) = (a.keep_alive(), b.keep_alive());
    let counts = a.receive_people(3, true).await;
    assert_eq!(counts.by_organisation.iter().map(|row| (row.organisation, row.people)).collect::<Vec<_>>(), [(1, 3), (11, 3), (90, 3)]);
    b.receive_people(3, true).await;
    let change = PresenceChange { number: 1, joined: vec![here(4)], left: vec![Gone { conversation: ROOM.to_owned(), person: 3 }] };
    b.send(Report::Change(change)).await;
    b.send(Report::Change(PresenceChange { number: 2, joined: vec![here(5)], left: vec![] })).await;
    a.receive_people(4, true).await;
    assert_eq!(instance.counts(ROOM).await.people, 4);
}

#[tokio::test]
async fn presence_a_gateway_that_dies_takes_its_people_with_it_within_seconds() {
    let instance = Instance::start(options()).await;
    let mut a = Gateway::open(&instance, "a", 1, &[1]).await;
    let _a = a.keep_alive();
    let b = Gateway::open(&instance, "b", 1, &[2]).await;
    let keep_alive = b.keep_alive();
    a.receive_people(2, true).await;
    keep_alive.abort();
    drop(b);
    a.receive_people(2, false).await;
    a.receive_people(1, true).await;
}

#[tokio::test]
async fn a_gateway_that_hangs_is_lost_too() {
    let instance = Instance::start(options()).await;
    let mut a = Gateway::open(&instance, "a", 1, &[1]).await;
    let _a = a.keep_alive();
    let _silent = Gateway::open(&instance, "b", 1, &[2]).await;
    a.receive_people(2, true).await;
    a.receive_people(1, true).await;
}

#[tokio::test]
async fn presence_a_restart_shows_no_zero_to_the_hall_as_if_it_were_true() {
    let first = Instance::start(options()).await;
    let port: u16 = first.uri.rsplit(':').next().unwrap().parse().unwrap();
    let mut a = Gateway::open(&first, "a", 1, &[1]).await;
    a.receive_people(1, true).await;
    drop(first);
    drop(a);
    let listener = timeout(Duration::from_secs(5), async {
        loop {
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
    .expect("the port is free again");
    // Longer than any test: the counts are complete when the one gateway that there is has reported, and not before.
    let second = Instance::start_on(Options { start_grace_ms: 600_000, ..options() }, listener);
    let counts = second.counts(ROOM).await;
    assert_eq!((counts.people, counts.complete), (0, false), "what was not reported yet is not known");
    let mut a = Gateway::open(&second, "a", 1, &[1]).await;
    let _beat = a.keep_alive();
    a.receive_people(1, true).await;
}

#[tokio::test]
async fn a_caller_without_the_roles_key_is_refused() {
    let instance = Instance::start(options()).await;
    let mut client = instance.client().await;
    let request = GetCountsRequest { conversation: ROOM.to_owned() };
    assert_eq!(client.get_counts(request.clone()).await.unwrap_err().code(), Code::Unauthenticated);
    let mut wrong = Request::new(request);
    wrong.metadata_mut().insert(proto::metadata::KEY, "the roles' shared kez".parse().unwrap());
    assert_eq!(client.get_counts(wrong).await.unwrap_err().code(), Code::Unauthenticated);
    let (_sender, receiver) = mpsc::channel::<PresenceReport>(1);
    assert_eq!(client.report(ReceiverStream::new(receiver)).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_stream_with_a_hole_is_ended_and_one_made_anew_is_whole() {
    let instance = Instance::start(options()).await;
    let mut a = Gateway::open(&instance, "a", 1, &[1]).await;
    a.receive_people(1, true).await;
    a.send(Report::Change(PresenceChange { number: 2, joined: vec![here(2)], left: vec![] })).await;
    let status = loop {
        match a.counts.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::FailedPrecondition);
    let mut again = Gateway::open(&instance, "a", 1, &[1, 2]).await;
    again.receive_people(2, true).await;
}
