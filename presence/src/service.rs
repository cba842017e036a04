//! The gRPC service: one stream a gateway, reports in, counts out.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt as _};
use parking_lot::Mutex;
use proto::{
    internal::v1::{
        GatewayHello, GetCountsRequest, PresenceCounts, PresenceReport, RoomCounts,
        presence_report::Report,
        presence_service_server::{PresenceService, PresenceServiceServer},
    },
    metadata,
    v1::{Refusal, RefusalCode},
};
use subtle::ConstantTimeEq as _;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming, service::Routes};

use crate::{
    Book, Options,
    book::{SentCounts, StreamError, StreamId},
};

/// Rooms in one message of counts: far below gRPC's 4 MiB.
const ROOMS_A_MESSAGE: usize = 256;
const EXPIRE_EVERY: Duration = Duration::from_millis(100);
/// A gateway's name, bytes.
const NAME_MOST: usize = 128;

/// One instance of presence. Cheap to clone; ends with its last clone and stream.
#[derive(Clone)]
pub struct Presence {
    shared: Arc<Shared>,
}

struct Shared {
    book: Mutex<Book>,
    options: Options,
    started: Instant,
    _stop: DropGuard,
}

impl Presence {
    /// Starts with an empty book; must be called inside a runtime.
    #[must_use]
    pub fn start(options: Options) -> Self {
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            book: Mutex::new(Book::new(options.clone(), 0)),
            options,
            started: Instant::now(),
            _stop: stop.clone().drop_guard(),
        });
        let weak = Arc::downgrade(&shared);
        tokio::spawn(async move {
            let mut ticks = interval(EXPIRE_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => match weak.upgrade() {
                        Some(shared) => shared.tick(),
                        None => return,
                    },
                }
            }
        });
        Self { shared }
    }

    /// Its services, for a listener or for a gateway in the same process. They require the roles' key, where one is set.
    #[must_use]
    pub fn routes(&self) -> Routes {
        let key = self.shared.options.key.clone();
        Routes::new(PresenceServiceServer::with_interceptor(self.clone(), move |request: Request<()>| check_key(&key, request)))
    }
}

fn check_key(key: &str, request: Request<()>) -> Result<Request<()>, Status> {
    let shown = request.metadata().get(metadata::KEY).map(|value| value.as_bytes()).unwrap_or_default();
    if key.is_empty() || bool::from(shown.ct_eq(key.as_bytes())) {
        return Ok(request);
    }
    Err(Refusal::of(RefusalCode::Unauthenticated).into())
}

impl Shared {
    /// Milliseconds since the start.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn tick(&self) {
        let now_ms = self.now_ms();
        let (expired, complete, (gateways, rooms, pairs)) = {
            let mut book = self.book.lock();
            (book.expire(now_ms), book.is_complete(now_ms), book.sizes())
        };
        if expired > 0 {
            tracing::warn!(gateways = expired, "people of gateways whose streams are lost have expired");
            metrics::counter!("yitang_presence_expired_gateways_total").increment(expired as u64);
        }
        metrics::gauge!("yitang_presence_gateways").set(gateways as f64);
        metrics::gauge!("yitang_presence_rooms").set(rooms as f64);
        metrics::gauge!("yitang_presence_here_pairs").set(pairs as f64);
        metrics::gauge!("yitang_presence_complete").set(f64::from(u8::from(complete)));
    }
}

/// A gateway's open stream. Dropping it closes it in the book, however it ended.
struct GatewayStream {
    shared: Arc<Shared>,
    gateway: String,
    stream: StreamId,
}

impl Drop for GatewayStream {
    fn drop(&mut self) {
        self.shared.book.lock().close_stream(&self.gateway, self.stream, self.shared.now_ms());
    }
}

impl GatewayStream {
    fn open(shared: Arc<Shared>, hello: GatewayHello) -> Result<Self, Status> {
        if hello.gateway.is_empty() || hello.gateway.len() > NAME_MOST {
            return Err(Status::invalid_argument("a gateway needs a name of at most 128 bytes"));
        }
        let stream =
            shared.book.lock().open_stream(&hello.gateway, hello.incarnation, hello.gateways, shared.now_ms()).map_err(to_status)?;
        tracing::info!(gateway = hello.gateway, incarnation = hello.incarnation, "a gateway reports");
        Ok(Self { shared, gateway: hello.gateway, stream })
    }

