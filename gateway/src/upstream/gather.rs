//! Natural batching: what comes while a call is in flight goes together in the next one.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use proto::v1::{Refusal, RefusalCode};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use super::{failure::Failure, options::UpstreamOptions};

/// One call for many: answers in the order asked.
pub(super) type Call<A, R> = Arc<dyn Fn(Vec<A>) -> BoxFuture<'static, Result<Vec<Result<R, Failure>>, Failure>> + Send + Sync>;

struct Waiting<A, R> {
    ask: A,
    bytes: usize,
    /// How long it may wait for others to go with.
    patience: Duration,
    answer: oneshot::Sender<Result<R, Failure>>,
}

/// Gathers asks of one kind for one node. An idle node is asked at once.
pub(super) struct Gatherer<A, R> {
    sender: mpsc::Sender<Waiting<A, R>>,
}

#[derive(Clone, Copy)]
struct Bounds {
    most: usize,
    most_bytes: usize,
    in_flight: usize,
    gather: Duration,
    /// How long each ask keeps the next call back; zero: calls follow one another as fast as they are answered.
    pace: Duration,
    /// How long all asks of a call together keep the next one back, at most.
    storm: Duration,
}

/// Asks that are enough for one call: patient or not, they wait no longer.
const COMPANY: usize = 64;

impl<A: Send + 'static, R: Send + 'static> Gatherer<A, R> {
    /// Ends when dropped, after what was asked has been answered.
    pub(super) fn new(kind: &'static str, options: &UpstreamOptions, call: Call<A, R>) -> Self {
        Self::paced(kind, options, Duration::ZERO, call)
    }

    /// For what comes by the thousand when everybody comes back at once, each call with statements of its own: where more than
    /// one comes in the time of `pace`, they are gathered ever longer, up to `storm_gather_ms`; a full batch goes at once.
    pub(super) fn paced(kind: &'static str, options: &UpstreamOptions, pace: Duration, call: Call<A, R>) -> Self {
        let (sender, receiver) = mpsc::channel(options.waiting_most.max(1));
        let bounds = Bounds {
            most: options.batch_most.max(1),
            most_bytes: options.batch_bytes,
            in_flight: options.in_flight_most.max(1),
            gather: Duration::from_millis(options.gather_ms),
            pace,
            storm: Duration::from_millis(options.storm_gather_ms),
        };
        tokio::spawn(run(kind, bounds, receiver, call));
        Self { sender }
    }

    /// Asks, together with whatever else is being asked. The ask goes on when this is dropped.
    pub(super) async fn ask(&self, ask: A, bytes: usize) -> Result<R, Failure> {
        self.ask_patiently(ask, bytes, Duration::ZERO).await
    }

    /// The same, waiting up to `patience` for others to go with where none that is in a hurry comes.
    pub(super) async fn ask_patiently(&self, ask: A, bytes: usize, patience: Duration) -> Result<R, Failure> {
        let (answer, answered) = oneshot::channel();
        self.sender
            .try_send(Waiting { ask, bytes, patience, answer })
            .map_err(|_| Failure::Refused(Refusal::of(RefusalCode::Overloaded)))?;
        answered.await.unwrap_or_else(|_| Err(Failure::node("the call was given up")))
    }
}

struct Batch<A, R> {
    asks: Vec<A>,
    answers: Vec<oneshot::Sender<Result<R, Failure>>>,
    bytes: usize,
    since: Instant,
    /// As long as the least patient of them waits, from `since`; nothing once they are [`COMPANY`].
    patience: Duration,
}

impl<A, R> Batch<A, R> {
    fn new() -> Self {
        Self { asks: Vec::new(), answers: Vec::new(), bytes: 0, since: Instant::now(), patience: Duration::ZERO }
    }

    fn push(&mut self, waiting: Waiting<A, R>) {
        if self.asks.is_empty() {
            (self.since, self.patience) = (Instant::now(), waiting.patience);
        }
        // Those that came later have waited less: the first one's time is kept, which is never too long for anybody.
        self.patience = self.patience.min(waiting.patience);
        self.bytes += waiting.bytes;
        self.asks.push(waiting.ask);
        self.answers.push(waiting.answer);
        if self.asks.len() >= COMPANY {
            self.patience = Duration::ZERO;
        }
    }

    fn full(&self, bounds: Bounds) -> bool {
        self.asks.len() >= bounds.most || self.bytes >= bounds.most_bytes
    }
}

