//! Conversations without a socket, as a gRPC service.

use std::{pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _};
use kernel::{
    Context, Error, Seen,
    accounts::Caller,
    answer,
    conversations::{self, ConversationRow},
    log::Submission,
    rights::Asker,
};
use proto::v1::{
    Batch, ChangeMembersRequest, Conversation, CreateGroupRequest, Events, FollowRequest, GetConversationRequest, ListConversationsRequest,
    ListConversationsResponse, MarkRead, OpenDirectRequest, Page, PageRequest, Post, ReadMoved, Receipt, Refusal, RefusalCode, batch::Body,
    conversation_service_server::ConversationService, page_request::Where,
};
use sequence::kinds::as_kind;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use crate::people;

/// People listed with a conversation at most.
const PEOPLE_LISTED: usize = 200;

/// Serves conversations.
pub struct Service {
    /// The kernel.
    pub context: Context,
    /// Streams of Follow at once.
    pub followers: Arc<Semaphore>,
}

impl Service {
    async fn show(&self, caller: &Caller, id: &str) -> Result<Conversation, Error> {
        let seen = self.context.see(caller, id).await?;
        let row = conversations::find_conversation(&self.context.store, seen.head.conversation, caller.person.id)
            .await?
            .ok_or(RefusalCode::NotFound)?;
        self.describe(&seen, row).await
    }

    async fn describe(&self, seen: &Seen, row: ConversationRow) -> Result<Conversation, Error> {
        let head = &seen.head;
        let post = seen.rules.may_post(seen.asker());
        let mut people: Vec<u32> = seen.rules.members().into_iter().flatten().copied().collect();
        let people_count = people.len() as u32;
        people.sort_unstable();
        people.truncate(PEOPLE_LISTED);
        let newest = PageRequest { r#where: Some(Where::Before(0)), limit: 20, ..PageRequest::default() };
        let page = self.context.log.page(head.conversation, &newest, 0).await?;
        let latest = page.events.into_iter().rev().find(|event| event.kind.as_ref().is_some_and(|kind| as_kind(kind).makes_unread()));
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
        let listed = conversations::list_conversations(&self.context.store, caller.person.id, i64::from(limit) + 1, offset).await?;
        let more = listed.len() > limit as usize;
        let mut conversations = Vec::with_capacity(listed.len());
        for row in listed.into_iter().take(limit as usize) {
            match self.context.see(caller, &row.id.to_string()).await {
                Ok(seen) => conversations.push(self.describe(&seen, row).await?),
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
        let seen = self.context.see(&caller, &after.conversation).await?;
        if after.epoch != 0 && i64::from(after.epoch) != seen.head.epoch {
            return Err(RefusalCode::EpochChanged.into());
        }
        if after.seq > seen.head.seq as u64 {
            return Err(RefusalCode::PositionBeyondHead.into());
        }
        let turn = self.followers.clone().try_acquire_owned().map_err(|_| RefusalCode::Overloaded)?;
        let context = self.context.clone();
        let id = seen.head.conversation;
        let stream = self.context.log.follow(id, after.seq);
        Ok(Box::pin(stream.then(move |events| {
            // Held as long as the stream lives.
            let _turn = &turn;
            let (context, caller) = (context.clone(), caller.clone());
            async move {
                let events = events.map_err(|fault| Status::from(fault.refuse("following a conversation")))?;
                // A right that was lost ends the stream before the next event.
                let head = context.log.head(id).await.map_err(|fault| Status::from(fault.refuse("following a conversation")))?;
                let head = head.ok_or_else(|| Status::from(Refusal::of(RefusalCode::NotFound)))?;
                let rules = context.rights.rules(&head).await.map_err(|error| error.into_status("following a conversation"))?;
                let directory = context.directory.snapshot();
                let person = directory.person(caller.person.id).ok_or_else(|| Status::from(Refusal::of(RefusalCode::Unauthenticated)))?;
                rules.may_watch(Asker { directory: &directory, person, now_ms: context.clock.now_ms() })?;
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
impl ConversationService for Service {
    async fn list_conversations(&self, request: Request<ListConversationsRequest>) -> Result<Response<ListConversationsResponse>, Status> {
        answer("listing conversations", async { self.list(&self.context.caller(&request)?, request.get_ref()).await }).await
    }

    async fn get_conversation(&self, request: Request<GetConversationRequest>) -> Result<Response<Conversation>, Status> {
        answer("showing a conversation", async { self.show(&self.context.caller(&request)?, &request.get_ref().id).await }).await
    }

    async fn open_direct(&self, request: Request<OpenDirectRequest>) -> Result<Response<Conversation>, Status> {
        answer("opening a direct conversation", async {
            let caller = self.context.caller(&request)?;
            let id = people::open_direct(&self.context, &caller, request.get_ref().person).await?;
            self.show(&caller, &id.to_string()).await
        })
        .await
    }

    async fn create_group(&self, request: Request<CreateGroupRequest>) -> Result<Response<Conversation>, Status> {
        answer("making a group", async {
            let caller = self.context.caller(&request)?;
            let id = people::create_group(&self.context, &caller, request.into_inner()).await?;
            self.show(&caller, &id.to_string()).await
        })
        .await
    }

    async fn change_members(&self, request: Request<ChangeMembersRequest>) -> Result<Response<Conversation>, Status> {
        answer("changing a group", async {
            let caller = self.context.caller(&request)?;
            let id = people::change_members(&self.context, &caller, request.get_ref()).await?;
            match self.show(&caller, &id.to_string()).await {
                // Who left sees no more of it than its id.
                Err(Error::Refused(_)) => Ok(Conversation { id: id.to_string(), ..Conversation::default() }),
                shown => shown,
            }
        })
        .await
    }

    async fn send_post(&self, request: Request<Post>) -> Result<Response<Receipt>, Status> {
        answer("posting", async {
            let caller = self.context.caller(&request)?;
            let submission = Submission::new(caller.person.id, request.into_inner())?;
            Ok(self.context.log.append(submission).await?)
        })
        .await
    }

    async fn get_page(&self, request: Request<PageRequest>) -> Result<Response<Page>, Status> {
        answer("reading a conversation", async {
            let caller = self.context.caller(&request)?;
            let asked = request.get_ref();
            let seen = self.context.see(&caller, &asked.conversation).await?;
            self.context.read_page(seen.head.conversation, caller.person.id, asked).await
        })
        .await
    }

    async fn set_read(&self, request: Request<MarkRead>) -> Result<Response<ReadMoved>, Status> {
        answer("moving a read mark", async {
            let caller = self.context.caller(&request)?;
            let MarkRead { conversation, mseq } = request.into_inner();
            let seen = self.context.see(&caller, &conversation).await?;
            let mark = proto::internal::v1::ReadMark { person: caller.person.id, conversation: seen.head.conversation.to_string(), mseq };
            let moved = self.context.conversations.mark_read(&[mark]).await?;
            Ok(ReadMoved { conversation, mseq: moved.first().copied().unwrap_or(0) })
        })
        .await
    }

    type FollowStream = FollowStream;

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        answer("following a conversation", async { self.start_following(self.context.caller(&request)?, request.into_inner()).await }).await
    }
}