    /// Applies one report to the book. `true`: the gateway's full set is complete now.
    fn handle_report(&self, report: PresenceReport) -> Result<bool, Status> {
        let mut book = self.shared.book.lock();
        match report.report {
            Some(Report::Set(set)) => {
                let last = set.last;
                book.apply_set(&self.gateway, self.stream, set.here, last).map_err(to_status)?;
                Ok(last)
            }
            Some(Report::Change(change)) => {
                book.apply_change(&self.gateway, self.stream, change.number, change.joined, change.left).map_err(to_status)?;
                Ok(false)
            }
            Some(Report::Heartbeat(_)) => Ok(false),
            Some(Report::Hello(_)) => Err(to_status(StreamError::OutOfTurn)),
            // A kind of report that a newer gateway sends.
            None => Ok(false),
        }
    }

    fn changed_counts(&self, sent: &mut SentCounts) -> Vec<RoomCounts> {
        self.shared.book.lock().changed_counts(&self.gateway, self.stream, sent, self.shared.now_ms())
    }
}

fn to_status(error: StreamError) -> Status {
    metrics::counter!("yitang_presence_streams_broken_total").increment(1);
    match error {
        StreamError::TooMuch => Status::resource_exhausted(error.to_string()),
        StreamError::Replaced | StreamError::Hole { .. } | StreamError::OutOfTurn => Status::failed_precondition(error.to_string()),
    }
}

type Counts = mpsc::Sender<Result<PresenceCounts, Status>>;

/// Reads reports and sends counts until either side ends.
async fn serve(stream: GatewayStream, mut reports: Streaming<PresenceReport>, counts: Counts) -> Result<(), Status> {
    let options = stream.shared.options.clone();
    let silence = Duration::from_millis(options.silence_ms);
    let set_by = tokio::time::Instant::now() + Duration::from_millis(options.set_ms);
    let mut ticks = interval(Duration::from_millis(options.counts_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut whole, mut sent) = (false, SentCounts::default());
    let mut last_report = tokio::time::Instant::now();
    loop {
        tokio::select! {
            report = reports.next() => {
                let Some(report) = report else { return Ok(()) };
                last_report = tokio::time::Instant::now();
                if stream.handle_report(report?)? {
                    whole = true;
                    // The first counts are sent at once.
                    ticks.reset_immediately();
                }
            }
            _ = ticks.tick(), if whole => {
                for rooms in stream.changed_counts(&mut sent).chunks(ROOMS_A_MESSAGE) {
                    let sending = counts.send(Ok(PresenceCounts { rooms: rooms.to_vec() }));
                    if timeout(silence, sending).await.is_err() {
                        return Err(Status::aborted("the counts are not being read"));
                    }
                }
            }
            () = tokio::time::sleep_until(last_report + silence) => return Err(Status::deadline_exceeded("no report came in time")),
            () = tokio::time::sleep_until(set_by), if !whole => return Err(Status::deadline_exceeded("the full set did not come in time")),
            () = counts.closed() => return Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl PresenceService for Presence {
    type ReportStream = Pin<Box<dyn Stream<Item = Result<PresenceCounts, Status>> + Send>>;

    async fn report(&self, request: Request<Streaming<PresenceReport>>) -> Result<Response<Self::ReportStream>, Status> {
        let shared = Arc::clone(&self.shared);
        let mut reports = request.into_inner();
        // The response headers go out before the first report is read, for a client may wait for them before it sends.
        let (sender, receiver) = mpsc::channel(shared.options.waiting_most.max(1));
        tokio::spawn(async move {
            let first = Duration::from_millis(shared.options.silence_ms);
            let ended = match timeout(first, reports.next()).await {
                Ok(Some(Ok(PresenceReport { report: Some(Report::Hello(hello)) }))) => match GatewayStream::open(shared, hello) {
                    Ok(stream) => serve(stream, reports, sender.clone()).await,
                    Err(status) => Err(status),
                },
                Ok(Some(Err(status))) => Err(status),
                Ok(None) => Ok(()),
                Ok(Some(Ok(_))) => Err(to_status(StreamError::OutOfTurn)),
                Err(_) => Err(Status::deadline_exceeded("no report came in time")),
            };
            if let Err(status) = ended {
                tracing::info!(%status, "a gateway's stream ended");
                // Without a reader the status goes nowhere.
                let _ = sender.try_send(Err(status));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn get_counts(&self, request: Request<GetCountsRequest>) -> Result<Response<RoomCounts>, Status> {
        let conversation = request.into_inner().conversation;
        Ok(Response::new(self.shared.book.lock().counts(&conversation, self.shared.now_ms())))
    }
}
