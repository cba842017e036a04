//! What goes into a log, the rows it is kept in, and who decides about it.

use async_trait::async_trait;
use prost::Message as _;
use proto::v1::{Event, Post, Refusal, event::Kind, post::Content};
use sequence::kinds::{self, PostedKind, Right};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use sqlx::FromRow;
use uuid::Uuid;

use crate::{
    fault::{Error, Fault},
    store::Tx,
};

/// The newest state of a conversation's log; locked while it is appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow, Deserialize)]
pub struct HeadRow {
    /// The conversation.
    pub conversation: Uuid,
    /// The log's incarnation.
    pub epoch: i64,
    /// `proto::v1::ConversationKind`, or [`CONTROL_KIND`].
    pub kind: i64,
    /// Newest event.
    pub seq: i64,
    /// Newest event that makes something unread.
    pub mseq: i64,
    /// Counts the changes of who may post here: a judgement under another gate is judged again.
    pub gate: i64,
    /// The newest event's time.
    pub time_ms: i64,
    /// People who have spoken.
    pub spoke: i64,
    /// Comments that stand.
    pub comments: i64,
}

/// The kind of the control log, which is no conversation of the contract.
pub const CONTROL_KIND: i64 = 100;
/// The control log's reserved id.
pub const CONTROL: Uuid = Uuid::from_u128(0x0000_0000_0000_0000_0000_0000_0000_0001);

impl HeadRow {
    /// As gateways are given it.
    #[must_use]
    pub fn to_proto(self) -> proto::internal::v1::Head {
        proto::internal::v1::Head {
            conversation: self.conversation.to_string(),
            epoch: self.epoch as u32,
            seq: self.seq as u64,
            mseq: self.mseq as u64,
            people_spoke: self.spoke as u32,
            comments: self.comments.max(0) as u64,
        }
    }
}

/// Somebody's wish to append, held to the contract by `sequence::check_post`.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The conversation.
    pub conversation: Uuid,
    /// The person who posts.
    pub author: u32,
    /// Never used again by this author in this conversation for something else.
    pub client_id: Uuid,
    /// What is posted.
    pub content: Content,
}

impl Submission {
    /// Holds a post to the contract.
    ///
    /// # Errors
    /// What `sequence::check_post` says; NOT_FOUND for the control log.
    pub fn new(author: u32, mut post: Post) -> Result<Self, Refusal> {
        sequence::check_post(&mut post)?;
        let malformed = || Refusal::of(proto::v1::RefusalCode::Malformed);
        let content = post.content.ok_or_else(malformed)?;
        let conversation = Uuid::try_parse(&post.conversation).map_err(|_| malformed().field("conversation"))?;
        // Not even locked for anybody: whoever changes a conversation locks its head first, and the control log's last.
        if conversation == CONTROL {
            return Err(Refusal::of(proto::v1::RefusalCode::NotFound).field("conversation"));
        }
        Ok(Self { conversation, author, client_id: Uuid::try_parse(&post.client_id).map_err(|_| malformed().field("client_id"))?, content })
    }

    /// Tells the same content from another under one client_id.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        // The bytes of a `Post` with nothing but its content, without a copy of it.
        let mut encoded = Vec::with_capacity(self.content.encoded_len());
        self.content.encode(&mut encoded);
        Sha256::digest(encoded)[..16].to_vec()
    }

    /// What is known of its kind.
    #[must_use]
    pub fn kind(&self) -> &dyn PostedKind {
        kinds::as_posted(&self.content)
    }

    /// The event that it acts on: conversation and seq.
    #[must_use]
    pub fn target(&self) -> Option<(Uuid, i64)> {
        // No log is that long: a seq beyond it is of no event.
        self.kind().target().map(|seq| (self.conversation, i64::try_from(seq).unwrap_or(i64::MAX)))
    }

    /// Bytes that holding it costs, roughly.
    #[must_use]
    pub fn weight(&self) -> usize {
        128 + self.kind().weight()
    }
}

/// The event that a post acts on, as it stands under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct TargetRow {
    /// The conversation.
    pub conversation: Uuid,
    /// Its seq.
    pub seq: i64,
    /// Whose it is.
    pub author: i64,
    /// When it was said.
    pub time_ms: i64,
    /// The code of its kind.
    pub kind: i64,
    /// Newest version of its text.
    pub version: i64,
    /// `sequence::kinds::Gone` as stored.
    pub gone: i64,
}

