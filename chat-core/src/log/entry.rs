//! What goes into a log, and the rows it is kept in.

use async_trait::async_trait;
use prost::Message as _;
use proto::v1::{Event, Post, Refusal, event::Kind, post::Content};
use sequence::kinds;
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
    /// Which conversation.
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
    /// As told to gateways.
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

/// Somebody's wish to append, checked by `sequence::check_post`.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Where.
    pub conversation: Uuid,
    /// Who.
    pub author: u32,
    /// Never used again by this author in this conversation for something else.
    pub client_id: Uuid,
    /// What.
    pub content: Content,
}

impl Submission {
    /// From a post that passed `sequence::check_post`.
    ///
    /// # Errors
    /// What that says; NOT_FOUND for the control log.
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

    /// The comment that it is about: of an edit, recall or hide.
    #[must_use]
    pub fn target(&self) -> Option<u64> {
        kinds::as_posted(&self.content).target()
    }

    /// Roughly what it weighs, bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        128 + kinds::as_posted(&self.content).weight()
    }
}

/// The comment that an edit, recall or hide is about, as it stands under the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct TargetRow {
    /// Which conversation.
    pub conversation: Uuid,
    /// Its seq.
    pub seq: i64,
    /// Whose it is.
    pub author: i64,
    /// When it was said.
    pub time_ms: i64,
    /// Its kind, as [`kind_code`].
    pub kind: i64,
    /// Newest version of its text.
    pub version: i64,
    /// 0 stands, 1 recalled, 2 hidden.
    pub gone: i64,
}

/// Decides who may append, at the instant of commit.
#[async_trait]
pub trait Gatekeeper: Send + Sync + 'static {
    /// Makes ready to judge posts to these conversations at the gates they have now. Inside the transaction, after the
    /// heads are locked; free of statements for gates already known.
    async fn refresh(&self, tx: &mut Tx<'_>, heads: &[HeadRow]) -> Result<(), Fault>;

    /// Whether judging needs to know when somebody last spoke here, at the gate that was refreshed.
    fn asks_last_spoke(&self, head: &HeadRow) -> bool;

    /// Judges one post. `last_spoke_ms`: when this author last posted here, where that was asked for; `now_ms`: the database's
    /// clock under the lock.
    ///
    /// # Errors
    /// The refusal that the author is told.
    fn judge(
        &self,
        head: &HeadRow,
        post: &Submission,
        now_ms: i64,
        last_spoke_ms: Option<i64>,
        target: Option<&TargetRow>,
    ) -> Result<(), Refusal>;
}

/// A change of a conversation's rules or people with its events, made under the head's lock in one transaction.
#[async_trait]
pub trait Change: Send {
    /// Looks at what is there, writes its own tables, and says what goes into the log.
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

/// The number that a kind of event is stored under.
#[must_use]
pub fn kind_code(kind: &Kind) -> i64 {
    kinds::as_kind(kind).code()
}

/// [`kind_code`] of a comment.
pub const COMMENT: i64 = kinds::COMMENT;

/// Whether an event of this kind makes something unread.
#[must_use]
pub fn counts(kind: &Kind) -> bool {
    kinds::as_kind(kind).makes_unread()
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
    /// As told to readers.
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

/// The body that is stored for a kind.
#[must_use]
pub fn body_of(kind: &Kind) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(kind.encoded_len());
    kind.encode(&mut encoded);
    encoded
}

#[cfg(test)]
mod tests {
    use proto::v1::{Comment, Edit};

    use super::*;

    #[test]
    fn what_is_stored_is_an_event_and_a_post_with_nothing_else_in_it() {
        let comment = Comment { text: "议堂".to_owned(), reply_to: 7, ..Comment::default() };
        let kind = Kind::Comment(comment.clone());
        assert_eq!(body_of(&kind), Event { kind: Some(kind), ..Event::default() }.encode_to_vec());
        for content in [Content::Comment(comment), Content::Edit(Edit { target: 3, version: 0, text: "x".to_owned() })] {
            let post = Post { content: Some(content.clone()), ..Post::default() };
            let submission = Submission { conversation: Uuid::nil(), author: 1, client_id: Uuid::nil(), content };
            // Digests are kept for ever: they must not change with the way they are made.
            assert_eq!(submission.digest(), Sha256::digest(post.encode_to_vec())[..16].to_vec());
        }
    }
}
