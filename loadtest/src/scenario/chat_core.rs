//! Posts as a gateway sends them to chat-core, without a gateway: some calls in flight, each with what has gathered.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use parking_lot::Mutex;
use proto::{
    internal::v1::{CheckSessionsRequest, Submission, SubmitRequest, edge_service_client::EdgeServiceClient, submit_verdict::Verdict},
    metadata,
    v1::{
        Batch, Comment, FollowRequest, OpenDirectRequest, Position, Post, conversation_service_client::ConversationServiceClient,
        post::Content,
    },
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::{
    client::{
        Person, Session,
        mark::{Mark, text_bytes, text_of},
        now_us,
    },
    generator::{arrivals::Latencies, orders::RunFindings},
};

/// Calls in flight and posts in one call, as the gateway's `gateway.upstream.in_flight_most` and `batch_most` are.
const CALLS: usize = 4;
const BATCH: usize = 512;

/// A chat-core, and who posts there.
pub struct ChatCore {
    channel: Channel,
    key: String,
    people: Vec<Person>,
}

/// What is posted.
pub struct Load<'a> {
    /// To these conversations, in turn.
    pub rooms: &'a [String],
    /// The run's mark.
    pub run: &'a str,
    /// Number of the first post.
    pub first: u32,
    /// Posts a second; 0: as many as chat-core takes.
    pub per_s: f64,
    /// With `per_s` 0: posts under way at once.
    pub at_once: usize,
    /// Bytes of an event, about.
    pub bytes: usize,
    /// For how long.
    pub over: Duration,
}

impl ChatCore {
    /// Reaches it, and asks who the sessions are.
    ///
    /// # Errors
    /// When it cannot be reached, or a session is not good.
    pub async fn connect(address: &str, key: &str, sessions: &[Session]) -> anyhow::Result<Self> {
        let channel = Channel::from_shared(address.to_owned())?.tcp_nodelay(true).connect().await.context("reaching chat-core")?;
        let mut this = Self { channel, key: key.to_owned(), people: Vec::new() };
        let mut edge = this.edge();
        let mut people = Vec::with_capacity(sessions.len());
        for chunk in sessions.chunks(500) {
            let tokens = chunk.iter().map(|session| session.token.clone()).collect();
            let answer = edge.check_sessions(this.asked(CheckSessionsRequest { tokens }, None)?).await?.into_inner();
            for checked in answer.sessions {
                let identity = checked.identity.context("a session that is not good")?;
                people.push(Person { person: identity.person, session: identity.session });
            }
        }
        this.people = people;
        Ok(this)
    }

    fn edge(&self) -> EdgeServiceClient<Channel> {
        EdgeServiceClient::new(self.channel.clone()).max_decoding_message_size(64 << 20).max_encoding_message_size(64 << 20)
    }

    fn asked<T>(&self, message: T, person: Option<&Person>) -> anyhow::Result<tonic::Request<T>> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert(metadata::KEY, self.key.parse()?);
        if let Some(Person { person, session }) = person {
            request.metadata_mut().insert(metadata::PERSON, person.to_string().parse()?);
            request.metadata_mut().insert(metadata::SESSION, session.parse()?);
        }
        Ok(request)
    }

    /// Direct conversations of the first with the second, and so on.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub async fn pairs(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let mut client = ConversationServiceClient::new(self.channel.clone());
        let mut opened = Vec::with_capacity(count);
        for pair in self.people.chunks_exact(2).take(count) {
            let request = self.asked(OpenDirectRequest { person: pair[1].person }, Some(&pair[0]))?;
            opened.push(client.open_direct(request).await.context("opening a direct conversation")?.into_inner().id);
        }
        anyhow::ensure!(opened.len() == count, "{count} pairs need twice as many people");
        Ok(opened)
    }

    /// A conversation's events after a position.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn follow(&self, person: usize, conversation: &str, after: u64) -> anyhow::Result<tonic::Streaming<Batch>> {
        let client = ConversationServiceClient::new(self.channel.clone());
        let after = Position { conversation: conversation.to_owned(), epoch: 0, seq: after };
        let request = self.asked(FollowRequest { after: Some(after) }, self.people.get(person))?;
        Ok(client.max_decoding_message_size(64 << 20).follow(request).await?.into_inner())
    }

    /// Posts; what was acknowledged, and how soon.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn post(&self, load: &Load<'_>) -> anyhow::Result<RunFindings> {
        let state = Arc::new(Mutex::new(State { next: 0, found: RunFindings::default(), receipts: Latencies::default() }));
        let (start_us, end_us) = (now_us(), now_us() + load.over.as_micros() as i64);
        let batch = (load.at_once / CALLS).clamp(1, BATCH);
        let lanes = (0..CALLS).map(|_| async {
            let (calls, asked) = mpsc::channel(1);
            let mut answers = self.edge().submit(self.asked(ReceiverStream::new(asked), None)?).await?.into_inner();
            loop {
                let now = now_us();
                if now >= end_us {
                    return anyhow::Ok(());
                }
                // What is due by now, as much as one call takes.
                let due = |number: u32| match load.per_s {
                    0.0 => now,
                    per_s => start_us + (f64::from(number) * 1e6 / per_s) as i64,
                };
                let mut posts = Vec::new();
                {
                    let mut state = state.lock();
                    while posts.len() < batch && due(state.next) <= now {
                        posts.push((state.next, due(state.next)));
                        state.next += 1;
                    }
                    state.found.due += posts.len() as u64;
                }
                if posts.is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
                let submissions = posts.iter().map(|(number, due_us)| self.submission(load, *number, *due_us)).collect();
                calls.send(SubmitRequest { submissions }).await?;
                let answer = answers.message().await?.context("the stream of posts ended")?;
                let now = now_us();
                let mut state = state.lock();
                for ((number, due_us), verdict) in posts.iter().zip(answer.verdicts) {
                    match verdict.verdict {
                        Some(Verdict::Receipt(receipt)) => {
                            let room = (*number as usize % load.rooms.len()) as u32;
                            state.receipts.record(*due_us, now, 1);
                            let seq = receipt.position.map_or(0, |position| position.seq);
                            state.found.acknowledged.push((load.first + number, room, seq));
                        }
                        Some(Verdict::Refusal(refusal)) => {
                            *state.found.errors.entry(refusal.code().as_str_name().to_owned()).or_default() += 1;
                        }
                        None => {}
                    }
                }
            }
        });
        futures::future::try_join_all(lanes).await?;
        let mut state = state.lock();
        let mut found = std::mem::take(&mut state.found);
        found.receipts = state.receipts.sparse();
        Ok(found)
    }

    fn submission(&self, load: &Load<'_>, number: u32, due_us: i64) -> Submission {
        let room = number as usize % load.rooms.len();
        // One of the two whose conversation it is, or anybody in the one conversation.
        let person = match load.rooms.len() {
            1 => number as usize % self.people.len(),
            rooms => 2 * room + number as usize / rooms % 2,
        };
        let Person { person, session } = &self.people[person];
        let index = load.first + number;
        let text = text_of(load.run, Mark { index, due_us }, text_bytes(load.bytes));
        let post = Post {
            conversation: load.rooms[room].clone(),
            client_id: uuid::Uuid::now_v7().to_string(),
            content: Some(Content::Comment(Comment { text, ..Comment::default() })),
        };
        Submission { person: *person, session: session.clone(), post: Some(post) }
    }
}

struct State {
    next: u32,
    found: RunFindings,
    receipts: Latencies,
}