async fn run<A: Send + 'static, R: Send + 'static>(
    kind: &'static str,
    bounds: Bounds,
    mut receiver: mpsc::Receiver<Waiting<A, R>>,
    call: Call<A, R>,
) {
    let mut in_flight = JoinSet::new();
    let mut batch = Batch::new();
    let mut open = true;
    let mut not_before = Instant::now();
    while open || !batch.asks.is_empty() || !in_flight.is_empty() {
        let slot_free = in_flight.len() < bounds.in_flight;
        let due_at = |batch: &Batch<A, R>, idle: bool| {
            let gather = if idle { Duration::ZERO } else { bounds.gather };
            (batch.since + gather.max(batch.patience)).max(not_before)
        };
        let wake = due_at(&batch, in_flight.is_empty());
        tokio::select! {
            biased;
            _ = in_flight.join_next(), if !in_flight.is_empty() => {}
            waiting = receiver.recv(), if open && !batch.full(bounds) => match waiting {
                Some(waiting) => {
                    batch.push(waiting);
                    while !batch.full(bounds) && let Ok(waiting) = receiver.try_recv() {
                        batch.push(waiting);
                    }
                }
                None => open = false,
            },
            () = tokio::time::sleep_until(wake), if slot_free && !batch.asks.is_empty() => {}
        }
        let slot_free = in_flight.len() < bounds.in_flight;
        let due = batch.full(bounds) || Instant::now() >= due_at(&batch, in_flight.is_empty());
        if !batch.asks.is_empty() && slot_free && (due || !open) {
            metrics::histogram!("yitang_gateway_upstream_batch_items", "kind" => kind).record(batch.asks.len() as f64);
            not_before = Instant::now() + bounds.pace.saturating_mul(batch.asks.len() as u32).min(bounds.storm);
            let batch = std::mem::replace(&mut batch, Batch::new());
            in_flight.spawn(answer_all(call(batch.asks), batch.answers));
        }
    }
}

