//! Read positions: gathered for a moment, the highest of each person and conversation goes.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use proto::{
    internal::v1::ReadMark,
    v1::{Refusal, RefusalCode},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::options::UpstreamOptions;

type Answer = oneshot::Sender<Result<u64, Refusal>>;

/// One call for many marks; answers in the order asked.
pub(super) type CallMarks = Arc<dyn Fn(Vec<ReadMark>) -> BoxFuture<'static, Result<Vec<u64>, Refusal>> + Send + Sync>;

/// Gathers read marks.
pub(super) struct Marks {
    sender: mpsc::Sender<(ReadMark, Answer)>,
}

impl Marks {
    pub(super) fn new(options: &UpstreamOptions, call: CallMarks) -> Self {
        let (sender, receiver) = mpsc::channel(options.waiting_most.max(1));
        tokio::spawn(run(Duration::from_millis(options.marks_ms), options.batch_most.max(1), receiver, call));
        Self { sender }
    }

    pub(super) async fn mark(&self, mark: ReadMark) -> Result<u64, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.sender.try_send((mark, answer)).map_err(|_| Refusal::of(RefusalCode::Overloaded))?;
        answered.await.unwrap_or_else(|_| Err(Refusal::of(RefusalCode::Unavailable)))
    }
}

#[derive(Default)]
struct Gathered {
    marks: HashMap<(u32, String), (u64, Vec<Answer>)>,
}

impl Gathered {
    fn add(&mut self, mark: ReadMark, answer: Answer) {
        match self.marks.entry((mark.person, mark.conversation)) {
            Entry::Occupied(mut entry) => {
                let (mseq, answers) = entry.get_mut();
                *mseq = mark.mseq.max(*mseq);
                answers.push(answer);
            }
            Entry::Vacant(entry) => {
                entry.insert((mark.mseq, vec![answer]));
            }
        }
    }

    fn drain(&mut self) -> (Vec<ReadMark>, Vec<Vec<Answer>>) {
        self.marks.drain().map(|((person, conversation), (mseq, answers))| (ReadMark { person, conversation, mseq }, answers)).unzip()
    }
}

/// One call at a time: two marks of one person never overtake each other.
async fn run(window: Duration, most: usize, mut receiver: mpsc::Receiver<(ReadMark, Answer)>, call: CallMarks) {
    let mut gathered = Gathered::default();
    while let Some((mark, answer)) = receiver.recv().await {
        gathered.add(mark, answer);
        let flush_at = Instant::now() + window;
        while gathered.marks.len() < most {
            tokio::select! {
                () = sleep_until(flush_at) => break,
                next = receiver.recv() => match next {
                    Some((mark, answer)) => gathered.add(mark, answer),
                    None => break,
                },
            }
        }
        let (marks, answers) = gathered.drain();
        metrics::histogram!("yitang_gateway_upstream_batch_items", "kind" => "mark").record(marks.len() as f64);
        // In a task of its own, so that a panic in it costs this batch only.
        let results = tokio::spawn(call(marks)).await.unwrap_or_else(|_| Err(Refusal::of(RefusalCode::Internal)));
        match results {
            Ok(results) => {
                for (mseq, answers) in results.into_iter().zip(answers) {
                    answers.into_iter().for_each(|answer| drop(answer.send(Ok(mseq))));
                }
            }
            Err(refusal) => {
                answers.into_iter().flatten().for_each(|answer| drop(answer.send(Err(refusal.clone()))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    #[tokio::test]
    async fn marks_of_one_person_and_conversation_become_one_the_highest() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let call: CallMarks = {
            let sent = sent.clone();
            Arc::new(move |marks| {
                let sent = sent.clone();
                Box::pin(async move {
                    let answer = marks.iter().map(|mark| mark.mseq.min(40)).collect();
                    sent.lock().push(marks.len());
                    Ok(answer)
                })
            })
        };
        let marks = Marks::new(&UpstreamOptions::default(), call);
        let mark = |person, mseq| ReadMark { person, conversation: "c".to_owned(), mseq };
        let answers =
            futures::future::join_all([marks.mark(mark(1, 5)), marks.mark(mark(1, 9)), marks.mark(mark(1, 7)), marks.mark(mark(2, 99))])
                .await;
        assert_eq!(answers, [Ok(9), Ok(9), Ok(9), Ok(40)]);
        assert_eq!(*sent.lock(), [2]);
    }
}
