//! The streams of the gateways.

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
    book::{Broken, StreamId, Told},
};

/// Counts are sent in messages of so many rooms: far below gRPC's 4 MiB.
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

    /// Its services, for a listener or for a gateway in the same process. They ask for the roles' key, if there is one.
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
    /// Milliseconds since the start: presence needs no date.
    fn now_ms(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn tick(&self) {
        let now_ms = self.now_ms();
        let (expired, complete, (gateways, rooms, pairs)) = {
            let mut book = self.book.lock();
            (book.expire(now_ms), book.complete(now_ms), book.sizes())
        };
        if expired > 0 {
            tracing::warn!(gateways = expired, "the people of gateways that are not heard any more are gone");
            metrics::counter!("yitang_presence_expired_gateways_total").increment(expired as u64);
        }
        metrics::gauge!("yitang_presence_gateways").set(gateways as f64);
        metrics::gauge!("yitang_presence_rooms").set(rooms as f64);
        metrics::gauge!("yitang_presence_here_pairs").set(pairs as f64);
        metrics::gauge!("yitang_presence_complete").set(f64::from(u8::from(complete)));
    }
}

/// A gateway's open stream; dropping it, however that comes about, tells the book.
struct Line {
    shared: Arc<Shared>,
    gateway: String,
    stream: StreamId,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.shared.book.lock().lost(&self.gateway, self.stream, self.shared.now_ms());
    }
}

impl Line {
    fn open(shared: Arc<Shared>, hello: GatewayHello) -> Result<Self, Status> {
        if hello.gateway.is_empty() || hello.gateway.len() > NAME_MOST {
            return Err(Status::invalid_argument("a gateway needs a name of at most 128 bytes"));
        }
        let stream = shared.book.lock().hello(&hello.gateway, hello.incarnation, hello.gateways, shared.now_ms()).map_err(broken)?;
        tracing::info!(gateway = hello.gateway, incarnation = hello.incarnation, "a gateway reports");
        Ok(Self { shared, gateway: hello.gateway, stream })
    }

    /// Takes one report. `true`: the full set is whole now.
    fn take(&self, report: PresenceReport) -> Result<bool, Status> {
        let mut book = self.shared.book.lock();
        match report.report {
            Some(Report::Set(set)) => {
                let last = set.last;
                book.set(&self.gateway, self.stream, set.here, last).map_err(broken)?;
                Ok(last)
            }
            Some(Report::Change(change)) => {
                book.change(&self.gateway, self.stream, change.number, change.joined, change.left).map_err(broken)?;
                Ok(false)
            }
            Some(Report::Heartbeat(_)) => Ok(false),
            Some(Report::Hello(_)) => Err(broken(Broken::OutOfTurn)),
            // A kind that only a newer gateway knows.
            None => Ok(false),
        }
    }

    fn news(&self, told: &mut Told) -> Vec<RoomCounts> {
        self.shared.book.lock().news(&self.gateway, self.stream, told, self.shared.now_ms())
    }
}

fn broken(broken: Broken) -> Status {
    metrics::counter!("yitang_presence_streams_broken_total").increment(1);
    match broken {
        Broken::TooMuch => Status::resource_exhausted(broken.to_string()),
        Broken::Replaced | Broken::Hole { .. } | Broken::OutOfTurn => Status::failed_precondition(broken.to_string()),
    }
}

type Counts = mpsc::Sender<Result<PresenceCounts, Status>>;

/// Reads reports and sends counts until either side ends.
async fn serve(line: Line, mut reports: Streaming<PresenceReport>, counts: Counts) -> Result<(), Status> {
    let options = line.shared.options.clone();
    let silence = Duration::from_millis(options.silence_ms);
    let set_by = tokio::time::Instant::now() + Duration::from_millis(options.set_ms);
    let mut ticks = interval(Duration::from_millis(options.counts_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut whole, mut told) = (false, Told::default());
    let mut heard = tokio::time::Instant::now();
    loop {
        tokio::select! {
            report = reports.next() => {
                let Some(report) = report else { return Ok(()) };
                heard = tokio::time::Instant::now();
                if line.take(report?)? {
                    whole = true;
                    // The first counts go at once.
                    ticks.reset_immediately();
                }
            }
            _ = ticks.tick(), if whole => {
                for rooms in line.news(&mut told).chunks(ROOMS_A_MESSAGE) {
                    let sending = counts.send(Ok(PresenceCounts { rooms: rooms.to_vec() }));
                    if timeout(silence, sending).await.is_err() {
                        return Err(Status::aborted("the counts are not being read"));
                    }
                }
            }
            () = tokio::time::sleep_until(heard + silence) => return Err(Status::deadline_exceeded("nothing was heard")),
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
        // The answer's head goes out before the first report is read: a client may wait for it before it speaks.
        let (sender, receiver) = mpsc::channel(shared.options.waiting_most.max(1));
        tokio::spawn(async move {
            let first = Duration::from_millis(shared.options.silence_ms);
            let ended = match timeout(first, reports.next()).await {
                Ok(Some(Ok(PresenceReport { report: Some(Report::Hello(hello)) }))) => match Line::open(shared, hello) {
                    Ok(line) => serve(line, reports, sender.clone()).await,
                    Err(status) => Err(status),
                },
                Ok(Some(Err(status))) => Err(status),
                Ok(None) => Ok(()),
                Ok(Some(Ok(_))) => Err(broken(Broken::OutOfTurn)),
                Err(_) => Err(Status::deadline_exceeded("nothing was heard")),
            };
            if let Err(status) = ended {
                tracing::info!(%status, "a gateway's stream ended");
                // When nobody reads any more there is nobody to tell.
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
