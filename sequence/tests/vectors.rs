//! The vectors that the Rust and the TypeScript side share: logs with every kind of event, what a client is sent of them
//! (snapshots, live batches, replays, pages, in good and bad order), and the state that the server's fold gives. They stand in
//! web/sdk/test/vectors.json; this test fails when that file is not what it makes. To write it anew:
//!
//! ```sh
//! WRITE_VECTORS=1 cargo test --release -p sequence --test vectors
//! ```
//!
//! The format is told in the file's own `about`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod server;

use std::{collections::BTreeSet, path::PathBuf};

use proto::v1::{
    Batch, Comment, ConsultationChanged, ConsultationState, ConversationCreated, ConversationKind, Edit, Event, Events, Hide,
    MembersChanged, Page, Poll, PollClosed, Position, Recall, ServerFrame, Subscribed, Unhide, Verdict, Vote, batch::Body, event::Kind,
    post::Content, server_frame::Frame,
};
use sequence::{
    Inbox, Offer, Run, Timeline,
    kinds::{all, as_kind, comment_in},
};
use serde_json::{Value, json};
use server::Server;

const CONVERSATION: &str = "0198c0de-0000-7000-8000-000000000001";
const EPOCH: u32 = 7;
const AUTHOR: u32 = 11;
const MODERATOR: u32 = 99;

const ABOUT: &[&str] = &[
    "Made by sequence/tests/vectors.rs; do not edit. Write it anew with: WRITE_VECTORS=1 cargo test --release -p sequence --test vectors",
    "Events and frames are canonical protobuf JSON of yitang.v1 (64-bit numbers as strings): decode them with the generated types.",
    "cases[]: what a client is sent of one conversation, and what it must hold then.",
    "  log: every event as it was appended (of the newest incarnation of the log).",
    "  frames: ServerFrames in the order they arrive. Take in every event of Subscribed.tail, Batch and Page; a seq that is held",
    "    already changes nothing; Subscribed with VERDICT_RESET: drop everything held first. GAP and holes are answered by a Page",
    "    that stands later among the frames. An event that acts on one which is not held yet acts when that one comes. What `leaves`",
    "    a mark adds to the target's `marks`, but for events up to their `as_of`; of several summaries that come the newest counts.",
    "  state: every event that is held at the end, by seq, folded: exactly what the server's own fold of the whole log gives.",
    "  comments: seqs of the comments that stand (not taken back), ascending.",
    "order[]: runs of consecutive seqs offered to an inbox that starts after `delivered` and may keep `most` events waiting;",
    "  each step offers first..=last and says what must come of it: ready (first, last: handed out now, in order), seen, hole",
    "  (from, to: missing before the earliest run that waits) or overflow (from: everything that waited is dropped).",
];

/// A log that is being written by what people do, one function each.
#[derive(Default)]
struct Log(Server);

impl Log {
    fn post(&mut self, author: u32, content: Content) -> u64 {
        self.0.post(author, content).unwrap()
    }

    fn comment(&mut self, author: u32, text: &str, reply_to: u64) -> u64 {
        self.post(author, Content::Comment(Comment { text: text.to_owned(), reply_to, ..Comment::default() }))
    }

    fn edit(&mut self, target: u64, text: &str) -> u64 {
        self.post(AUTHOR, Content::Edit(Edit { target, version: 0, text: text.to_owned() }))
    }

    fn recall(&mut self, target: u64, reason: &str) -> u64 {
        self.post(AUTHOR, Content::Recall(Recall { target, reason: reason.to_owned() }))
    }

    fn hide(&mut self, target: u64, reason: &str) -> u64 {
        self.post(MODERATOR, Content::Hide(Hide { target, reason: reason.to_owned() }))
    }

    fn unhide(&mut self, target: u64, reason: &str) -> u64 {
        self.post(MODERATOR, Content::Unhide(Unhide { target, reason: reason.to_owned(), ..Unhide::default() }))
    }

    fn poll(&mut self, author: u32, question: &str, options: &[&str]) -> u64 {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        self.post(author, Content::Poll(Poll { question: question.to_owned(), options }))
    }

    fn vote(&mut self, author: u32, target: u64, option: u32) -> u64 {
        self.post(author, Content::Vote(Vote { target, option }))
    }

    fn close_poll(&mut self, author: u32, target: u64) -> u64 {
        self.post(author, Content::PollClosed(PollClosed { target }))
    }

