//! Posts to a chat-core over the network, which is killed, comes back, and is slow.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use gateway::{ChatCores, Upstream, upstream::UpstreamOptions};
use proto::{
    internal::v1::{HeadsRequest, Submission, edge_service_server::EdgeServiceServer},
    v1::{Comment, Post, Receipt, Refusal, RefusalCode, post::Content},
};
use testkit::eventually;
use tokio::{net::TcpListener, runtime::Runtime};
use uuid::Uuid;

use crate::{core::Core, lossy::Lossy};

const SOON: Duration = Duration::from_secs(5);

/// A chat-core behind a port, on a runtime of its own: killed, no connection of it goes on.
struct Node(Option<Runtime>);

impl Node {
    async fn serve(core: &Core, address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = EdgeServiceServer::new(core.clone());
        let listening = runtime.spawn(async move {
            let listener = eventually(SOON, "the port is free", || async { TcpListener::bind(address).await.ok() }).await;
            tokio::spawn(async move {
                let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
                tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
            });
        });
        listening.await.unwrap();
        Self(Some(runtime))
    }

    fn kill(&mut self) {
        self.0.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn node_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], testkit::free_port()))
}

fn chat_cores(address: SocketAddr, options: UpstreamOptions) -> ChatCores {
    let upstream = Upstream::remote(&format!("http://{address}"), "", &options).unwrap();
    ChatCores::new(options, vec![upstream])
}

async fn post(cores: &ChatCores, conversation: Uuid, text: &str) -> Result<Receipt, Refusal> {
    let content = Some(Content::Comment(Comment { text: text.to_owned(), ..Comment::default() }));
    let post = Post { conversation: conversation.to_string(), client_id: Uuid::now_v7().to_string(), content };
    cores.submit(Submission { person: 1, session: String::new(), post: Some(post) }).await
}

fn seq(receipt: &Receipt) -> u64 {
    receipt.position.as_ref().unwrap().seq
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_core_that_came_back_takes_the_next_post_at_once() {
    let (core, address) = (Core::new(Lossy::new()), node_address());
    let conversation = core.conversation();
    let mut node = Node::serve(&core, address).await;
    // After a failed call it would not serve, as far as is known here, until the next probe.
    let cores = chat_cores(address, UpstreamOptions { probe_ms: 1_000, ..UpstreamOptions::default() });
    for number in 1..=3 {
        assert_eq!(seq(&post(&cores, conversation, "before").await.unwrap()), number);
    }
    for number in 4..=6 {
        node.kill();
        node = Node::serve(&core, address).await;
        cores.heads(HeadsRequest::default()).await.unwrap();
        eventually(SOON, "the new one is seen", || async { cores.healthy().then_some(()) }).await;
        assert_eq!(seq(&post(&cores, conversation, "after").await.unwrap()), number);
        assert!(cores.healthy(), "the stream of the one before was not used");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_under_way_when_a_chat_core_is_killed_are_each_written_once() {
    let (core, address) = (Core::new(Lossy::new()), node_address());
    let conversation = core.conversation();
    let mut node = Node::serve(&core, address).await;
    let cores = chat_cores(address, UpstreamOptions::default());
    post(&cores, conversation, "the first").await.unwrap();
    // They are written, and nobody is told of it.
    core.submit_ms.store(60_000, Ordering::Relaxed);
    let under_way: Vec<_> = (0..50)
        .map(|number| {
            let cores = cores.clone();
            tokio::spawn(async move { post(&cores, conversation, &number.to_string()).await })
        })
        .collect();
    let written = || async { (core.with(conversation, |log| log.events.len()) > 1).then_some(()) };
    eventually(SOON, "some are written", written).await;
    node.kill();
    core.submit_ms.store(0, Ordering::Relaxed);
    node = Node::serve(&core, address).await;
    let mut seqs = Vec::new();
    for one in under_way {
        seqs.push(seq(&one.await.unwrap().unwrap()));
    }
    seqs.sort_unstable();
    assert!(seqs.iter().copied().eq(2..=51), "{seqs:?}");
    assert_eq!(core.with(conversation, |log| log.events.len()), 51);
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_a_call_that_was_given_up_answers_no_other() {
    let (core, address) = (Core::new(Lossy::new()), node_address());
    let conversation = core.conversation();
    let _node = Node::serve(&core, address).await;
    // Given up, and not tried again.
    let cores = chat_cores(address, UpstreamOptions { attempt_ms: 300, submit_deadline_ms: 310, ..UpstreamOptions::default() });
    assert_eq!(seq(&post(&cores, conversation, "in time").await.unwrap()), 1);
    core.submit_ms.store(1_000, Ordering::Relaxed);
    let late = post(&cores, conversation, "late").await.unwrap_err();
    assert_eq!(late.code(), RefusalCode::Unavailable);
    core.submit_ms.store(0, Ordering::Relaxed);
    // The answer to that one is still on its way.
    assert_eq!(seq(&post(&cores, conversation, "at once").await.unwrap()), 3);
}
