//! A poster. Each post has one number, one client_id and one text, however often it is sent, and is sent until it is answered.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use proto::v1::{Comment, Edit, Post, Recall, Receipt, Refusal, client_frame, post::Content};

use super::orders::Flow;
use crate::client::mark::{self, Mark, text_of};

/// Posts of one socket under way at once in an open loop; later ones wait, and the wait counts into their latency.
const AT_ONCE: usize = 48;

/// A post on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    mark: Mark,
    bytes: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Comment,
    /// Of the comment with this seq.
    Edit(u64),
    Recall(u64),
}

/// The posts of one socket: waiting, and under way.
#[derive(Debug)]
pub struct Poster {
    /// Its number among all posters.
    pub number: u32,
    /// The room that it posts to, by its place in the plan.
    pub room: u32,
    waiting: VecDeque<Pending>,
    under_way: BTreeMap<u32, Pending>,
    not_before: Option<Instant>,
    /// Its newest comment that stands.
    last_own: Option<u64>,
}

/// How a post ended.
#[derive(Debug, PartialEq, Eq)]
pub enum PostOutcome {
    /// The receipt named this seq.
    Acknowledged(Mark, u64),
    /// Refused for good.
    Refused(Mark, &'static str),
}

impl Poster {
    /// A poster with nothing to post.
    #[must_use]
    pub fn new(number: u32, room: u32) -> Self {
        Self { number, room, waiting: VecDeque::new(), under_way: BTreeMap::new(), not_before: None, last_own: None }
    }

    /// Adds a post.
    pub fn queue(&mut self, mark: Mark, flow: &Flow) {
        // One in ten is an edit, one in twenty a recall, where there is a comment to be edited or recalled.
        let kind = match (flow.mixed, mark.index % 20, self.last_own) {
            (true, 3 | 13, Some(last_own)) => Kind::Edit(last_own),
            (true, 7, Some(last_own)) => {
                self.last_own = None;
                Kind::Recall(last_own)
            }
            _ => Kind::Comment,
        };
        self.waiting.push_back(Pending { mark, bytes: mark::text_bytes(flow.bytes) as u32, kind });
    }

    /// Posts that have not ended.
    #[must_use]
    pub fn open(&self) -> usize {
        self.waiting.len() + self.under_way.len()
    }

    /// Sends waiting posts up to AT_ONCE by `send`, which returns each frame's id.
    pub fn flush(&mut self, conversation: &str, run: &str, mut send: impl FnMut(client_frame::Frame) -> u32) {
        if self.not_before.is_some_and(|time| time > Instant::now()) {
            return;
        }
        self.not_before = None;
        while self.under_way.len() < AT_ONCE
            && let Some(pending) = self.waiting.pop_front()
        {
            let post = Post {
                conversation: conversation.to_owned(),
                client_id: client_id(run, pending.mark.index),
                content: Some(content(run, pending)),
            };
            self.under_way.insert(send(client_frame::Frame::Post(post)), pending);
        }
    }

    /// Ends the post that frame `re` carried. `None`: there is none.
    pub fn handle_receipt(&mut self, re: u32, receipt: &Receipt) -> Option<PostOutcome> {
        let pending = self.under_way.remove(&re)?;
        let seq = receipt.position.as_ref().map_or(0, |position| position.seq);
        if pending.kind == Kind::Comment {
            self.last_own = Some(seq);
        }
        Some(PostOutcome::Acknowledged(pending.mark, seq))
    }

    /// Queues the refused post again where the refusal says when to; otherwise ends it. `None`: not ended.
    pub fn handle_refusal(&mut self, re: u32, refusal: &Refusal, now: Instant) -> Option<PostOutcome> {
        let pending = self.under_way.remove(&re)?;
        if refusal.retry_after_ms > 0 {
            self.waiting.push_front(pending);
            self.not_before = Some(now + std::time::Duration::from_millis(refusal.retry_after_ms.into()));
            return None;
        }
        Some(PostOutcome::Refused(pending.mark, refusal.code().as_str_name()))
    }