    fn record(&mut self, author: u32, kind: Kind) -> u64 {
        self.0.record(author, kind)
    }

    fn changed(&mut self, author: u32, state: ConsultationState, version: u32, slow_mode_s: u32) -> u64 {
        let state = state.into();
        self.record(author, Kind::ConsultationChanged(ConsultationChanged { state, version, slow_mode_s, reason: String::new() }))
    }

    /// `first..=last` as the server shows it when the log ends at `head`.
    fn page(&self, first: u64, last: u64, head: u64) -> Vec<Event> {
        self.0.page(first, last, head)
    }

    /// The same as it went out live.
    fn live(&self, first: u64, last: u64) -> Vec<Event> {
        self.0.events[first as usize - 1..last as usize].to_vec()
    }

    fn head(&self) -> u64 {
        self.0.head()
    }

    fn mseq_at(&self, seq: u64) -> u64 {
        self.0.mseq_at(seq)
    }
}

/// What a client is sent.
struct Line<'a> {
    log: &'a Log,
    epoch: u32,
    frames: Vec<ServerFrame>,
}

impl<'a> Line<'a> {
    fn new(log: &'a Log) -> Self {
        Self { log, epoch: EPOCH, frames: Vec::new() }
    }

    fn push(mut self, re: u32, frame: Frame) -> Self {
        self.frames.push(ServerFrame { re, frame: Some(frame) });
        self
    }

    fn subscribed(self, verdict: Verdict, seq: u64, tail: Option<(u64, u64)>) -> Self {
        let head = match verdict {
            Verdict::Resumed => self.log.head(),
            _ => seq,
        };
        let tail = tail.map(|(first, last)| self.page_of(first, last, last));
        let position = Some(Position { conversation: CONVERSATION.to_owned(), epoch: self.epoch, seq });
        let subscribed = Subscribed {
            verdict: verdict.into(),
            position,
            head_seq: head,
            head_mseq: self.log.mseq_at(head),
            tail,
            kind: ConversationKind::Consultation.into(),
            may_post: true,
            ..Subscribed::default()
        };
        let re = u32::from(matches!(verdict, Verdict::Fresh));
        self.push(re, Frame::Subscribed(subscribed))
    }

    fn fresh(self, first: u64, last: u64) -> Self {
        self.subscribed(Verdict::Fresh, last, Some((first, last)))
    }

    fn batch(self, first: u64, last: u64) -> Self {
        let events = self.log.live(first, last);
        self.batch_of(first, events)
    }

    /// From the ring: as later events left it.
    fn replay(self, first: u64, last: u64) -> Self {
        let events = self.log.page(first, last, self.log.head());
        self.batch_of(first, events)
    }

    fn batch_of(self, first_seq: u64, events: Vec<Event>) -> Self {
        let batch = Batch {
            conversation: CONVERSATION.to_owned(),
            epoch: self.epoch,
            first_seq,
            count: events.len() as u32,
            body: Some(Body::Events(Events { events })),
            window_ms: 0,
        };
        self.push(0, Frame::Batch(batch))
    }

    fn page_of(&self, first: u64, last: u64, head: u64) -> Page {
        Page {
            conversation: CONVERSATION.to_owned(),
            epoch: self.epoch,
            events: self.log.page(first, last, head),
            complete_before: first == 1,
            complete_after: last == head,
            head_seq: head,
            head_mseq: self.log.mseq_at(head),
            around: 0,
        }
    }

    /// A page, read when the log ended at `head`.
    fn page(self, first: u64, last: u64, head: u64) -> Self {
        let page = self.page_of(first, last, head);
        self.push(2, Frame::Page(page))
    }
}

fn events_of(frame: &ServerFrame) -> &[Event] {
    match frame.frame.as_ref().unwrap() {
        Frame::Subscribed(subscribed) => subscribed.tail.as_ref().map_or(&[], |tail| &tail.events),
        Frame::Batch(Batch { body: Some(Body::Events(events)), .. }) => &events.events,
        Frame::Page(page) => &page.events,
        other => panic!("{other:?}"),
    }
}

/// What a reader holds after these frames, by this crate's own timeline.
fn read(frames: &[ServerFrame]) -> Vec<Event> {
    let mut timeline = Timeline::default();
    for frame in frames {
        if matches!(&frame.frame, Some(Frame::Subscribed(subscribed)) if subscribed.verdict() == Verdict::Reset) {
            timeline = Timeline::default();
        }
        events_of(frame).iter().for_each(|event| timeline.apply(event));
    }
    timeline.entries().map(|entry| entry.event.clone()).collect()
}