async fn answer_all<R>(
    call: BoxFuture<'static, Result<Vec<Result<R, Failure>>, Failure>>,
    answers: Vec<oneshot::Sender<Result<R, Failure>>>,
) {
    match call.await {
        Ok(results) => {
            // Fewer results than asks: the rest learns it by its sender being dropped.
            for (answer, result) in answers.into_iter().zip(results) {
                let _ = answer.send(result);
            }
        }
        Err(failure) => {
            for answer in answers {
                let _ = answer.send(Err(failure.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use parking_lot::Mutex;
    use tokio::sync::Semaphore;

    use super::*;

    fn bounded(most: usize, in_flight: usize) -> UpstreamOptions {
        UpstreamOptions { batch_most: most, in_flight_most: in_flight, gather_ms: 2, ..UpstreamOptions::default() }
    }

    /// A call that answers at once, and how many asks each of its calls was for.
    fn counting() -> (Arc<Mutex<Vec<usize>>>, Call<u32, u32>) {
        let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
        let counted = sizes.clone();
        let call: Call<u32, u32> = Arc::new(move |asks| {
            counted.lock().push(asks.len());
            Box::pin(async move { Ok(asks.into_iter().map(Ok).collect()) })
        });
        (sizes, call)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_while_a_call_is_in_flight_goes_together_in_the_next() {
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Semaphore::new(0));
        let call: Call<u32, u32> = {
            let (sizes, gate) = (sizes.clone(), gate.clone());
            Arc::new(move |asks| {
                let (sizes, gate) = (sizes.clone(), gate.clone());
                Box::pin(async move {
                    sizes.lock().push(asks.len());
                    gate.acquire().await.unwrap().forget();
                    Ok(asks.into_iter().map(|ask| Ok(ask * 2)).collect())
                })
            })
        };
        let gatherer = Arc::new(Gatherer::new("test", &bounded(512, 1), call));
        let first = tokio::spawn({
            let gatherer = gatherer.clone();
            async move { gatherer.ask(1, 1).await }
        });
        while sizes.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (2..102)
            .map(|n| {
                let gatherer = gatherer.clone();
                tokio::spawn(async move { gatherer.ask(n, 1).await })
            })
            .collect();
        // All have asked before any clock goes on.
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.add_permits(2);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        for (n, other) in (2..).zip(others) {
            assert_eq!(other.await.unwrap().unwrap(), n * 2);
        }
        assert_eq!(*sizes.lock(), [1, 100]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_bounded_in_number_and_bytes_and_calls_in_flight_are_bounded() {
        let most = Arc::new(AtomicUsize::new(0));
        let flying = Arc::new(AtomicUsize::new(0));
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let call: Call<u32, u32> = {
            let (most, flying, sizes) = (most.clone(), flying.clone(), sizes.clone());
            Arc::new(move |asks| {
                let (most, flying, sizes) = (most.clone(), flying.clone(), sizes.clone());
                Box::pin(async move {
                    most.fetch_max(flying.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sizes.lock().push(asks.len());
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    flying.fetch_sub(1, Ordering::SeqCst);
                    Ok(asks.into_iter().map(Ok).collect())
                })
            })
        };
        let options = UpstreamOptions { batch_bytes: 1_000, ..bounded(16, 3) };
        let gatherer = Arc::new(Gatherer::new("test", &options, call));
        let asks: Vec<_> = (0..200)
            .map(|n| {
                let gatherer = gatherer.clone();
                tokio::spawn(async move { gatherer.ask(n, 100).await })
            })
            .collect();
        for ask in asks {
            ask.await.unwrap().unwrap();
        }
        assert!(sizes.lock().iter().all(|size| *size <= 10), "{:?}", sizes.lock());
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    /// `count` asks at the same instant.
    async fn wave(gatherer: &Gatherer<u32, u32>, count: u32, patience: Duration) {
        let asks: Vec<_> = (0..count)
            .map(|ask| {
                let (answer, answered) = oneshot::channel();
                assert!(gatherer.sender.try_send(Waiting { ask, bytes: 1, patience, answer }).is_ok(), "there is room");
                answered
            })
            .collect();
        for (ask, answered) in (0..).zip(asks) {
            assert_eq!(answered.await.unwrap().unwrap(), ask);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_is_gathered_into_few_calls_and_a_single_ask_goes_at_once() {
        let (sizes, call) = counting();
        let options = UpstreamOptions { storm_gather_ms: 100, ..UpstreamOptions::default() };
        let gatherer = Gatherer::paced("test", &options, Duration::from_millis(1), call);
        wave(&gatherer, 1, Duration::ZERO).await;
        let started = Instant::now();
        wave(&gatherer, 300, Duration::ZERO).await;
        wave(&gatherer, 1, Duration::ZERO).await;
        assert_eq!(started.elapsed(), Duration::from_millis(100), "the call after a large one waits");
        // A full batch waits for nothing.
        wave(&gatherer, 512, Duration::ZERO).await;
        assert_eq!(*sizes.lock(), [1, 300, 1, 512]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_patient_waits_for_others_unless_one_in_a_hurry_comes() {
        let (sizes, call) = counting();
        let gatherer = Gatherer::new("test", &bounded(8, 1), call);
        let patient = |ask| gatherer.ask_patiently(ask, 1, Duration::from_millis(60));
        let started = Instant::now();
        let (first, second) = tokio::join!(patient(1), patient(2));
        assert_eq!((first.unwrap(), second.unwrap()), (1, 2));
        assert_eq!(started.elapsed(), Duration::from_millis(60));
        let hour = Duration::from_secs(3_600);
        let (third, fourth) = tokio::join!(gatherer.ask_patiently(3, 1, hour), gatherer.ask(4, 1));
        assert_eq!((third.unwrap(), fourth.unwrap()), (3, 4));
        assert_eq!(*sizes.lock(), [2, 2]);
    }

    #[tokio::test]
    async fn enough_of_the_patient_wait_no_longer() {
        let (sizes, call) = counting();
        let gatherer = Gatherer::new("test", &bounded(512, 1), call);
        wave(&gatherer, COMPANY as u32, Duration::from_secs(3_600)).await;
        assert_eq!(*sizes.lock(), [COMPANY]);
    }

    #[tokio::test]
    async fn a_call_that_panics_fails_its_own_asks_only() {
        let call: Call<u32, u32> = Arc::new(|asks| {
            Box::pin(async move {
                assert!(!asks.contains(&13), "unlucky");
                Ok(asks.into_iter().map(Ok).collect())
            })
        });
        let gatherer = Gatherer::new("test", &bounded(8, 1), call);
        assert!(matches!(gatherer.ask(13, 1).await, Err(Failure::Node(_))));
        assert_eq!(gatherer.ask(1, 1).await.unwrap(), 1);
    }
}