    /// Queues what was under way again, in order, for the next connection.
    pub fn handle_disconnect(&mut self) {
        for (_, pending) in std::mem::take(&mut self.under_way).into_iter().rev() {
            self.waiting.push_front(pending);
        }
    }
}

fn content(run: &str, Pending { mark, bytes, kind }: Pending) -> Content {
    let text = || text_of(run, mark, bytes as usize);
    match kind {
        Kind::Comment => Content::Comment(Comment { text: text(), ..Comment::default() }),
        Kind::Edit(target) => Content::Edit(Edit { target, version: 0, text: text() }),
        Kind::Recall(target) => Content::Recall(Recall { target, reason: mark::mark_text(run, mark) }),
    }
}

/// Where the times of client_ids begin, milliseconds since 1970.
const FIRST_MS: u64 = 1_764_000_000_000;

/// The post's client_id: a UUIDv7 whose time is the post's number, so that ids sort in the order of the posts as clients' ids do.
fn client_id(run: &str, index: u32) -> String {
    let run = run.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    let mut random = [0; 10];
    random[2..].copy_from_slice(&run.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(FIRST_MS + u64::from(index), &random).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use proto::v1::{Position, RefusalCode};

    use super::*;

    const FLOW: Flow = Flow { first: 0, count: 0, start_us: 0, per_s: 1.0, at_once: 0, bytes: 300, mixed: true };

    fn mark(index: u32) -> Mark {
        Mark { index, due_us: 5 }
    }

    fn flush(poster: &mut Poster) -> Vec<Post> {
        let mut sent = Vec::new();
        poster.flush("room", "run", |frame| {
            let client_frame::Frame::Post(post) = frame else { panic!("a post") };
            sent.push(post);
            sent.len() as u32
        });
        sent
    }

    #[test]
    fn a_post_is_the_same_however_often_it_is_sent() {
        let mut poster = Poster::new(0, 0);
        poster.queue(mark(0), &FLOW);
        let first = flush(&mut poster);
        poster.handle_disconnect();
        assert_eq!(poster.open(), 1);
        assert_eq!(flush(&mut poster), first);
        let refusal = Refusal { retry_after_ms: 1, ..Refusal::of(RefusalCode::Overloaded) };
        let a_second_ago = Instant::now() - std::time::Duration::from_secs(1);
        assert_eq!(poster.handle_refusal(1, &refusal, a_second_ago), None, "tried again");
        assert_eq!(flush(&mut poster), first);
        assert_eq!(
            poster.handle_refusal(1, &Refusal::of(RefusalCode::Closed), Instant::now()),
            Some(PostOutcome::Refused(mark(0), "REFUSAL_CODE_CLOSED"))
        );
        assert_eq!(poster.open(), 0);
    }

    #[test]
    fn edits_and_recalls_are_of_ones_own_comment() {
        let mut poster = Poster::new(0, 0);
        poster.queue(mark(3), &FLOW);
        assert!(matches!(flush(&mut poster)[0].content, Some(Content::Comment(_))), "there is nothing to edit yet");
        let receipt = Receipt { position: Some(Position { seq: 41, ..Position::default() }), ..Receipt::default() };
        assert_eq!(poster.handle_receipt(1, &receipt), Some(PostOutcome::Acknowledged(mark(3), 41)));
        poster.queue(mark(13), &FLOW);
        poster.queue(mark(7), &FLOW);
        poster.queue(mark(27), &FLOW);
        let sent = flush(&mut poster);
        assert!(matches!(&sent[0].content, Some(Content::Edit(edit)) if edit.target == 41));
        assert!(matches!(&sent[1].content, Some(Content::Recall(recall)) if recall.target == 41));
        assert!(matches!(sent[2].content, Some(Content::Comment(_))), "it is recalled already");
    }

    #[test]
    fn client_ids_are_uuids_of_their_own() {
        assert_ne!(client_id("run", 1), client_id("run", 2));
        assert_ne!(client_id("run", 1), client_id("other", 1));
        assert_eq!(client_id("run", 1), client_id("run", 1));
        assert!(client_id("run", 255) < client_id("run", 256), "they sort as they were made");
        assert_eq!(uuid::Uuid::parse_str(&client_id("run", 1)).expect("a UUID").get_version_num(), 7);
    }
}