/// One case; that its state is what the server's fold gives is asserted here.
fn case(name: &str, log: &Log, frames: Vec<ServerFrame>) -> Value {
    let held = read(&frames);
    let whole = if log.head() == 0 { Vec::new() } else { log.page(1, log.head(), log.head()) };
    let seqs: BTreeSet<u64> = held.iter().map(|event| event.seq).collect();
    let state: Vec<Event> = whole.into_iter().filter(|event| seqs.contains(&event.seq)).collect();
    assert_eq!(held, state, "{name}: a reader and the server's fold differ");
    let stands = |event: &Event| comment_in(event).is_some_and(|comment| comment.gone.is_none());
    let comments: Vec<u64> = state.iter().filter(|event| stands(event)).map(|event| event.seq).collect();
    json!({ "name": name, "log": log.0.events, "frames": frames, "state": state, "comments": comments })
}

/// Every kind of event, and every way in which one acts on another.
fn everything() -> Log {
    let mut log = Log::default();
    log.record(1, Kind::ConversationCreated(ConversationCreated { kind: ConversationKind::Consultation.into(), title: "共商共治".into() }));
    log.changed(1, ConsultationState::Scheduled, 1, 0);
    log.changed(0, ConsultationState::Open, 2, 0);
    let first = log.comment(AUTHOR, "第一条：建议加强社区养老。", 0);
    let second = log.comment(12, "同意，补充一点 👍🏽", first);
    log.edit(first, "第一条（修改）：建议加强社区居家养老。");
    log.changed(1, ConsultationState::Open, 3, 30);
    let third = log.comment(AUTHOR, "说错了", 0);
    log.recall(third, "说错了");
    log.edit(first, "第一条（再改）：建议加强社区居家养老服务。");
    let fourth = log.comment(13, "不文明的话", second);
    log.hide(fourth, "不文明用语");
    let fifth = log.comment(AUTHOR, "line one\nline two\ttab \"quoted\" <b>no html</b>", 0);
    log.edit(fifth, "mended");
    log.hide(fifth, "");
    log.record(1, Kind::MembersChanged(MembersChanged { added: vec![21, 22], removed: vec![13] }));
    log.changed(1, ConsultationState::Paused, 4, 30);
    log.changed(1, ConsultationState::Open, 5, 0);
    log.unhide(fifth, "误操作");
    let sixth = log.comment(AUTHOR, "看法一", 0);
    log.hide(sixth, "");
    log.unhide(sixth, "");
    log.edit(sixth, "看法一（改）");
    log.hide(fifth, "再次隐藏");
    log.unhide(fifth, "");
    log.recall(fifth, "");
    let asked = log.poll(12, "是否同意增设助餐点？", &["同意", "不同意", "再议"]);
    log.vote(13, asked, 0);
    log.vote(AUTHOR, asked, 2);
    log.vote(14, asked, 0);
    log.vote(AUTHOR, asked, 1);
    log.vote(14, asked, 0);
    log.close_poll(12, asked);
    log.poll(AUTHOR, "下次何时？", &["周三", "周五"]);
    log.comment(12, "最后一条", first);
    log.changed(0, ConsultationState::Closed, 6, 0);
    log
}

/// A sequence of numbers that is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn any_log(dice: &mut Dice, length: u64) -> Log {
    let mut log = Log::default();
    for _ in 0..length {
        let any = |dice: &mut Dice, seqs: &[u64]| (!seqs.is_empty()).then(|| seqs[dice.roll(seqs.len() as u64) as usize]);
        let target = any(dice, &log.0.standing_comments());
        let hidden = any(dice, &log.0.hidden_comments());
        let poll = any(dice, &log.0.polls());
        let number = log.head() + 1;
        match (dice.roll(16), target, hidden, poll) {
            (0..=2, Some(target), ..) => log.edit(target, &format!("edit {number}")),
            (3, Some(target), ..) => log.recall(target, ""),
            (4 | 5, Some(target), ..) => log.hide(target, "off topic"),
            (6 | 7, _, Some(hidden), _) => log.unhide(hidden, ""),
            (8, ..) => log.changed(1, ConsultationState::Open, number as u32, 0),
            (9, ..) => log.record(1, Kind::MembersChanged(MembersChanged { added: vec![number as u32], removed: vec![] })),
            (10, .., None) => log.poll(AUTHOR, &format!("poll {number}"), &["a", "b", "c"]),
            (10..=12, .., Some(poll)) => {
                let vote = Content::Vote(Vote { target: poll, option: dice.roll(3) as u32 });
                // Refused where the poll is closed.
                log.0.post(11 + dice.roll(4) as u32, vote).unwrap_or_else(|_| log.comment(AUTHOR, &format!("text {number}"), 0))
            }
            (13, .., Some(poll)) if number % 3 == 0 => {
                let end = Content::PollClosed(PollClosed { target: poll });
                log.0.post(AUTHOR, end).unwrap_or_else(|_| log.comment(AUTHOR, &format!("text {number}"), 0))
            }
            (_, target, ..) => log.comment(AUTHOR, &format!("text {number}"), target.unwrap_or(0)),
        };
    }
    log
}

