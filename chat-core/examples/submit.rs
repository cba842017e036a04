//! Posts through a chat-core's internal contract, a stream for each call, and says what each post cost: a real database, a real
//! process, no gateway. `submit --database postgres|sqlite --conversations N --seconds N [--rate N]`; without a rate it
//! sends as fast as receipts come. Needs `yitang` beside it: `cargo build --release -p yitang`.
#![allow(clippy::unwrap_used, reason = "a tool that cannot go on says where")]

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use proto::{
    internal::v1::{Submission, SubmitRequest, edge_service_client::EdgeServiceClient, submit_verdict::Verdict},
    metadata,
    v1::{Comment, OpenDirectRequest, Post, conversation_service_client::ConversationServiceClient, post::Content},
};
use testkit::{Child, Postgres, Redis, free_port, topology::is_ready};
use tokio::{sync::Semaphore, task::JoinSet};
use tonic::{Request, transport::Channel};
use uuid::Uuid;

const KEY: &str = "a-key-for-a-measurement-on-one-machine";

struct Asked {
    database: String,
    conversations: usize,
    seconds: u64,
    /// Posts a second; 0: as many as it takes.
    rate: usize,
    /// Posts in one call, and calls at once, where it sends as fast as it can.
    batch: usize,
    calls: usize,
    text: String,
    perf: Option<String>,
    /// Further settings of the chat-core: NAME=VALUE.
    settings: Vec<(String, String)>,
}

impl Asked {
    fn read() -> Self {
        let mut asked = Self {
            database: "postgres".into(),
            conversations: 1_000,
            seconds: 10,
            rate: 0,
            batch: 256,
            calls: 4,
            text: "加装电梯要先听低层住户的意见。".repeat(6),
            perf: None,
            settings: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().unwrap_or_else(|| panic!("{name} needs a value"));
            let number = || value.parse().unwrap_or_else(|_| panic!("{name} {value}: not a number"));
            match name.as_str() {
                "--database" => asked.database = value,
                "--conversations" => asked.conversations = number(),
                "--seconds" => asked.seconds = number() as u64,
                "--rate" => asked.rate = number(),
                "--batch" => asked.batch = number(),
                "--calls" => asked.calls = number(),
                "--perf" => asked.perf = Some(value),
                "--set" => {
                    let (name, value) = value.split_once('=').expect("NAME=VALUE");
                    asked.settings.push((name.to_owned(), value.to_owned()));
                }
                _ => panic!("{name}: not known"),
            }
        }
        asked
    }
}

/// A chat-core process and its database.
struct Place {
    core: Child,
    address: String,
    postgres: Option<Postgres>,
    redis: Redis,
    _folder: tempfile::TempDir,
}

