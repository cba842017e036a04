//! Conversations without a socket, as a gRPC service.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use proto::v1::{
    Batch, ChangeMembersRequest, Conversation, CreateGroupRequest, Events, FollowRequest, GetConversationRequest, ListConversationsRequest,
    ListConversationsResponse, MarkRead, OpenDirectRequest, Page, PageRequest, Post, ReadMoved, Receipt, Refusal, RefusalCode, batch::Body,
    conversation_service_server::ConversationService, page_request::Where,
};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::{Conversations, Seen, rows};
use crate::{
    accounts::{Accounts, Caller},
    clock,
    fault::Error,
    log::Submission,
    rights::{Asker, Rules},
};

/// People listed with a conversation.
const PEOPLE: usize = 200;

/// Serves conversations.
pub struct ConversationApi {
    /// What is served.
    pub conversations: Arc<Conversations>,
    /// Who calls.
    pub accounts: Arc<Accounts>,
    /// Streams of Follow at once.
    pub followers: Arc<Semaphore>,
}

impl ConversationApi {
    fn caller<T>(&self, request: &Request<T>) -> Result<Caller, Refusal> {
        self.accounts.caller(request.metadata())
    }

    async fn tell(&self, caller: &Caller, id: &str) -> Result<Conversation, Error> {
        let seen = self.conversations.see(caller, id).await?;
        let row = rows::one(&self.conversations.store, seen.head.conversation, caller.person.id).await?.ok_or(RefusalCode::NotFound)?;
        self.told(&seen, row).await
    }

    async fn told(&self, seen: &Seen, row: rows::ConversationRow) -> Result<Conversation, Error> {
        let head = &seen.head;
        let post = seen.rules.may_post(seen.asker());
        let mut people: Vec<u32> = match seen.rules.as_ref() {
            Rules::Members(members) => members.people.iter().copied().collect(),
            Rules::Consultation(_) => Vec::new(),
        };
        let people_count = people.len() as u32;
        people.sort_unstable();
        people.truncate(PEOPLE);
        let newest = PageRequest { r#where: Some(Where::Before(0)), limit: 20, ..PageRequest::default() };
        let page = self.conversations.log.page(head.conversation, &newest, 0).await?;
        let latest = page.events.into_iter().rev().find(|event| matches!(event.kind, Some(proto::v1::event::Kind::Comment(_))));
        Ok(Conversation {
            id: head.conversation.to_string(),
            kind: seen.rules.kind().into(),
            title: row.title,
            epoch: head.epoch as u32,
            head_seq: head.seq as u64,
            head_mseq: head.mseq as u64,
            read_mseq: row.read_mseq as u64,
            unread: (head.mseq - row.read_mseq).max(0) as u64,
            people,
            people_count,
            latest,
            may_post: post.is_ok(),
            post_refusal: post.err(),
            may_moderate: seen.rules.may_moderate(seen.asker()).is_ok(),
        })
    }

    async fn list(&self, caller: &Caller, asked: &ListConversationsRequest) -> Result<ListConversationsResponse, Error> {
        let limit = if asked.limit == 0 { 50 } else { asked.limit.min(200) };
        let offset: i64 = if asked.cursor.is_empty() {
            0
        } else {
            asked
                .cursor
                .parse()
                .ok()
                .filter(|offset| (0..1_000_000).contains(offset))
                .ok_or_else(|| Refusal::of(RefusalCode::Invalid).field("cursor"))?
        };
        let listed = rows::of_person(&self.conversations.store, caller.person.id, i64::from(limit) + 1, offset).await?;
        let more = listed.len() > limit as usize;
        let mut conversations = Vec::with_capacity(listed.len());
        for row in listed.into_iter().take(limit as usize) {
            match self.conversations.see(caller, &row.id.to_string()).await {
                Ok(seen) => conversations.push(self.told(&seen, row).await?),
                // Left a moment ago.
                Err(Error::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        let next = if more { (offset + i64::from(limit)).to_string() } else { String::new() };
        Ok(ListConversationsResponse { conversations, next })
    }

    async fn start_following(&self, caller: Caller, asked: FollowRequest) -> Result<FollowStream, Error> {
        let after = asked.after.ok_or_else(|| Refusal::of(RefusalCode::Invalid).field("after"))?;
        let seen = self.conversations.see(&caller, &after.conversation).await?;
        if after.epoch != 0 && i64::from(after.epoch) != seen.head.epoch {
            return Err(RefusalCode::EpochChanged.into());
        }
        if after.seq > seen.head.seq as u64 {
            return Err(RefusalCode::PositionBeyondHead.into());
        }
        let turn = self.followers.clone().try_acquire_owned().map_err(|_| RefusalCode::Overloaded)?;
        let conversations = self.conversations.clone();
        let id = seen.head.conversation;
        let stream = self.conversations.log.follow(id, after.seq);
        Ok(Box::pin(stream.then(move |events| {
            // Held as long as the stream lives.
            let _turn = &turn;
            let (conversations, caller) = (conversations.clone(), caller.clone());
            async move {
                let events = events.map_err(|fault| Status::from(fault.refuse("following a conversation")))?;
                // A right that was lost ends the stream before the next event.
                let head = conversations.log.head(id).await.map_err(|fault| Status::from(fault.refuse("following a conversation")))?;
                let head = head.ok_or_else(|| Status::from(Refusal::of(RefusalCode::NotFound)))?;
                let rules = conversations.rights.rules(&head).await.map_err(|error| error.status("following a conversation"))?;
                let directory = conversations.rights.directory().snapshot();
                let person = directory.person(caller.person.id).ok_or_else(|| Status::from(Refusal::of(RefusalCode::Unauthenticated)))?;
                rules.may_watch(Asker { directory: &directory, person, now_ms: clock::now_ms() })?;
                let first_seq = events.first().map_or(0, |event| event.seq);
                let count = events.len() as u32;
                let epoch = head.epoch as u32;
                Ok(Batch {
                    conversation: id.to_string(),
                    epoch,
                    first_seq,
                    count,
                    body: Some(Body::Events(Events { events })),
                    window_ms: 0,
                })
            }
        })))
    }
}

type FollowStream = Pin<Box<dyn Stream<Item = Result<Batch, Status>> + Send>>;

#[tonic::async_trait]
impl ConversationService for ConversationApi {
    async fn list_conversations(&self, request: Request<ListConversationsRequest>) -> Result<Response<ListConversationsResponse>, Status> {
        let answer = async { self.list(&self.caller(&request)?, request.get_ref()).await };
        answer.await.map(Response::new).map_err(|error| error.status("listing conversations"))
    }

    async fn get_conversation(&self, request: Request<GetConversationRequest>) -> Result<Response<Conversation>, Status> {
        let answer = async { self.tell(&self.caller(&request)?, &request.get_ref().id).await };
        answer.await.map(Response::new).map_err(|error| error.status("showing a conversation"))
    }

    async fn open_direct(&self, request: Request<OpenDirectRequest>) -> Result<Response<Conversation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let id = self.conversations.open_direct(&caller, request.get_ref().person).await?;
            self.tell(&caller, &id.to_string()).await
        };
        answer.await.map(Response::new).map_err(|error| error.status("opening a direct conversation"))
    }

    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Result<Response<Conversation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let id = self.conversations.create_group(&caller, request.into_inner()).await?;
            self.tell(&caller, &id.to_string()).await
        };
        answer.await.map(Response::new).map_err(|error| error.status("making a group"))
    }