fn cases() -> Vec<Value> {
    let log = everything();
    let head = log.head();
    let mut cases = vec![
        case(
            "every kind of event, live from the beginning",
            &log,
            Line::new(&log).subscribed(Verdict::Fresh, 0, None).batch(1, head).frames,
        ),
        case("every kind of event, each in a batch of its own", &log, {
            (1..=head).fold(Line::new(&log).subscribed(Verdict::Fresh, 0, None), |line, seq| line.batch(seq, seq)).frames
        }),
        case("the whole log as one folded page", &log, Line::new(&log).subscribed(Verdict::Fresh, head, None).page(1, head, head).frames),
        case("a tail, then live: only what was sent is held", &log, Line::new(&log).fresh(9, 12).batch(13, head).frames),
        case("edits come before the comment they are about: history is read back after the live events", &log, {
            Line::new(&log).fresh(6, 7).batch(8, head).page(1, 5, 7).frames
        }),
        case("a page read before an edit arrives after it", &log, Line::new(&log).fresh(5, 5).batch(6, head).page(1, 4, 5).frames),
        case("a page read after everything, then the live events that it already holds", &log, {
            Line::new(&log).subscribed(Verdict::Fresh, 3, None).page(1, head, head).batch(4, head).frames
        }),
        case("everything twice, and the first half again", &log, {
            Line::new(&log).subscribed(Verdict::Fresh, 0, None).batch(1, head).page(1, head, head).batch(1, head / 2).frames
        }),
        case("a hole is filled by a page", &log, Line::new(&log).fresh(1, 5).batch(9, 12).page(6, 8, 12).batch(13, head).frames),
        case("RESUMED: the replay holds nothing that was taken back meanwhile", &log, {
            Line::new(&log).fresh(1, 5).subscribed(Verdict::Resumed, 5, None).replay(6, head).frames
        }),
        case("GAP: live events first, what lies between is paged", &log, {
            Line::new(&log).fresh(1, 4).subscribed(Verdict::Gap, 14, None).batch(15, head).page(5, 14, head).frames
        }),
    ];
    let mut other = Log::default();
    other.comment(AUTHOR, "after the restore", 0);
    other.edit(1, "after the restore, edited");
    let mut line = Line::new(&log).fresh(1, head);
    line = Line { log: &other, epoch: EPOCH + 1, frames: line.frames };
    cases.push(case(
        "RESET: nothing of the log before is left",
        &other,
        line.subscribed(Verdict::Reset, 1, Some((1, 1))).batch(2, 2).frames,
    ));

    let mut dice = Dice(20_261_124);
    for number in 1..=12 {
        let length = 8 + dice.roll(28);
        let log = any_log(&mut dice, length);
        let head = log.head();
        let snapshot = 1 + dice.roll(head);
        let mut line = Line::new(&log).fresh(1 + dice.roll(snapshot), snapshot);
        // Batches cut anywhere, in any order, some of them twice; then pages over everything, read at any time.
        let mut runs = Vec::new();
        let mut first = snapshot + 1;
        while first <= head {
            let last = (first + dice.roll(5)).min(head);
            runs.push((first, last));
            if dice.roll(4) == 0 {
                runs.push((first, last));
            }
            first = last + 1;
        }
        for index in (1..runs.len()).rev() {
            runs.swap(index, dice.roll(index as u64 + 1) as usize);
        }
        for (first, last) in runs {
            line = line.batch(first, last);
        }
        let mut last = snapshot;
        while last > 0 {
            let first = last.saturating_sub(dice.roll(6)).max(1);
            let read_at = last + dice.roll(head - last + 1);
            line = line.page(first, last, read_at.max(last));
            last = first - 1;
        }
        cases.push(case(&format!("any log {number}, sent in any order"), &log, line.frames));
    }
    cases
}