/// Knows who may append.
#[async_trait]
pub trait Gatekeeper: Send + Sync + 'static {
    /// Makes ready to judge posts to these conversations at the gates they have now. Inside the transaction, after the
    /// heads are locked; free of statements for gates already known.
    async fn prepare(&self, tx: &mut Tx<'_>, heads: &[HeadRow]) -> Result<Box<dyn Judge>, Fault>;

    /// The card that this person is shown by now; 0: none.
    fn find_card(&self, person: u32) -> u32;
}

/// Judges the posts of one batch, at the instant of commit.
pub trait Judge: Send + Sync {
    /// Whether judging needs to know what somebody has posted in this conversation before.
    fn asks_spoke(&self, conversation: Uuid) -> bool;

    /// Judges one post.
    ///
    /// # Errors
    /// The refusal that the author is told.
    fn judge(&self, post: &Judged) -> Result<(), Refusal>;
}

/// What a post is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// The conversation.
    pub conversation: Uuid,
    /// The person who posts.
    pub author: u32,
    /// What its kind asks of its author.
    pub needs: Right,
    /// Whose event it acts on.
    pub target_author: Option<u32>,
    /// Where that was asked for: when this author last commented here (milliseconds since 1970), and how many comments they made.
    pub spoke: Option<(i64, i64)>,
    /// The database's clock under the lock, milliseconds since 1970.
    pub now_ms: i64,
}

/// A change of a conversation's rules or people with its events, made under the head's lock in one transaction.
#[async_trait]
pub trait Change: Send {
    /// Reads what stands, writes its own tables, and gives what goes into the log.
    ///
    /// # Errors
    /// A refusal or a fault: everything is rolled back.
    async fn apply(&mut self, tx: &mut Tx<'_>, head: &HeadRow, now_ms: i64) -> Result<Effect, Error>;
}

/// What a [`Change`] puts into the log.
#[derive(Default)]
pub struct Effect {
    /// In order, with their authors (0: the service).
    pub events: Vec<(u32, Kind)>,
    /// Whether it changed who may post here.
    pub moves_gate: bool,
}

/// An event as it is stored.
#[derive(Clone, Debug, FromRow)]
pub struct EventRow {
    /// Its seq.
    pub seq: i64,
    /// Its mseq.
    pub mseq: i64,
    /// Its time.
    pub time_ms: i64,
    /// Its author.
    pub author: i64,
    /// The encoded `Event` with nothing but its kind.
    pub body: Vec<u8>,
}

impl EventRow {
    /// As readers are given it.
    ///
    /// # Errors
    /// When the body cannot be decoded.
    pub fn to_event(&self) -> Result<Event, Fault> {
        let mut event = Event::decode(self.body.as_slice()).map_err(|error| Fault::Corrupt(error.to_string()))?;
        event.seq = self.seq as u64;
        event.mseq = self.mseq as u64;
        event.time_ms = self.time_ms;
        event.author = self.author as u32;
        Ok(event)
    }
}

/// The body that is stored of an event: an encoded `Event` with nothing but its kind, the mark that it leaves and its author's card.
#[must_use]
pub fn encode_body(event: &Event) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(128);
    let besides = Event { leaves: event.leaves.clone(), card: event.card, ..Event::default() };
    encoded.extend(besides.encode_to_vec());
    if let Some(kind) = &event.kind {
        kind.encode(&mut encoded);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proto::v1::{Comment, Edit, MarkSet};

    use super::*;

    #[test]
    fn what_is_stored_is_an_event_and_a_post_with_nothing_else_in_it() {
        let comment = Comment { text: "议堂".to_owned(), reply_to: 7, ..Comment::default() };
        let event = Event { kind: Some(Kind::Comment(comment.clone())), ..Event::default() };
        let numbered = Event { seq: 9, mseq: 8, time_ms: 7, author: 6, ..event.clone() };
        assert_eq!(encode_body(&numbered), event.encode_to_vec());
        let leaves = MarkSet { target: 5, mark: 1, value: "2".to_owned(), replaces: String::new() };
        let leaving = Event { leaves: Some(leaves), ..event };
        assert_eq!(encode_body(&leaving), leaving.encode_to_vec());
        for content in [Content::Comment(comment), Content::Edit(Edit { target: 3, version: 0, text: "x".to_owned() })] {
            let post = Post { content: Some(content.clone()), ..Post::default() };
            let submission = Submission { conversation: Uuid::nil(), author: 1, client_id: Uuid::nil(), content };
            // Digests are kept for ever: they must not change with the way they are made.
            assert_eq!(submission.digest(), Sha256::digest(post.encode_to_vec())[..16].to_vec());
        }
    }
}