    async fn change_members(&self, request: Request<ChangeMembersRequest>) -> Result<Response<Conversation>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let id = self.conversations.change_members(&caller, request.into_inner()).await?;
            match self.tell(&caller, &id.to_string()).await {
                // Who left sees no more of it than its id.
                Err(Error::Refused(_)) => Ok(Conversation { id: id.to_string(), ..Conversation::default() }),
                told => told,
            }
        };
        answer.await.map(Response::new).map_err(|error| error.status("changing a group"))
    }

    async fn send_post(&self, request: Request<Post>) -> Result<Response<Receipt>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let submission = Submission::new(caller.person.id, request.into_inner())?;
            self.conversations.log.append(submission).await
        };
        answer.await.map(Response::new).map_err(Status::from)
    }

    async fn get_page(&self, request: Request<PageRequest>) -> Result<Response<Page>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let asked = request.get_ref();
            let seen = self.conversations.see(&caller, &asked.conversation).await?;
            let read = match asked.r#where {
                Some(Where::FirstUnread(_)) => {
                    let key = (seen.head.conversation, caller.person.id);
                    rows::read_marks(&self.conversations.store, &[key]).await?.get(&key).copied().unwrap_or(0)
                }
                _ => 0,
            };
            self.conversations.log.page(seen.head.conversation, asked, read as u64).await
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("reading a conversation"))
    }

    async fn set_read(&self, request: Request<MarkRead>) -> Result<Response<ReadMoved>, Status> {
        let answer = async {
            let caller = self.caller(&request)?;
            let MarkRead { conversation, mseq } = request.into_inner();
            let seen = self.conversations.see(&caller, &conversation).await?;
            let mark = proto::internal::v1::ReadMark { person: caller.person.id, conversation: seen.head.conversation.to_string(), mseq };
            let moved = self.conversations.mark_read(&[mark]).await?;
            Ok(ReadMoved { conversation, mseq: moved.first().copied().unwrap_or(0) })
        };
        answer.await.map(Response::new).map_err(|error: Error| error.status("noting how far was read"))
    }

    type FollowStream = FollowStream;

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let answer = async { self.start_following(self.caller(&request)?, request.into_inner()).await };
        answer.await.map(Response::new).map_err(|error| error.status("following a conversation"))
    }
}