fn order() -> Vec<Value> {
    /// Name, delivered at the beginning, what may wait, and the runs as they come.
    type Table = (&'static str, u64, usize, &'static [(u64, u64)]);
    let tables: [Table; 5] = [
        ("in order", 0, 100, &[(1, 3), (4, 4), (5, 9)]),
        ("what was seen is dropped, and the front of what overlaps", 5, 100, &[(1, 5), (4, 7), (7, 7), (8, 8)]),
        ("a hole holds back what follows until it is filled", 2, 100, &[(5, 6), (8, 8), (3, 4), (6, 7)]),
        ("the same run waits once, a longer one in its place", 0, 100, &[(3, 4), (3, 4), (3, 6), (1, 2)]),
        ("too much waits: it is dropped and read anew", 0, 4, &[(3, 5), (7, 9), (1, 9), (10, 10)]),
    ];
    let told = |name: &str, delivered: u64, most: usize, runs: &[(u64, u64)]| {
        let mut inbox: Inbox<u64> = Inbox::new(delivered, most);
        let steps: Vec<Value> = runs
            .iter()
            .map(|(first, last)| {
                let items: Vec<u64> = (*first..=*last).collect();
                let bytes = items.len();
                let outcome = match inbox.offer(Run { first: *first, items, bytes }) {
                    Offer::Ready { first, items } => {
                        json!({ "kind": "ready", "first": first, "last": first + items.len() as u64 - 1 })
                    }
                    Offer::Seen => json!({ "kind": "seen" }),
                    Offer::Hole { from, to } => json!({ "kind": "hole", "from": from, "to": to }),
                    Offer::Overflow { from } => json!({ "kind": "overflow", "from": from }),
                };
                json!({ "first": first, "last": last, "outcome": outcome })
            })
            .collect();
        json!({ "name": name, "delivered": delivered, "most": most, "steps": steps })
    };
    tables.into_iter().map(|(name, delivered, most, runs)| told(name, delivered, most, runs)).collect()
}

/// One event or frame a line, so that a change of the file can be read.
fn pretty(about: &[&str], cases: &[Value], order: &[Value]) -> String {
    let list = |values: &[Value], indent: &str| {
        let lines: Vec<String> = values.iter().map(|value| format!("{indent}{value}")).collect();
        format!("[\n{}\n{}]", lines.join(",\n"), &indent[..indent.len() - 2])
    };
    let one = |case: &Value| {
        let part = |name: &str| list(case[name].as_array().unwrap(), "        ");
        format!(
            "    {{\n      \"name\": {},\n      \"log\": {},\n      \"frames\": {},\n      \"state\": {},\n      \"comments\": {}\n    }}",
            case["name"],
            part("log"),
            part("frames"),
            part("state"),
            case["comments"]
        )
    };
    let about: Vec<Value> = about.iter().map(|line| json!(line)).collect();
    let cases: Vec<String> = cases.iter().map(one).collect();
    format!(
        "{{\n  \"about\": {},\n  \"cases\": [\n{}\n  ],\n  \"order\": {}\n}}\n",
        list(&about, "    "),
        cases.join(",\n"),
        list(order, "    ")
    )
}

#[test]
fn the_shared_vectors_are_what_the_servers_fold_gives() {
    let (cases, order) = (cases(), order());
    // Another kind of event must stand in the vectors too.
    let codes: BTreeSet<i64> = everything().0.events.iter().map(|event| as_kind(event.kind.as_ref().unwrap()).code()).collect();
    let known: BTreeSet<i64> = all().iter().map(|kind| as_kind(kind).code()).collect();
    assert_eq!(codes, known);

    let made = pretty(ABOUT, &cases, &order);
    let read_back: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(read_back["cases"].as_array().unwrap(), &cases);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../web/sdk/test/vectors.json");
    if std::env::var_os("WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stands == made,
        "web/sdk/test/vectors.json is not what the server's fold gives. Write it anew with: \
         WRITE_VECTORS=1 cargo test --release -p sequence --test vectors"
    );
}