impl Place {
    fn start(asked: &Asked) -> Self {
        let yitang = beside("yitang");
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let redis = Redis::start();
        let postgres = (asked.database == "postgres").then(Postgres::start);
        let url = match &postgres {
            Some(server) => server.create_database(),
            None => format!("sqlite:{}/yitang.db", folder.path().display()),
        };
        let (address, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let mut settings: Vec<(String, String)> = [
            ("YITANG_CHAT_CORE__STORE__URL", url),
            ("YITANG_REDIS__URL", redis.url()),
            ("YITANG_KEY", KEY.to_owned()),
            ("YITANG_LISTEN__CHAT_CORE", address.clone()),
            ("YITANG_LISTEN__CHAT_CORE_ADMIN", admin.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        settings.extend(asked.settings.iter().cloned());
        let seeded = Command::new(&yitang).arg("seed-demo").envs(settings.iter().cloned()).output().unwrap();
        assert!(seeded.status.success(), "{}", String::from_utf8_lossy(&seeded.stderr));
        let mut command = Command::new(&yitang);
        command.arg("chat-core").envs(settings.iter().cloned());
        let core = Child::start(command, "(none: cargo build)");
        let started = Instant::now();
        while !is_ready(&admin) {
            assert!(started.elapsed() < Duration::from_secs(20), "chat-core is not ready: run it with TESTKIT_LOG=1 to see why");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { core, address, postgres, redis, _folder: folder }
    }

    fn cpu(&self) -> [f64; 4] {
        [
            seconds_of(std::process::id()),
            seconds_of(self.core.pid()),
            self.postgres.as_ref().map_or(0.0, |server| family(server.pid())),
            family(self.redis.pid()),
        ]
    }
}

fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.ancestors().nth(2).unwrap().join(name)
}

/// User and system time of a process, seconds.
fn seconds_of(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

/// The same with its children.
fn family(pid: u32) -> f64 {
    let children = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of = |child: u32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|after| after.split_whitespace().nth(1)?.parse::<u32>().ok())
    };
    seconds_of(pid) + children.filter(|child| of(*child) == Some(pid)).map(seconds_of).sum::<f64>()
}

fn with_key<T>(message: T, person: u32) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(metadata::KEY, KEY.parse().unwrap());
    request.metadata_mut().insert(metadata::PERSON, person.to_string().parse().unwrap());
    request.metadata_mut().insert(metadata::SESSION, Uuid::nil().to_string().parse().unwrap());
    request
}

/// Where is posted: (conversation, its people); one conversation is the demonstration's open consultation.
async fn targets(channel: &Channel, count: usize) -> Vec<(String, Vec<u32>)> {
    let mut client = ConversationServiceClient::new(channel.clone());
    if count == 1 {
        let mut consultations = proto::v1::consultation_service_client::ConsultationServiceClient::new(channel.clone());
        let listed = consultations.list_consultations(with_key(proto::v1::ListConsultationsRequest::default(), 1)).await.unwrap();
        let open = listed.into_inner().consultations.into_iter().find(|one| one.state() == proto::v1::ConsultationState::Open);
        return vec![(open.expect("an open consultation").id, (1_000..21_000).collect())];
    }
    let mut made = Vec::with_capacity(count);
    for number in 0..count as u32 {
        let (one, other) = (1_000 + 2 * number, 1_001 + 2 * number);
        let direct = client.open_direct(with_key(OpenDirectRequest { person: other }, one)).await.unwrap().into_inner();
        made.push((direct.id, vec![one, other]));
    }
    made
}

#[derive(Default)]
struct Seen {
    latencies_us: Vec<u32>,
    refused: usize,
}

async fn call(channel: Channel, posts: Vec<Submission>, seen: Arc<Mutex<Seen>>) {
    let started = Instant::now();
    let mut client = EdgeServiceClient::new(channel);
    let request = with_key(tokio_stream::once(SubmitRequest { submissions: posts }), 0);
    let answer = client.submit(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let took = started.elapsed().as_micros() as u32;
    let mut seen = seen.lock().unwrap();
    for verdict in answer.verdicts {
        match verdict.verdict {
            Some(Verdict::Receipt(_)) => seen.latencies_us.push(took),
            other => {
                if seen.refused == 0 {
                    eprintln!("{other:?}");
                }
                seen.refused += 1;
            }
        }
    }
}

fn main() {
    // Children end with the thread that started them: this one.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = Asked::read();
    let place = Place::start(&asked);
    runtime.block_on(run(&asked, &place));
}

async fn run(asked: &Asked, place: &Place) {
    let channel = Channel::from_shared(format!("http://{}", place.address)).unwrap().tcp_nodelay(true).connect().await.unwrap();
    let targets = targets(&channel, asked.conversations).await;
    let mut number = 0_usize;
    let mut next = |count: usize| -> Vec<Submission> {
        (0..count)
            .map(|_| {
                number += 1;
                let (conversation, people) = &targets[number % targets.len()];
                let person = people[(number / targets.len()) % people.len()];
                let content = Content::Comment(Comment { text: asked.text.clone(), ..Comment::default() });
                let post = Post { conversation: conversation.clone(), client_id: Uuid::now_v7().to_string(), content: Some(content) };
                Submission { person, session: Uuid::nil().to_string(), post: Some(post) }
            })
            .collect()
    };
    // Rules, plans and pages are warm before it counts.
    for warm in [true, false] {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let turns = Arc::new(Semaphore::new(if asked.rate == 0 { asked.calls } else { 10_000 }));
        let mut calls = JoinSet::new();
        let (before, started) = (place.cpu(), Instant::now());
        let perf = asked.perf.as_deref().filter(|_| !warm).map(|what| record(place, what));
        let within = Duration::from_secs(if warm { 3 } else { asked.seconds });
        let mut sent = 0;
        while started.elapsed() < within {
            let count = if asked.rate == 0 {
                asked.batch
            } else {
                // What is due by now: time goes on whatever the answers do.
                tokio::time::sleep(Duration::from_millis(2)).await;
                (started.elapsed().as_secs_f64() * asked.rate as f64) as usize - sent
            };
            if count == 0 {
                continue;
            }
            sent += count;
            let turn = turns.clone().acquire_owned().await.unwrap();
            let (channel, posts, seen) = (channel.clone(), next(count), seen.clone());
            calls.spawn(async move {
                call(channel, posts, seen).await;
                drop(turn);
            });
            while calls.try_join_next().is_some() {}
        }
        calls.join_all().await;
        let (took, after) = (started.elapsed().as_secs_f64(), place.cpu());
        drop(perf);
        if !warm {
            report(asked, &seen.lock().unwrap(), took, before, after);
        }
    }
}

fn record(place: &Place, what: &str) -> Child {
    let pids = match (what, &place.postgres) {
        ("postgres", Some(server)) => Command::new("pgrep").args(["-d,", "-P", &server.pid().to_string()]).output().unwrap().stdout,
        _ => place.core.pid().to_string().into_bytes(),
    };
    let mut command = Command::new("perf");
    command.args(["record", "-q", "-F", "997", "-g", "-o", "/tmp/submit.perf", "-p", String::from_utf8(pids).unwrap().trim()]);
    Child::start(command, "linux-perf")
}

fn report(asked: &Asked, seen: &Seen, took: f64, before: [f64; 4], after: [f64; 4]) {
    let mut sorted = seen.latencies_us.clone();
    sorted.sort_unstable();
    let at = |share: f64| sorted.get(((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1))).copied().unwrap_or(0);
    let posts = sorted.len() as f64;
    let each: Vec<String> = ["driver", "chat-core", "database", "redis"]
        .iter()
        .zip(before.iter().zip(after))
        .map(|(name, (before, after))| format!("{name} {:.1}", (after - before) * 1e6 / posts))
        .collect();
    println!(
        "{} {} conversations, {}: {:.0}/s acknowledged, refused {}; ms p50 {:.1} p99 {:.1} max {:.1}; us a post: {}",
        asked.database,
        asked.conversations,
        if asked.rate == 0 { format!("{}x{}", asked.calls, asked.batch) } else { format!("{}/s asked", asked.rate) },
        posts / took,
        seen.refused,
        f64::from(at(0.5)) / 1e3,
        f64::from(at(0.99)) / 1e3,
        f64::from(sorted.last().copied().unwrap_or(0)) / 1e3,
        each.join(", ")
    );
}
