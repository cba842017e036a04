//! Opens a database with an executable, as an upgrade does, and says how long that took and whether anything was lost:
//! `upgrade --executable target/release/yitang --store sqlite:PATH` or `--store postgres://…` of a server that runs. The database is
//! changed by that: keep a copy. What it finds is added to target/bench/upgrade.json, under the database's name.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use clap::Parser;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use testkit::{
    Redis, free_port,
    topology::{Endpoint, RolePlan, RoleProcess},
};

#[derive(Parser)]
struct Arguments {
    /// The executable that opens it.
    #[arg(long)]
    executable: PathBuf,
    /// The database, as in the setting `chat_core.store.url`.
    #[arg(long)]
    store: String,
    /// Where what was found goes.
    #[arg(long, default_value = "target/bench/upgrade.json")]
    json: PathBuf,
    /// How long it may take, s.
    #[arg(long, default_value_t = 1_800)]
    within_s: u64,
}

/// What stands in a database, and no upgrade may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Contents {
    events: u64,
    conversations: u64,
    /// SHA-256 over conversation, seq, mseq, time, author, kind and body of every event, in order.
    events_sha256: String,
    /// SHA-256 over conversation, epoch, seq, mseq, people who spoke and comments of every head, in order.
    heads_sha256: String,
    /// Rows of the tables that hold nothing but accounts and memberships.
    people: u64,
    sessions: u64,
    members: u64,
}

#[derive(Serialize)]
struct Found {
    executable: PathBuf,
    /// From the start of the process until it is ready, s: with the migrations, and once more without any.
    opened_s: f64,
    opened_again_s: f64,
    /// What the database takes on the disk, bytes.
    bytes_before: u64,
    bytes_after: u64,
    before: Contents,
    after: Contents,
    nothing_lost: bool,
}

const EVENTS: &str = "SELECT {conversation}, seq, mseq, time_ms, author, kind, {body} FROM events ORDER BY conversation, seq";
const HEADS: &str = "SELECT {conversation}, epoch, seq, mseq, spoke, comments FROM heads ORDER BY conversation";

/// The contents, and the bytes on the disk.
fn read(store: &str) -> anyhow::Result<(Contents, u64)> {
    let (events, events_sha256) = sum_up(store, EVENTS)?;
    let (conversations, heads_sha256) = sum_up(store, HEADS)?;
    let count =
        |table: &str| -> anyhow::Result<u64> { ask(store, &format!("SELECT count(*) FROM {table}"))?.trim().parse().context("a number") };
    let contents = Contents {
        events,
        conversations,
        events_sha256,
        heads_sha256,
        people: count("people")?,
        sessions: count("sessions")?,
        members: count("members")?,
    };
    let bytes = match sqlite_path(store) {
        Some(path) => fs::metadata(path)?.len(),
        None => ask(store, "SELECT pg_database_size(current_database())")?.trim().parse()?,
    };
    Ok((contents, bytes))
}

/// How many lines the database's own client gives for this, and their SHA-256.
fn sum_up(store: &str, query: &str) -> anyhow::Result<(u64, String)> {
    let hex = |column: &str| match sqlite_path(store) {
        Some(_) => format!("lower(hex({column}))"),
        None if column == "body" => "encode(body, 'hex')".to_owned(),
        None => format!("replace({column}::text, '-', '')"),
    };
    let query = query.replace("{conversation}", &hex("conversation")).replace("{body}", &hex("body"));
    // As it comes, where it would be gathered whole in the client's memory otherwise.
    let query = if sqlite_path(store).is_some() { query } else { format!("COPY ({query}) TO STDOUT (DELIMITER '|')") };
    let mut client = client(store, &query);
    let mut child = client.stdout(Stdio::piped()).spawn().with_context(|| format!("running {:?}", client.get_program()))?;
    let mut lines = BufReader::with_capacity(1 << 20, child.stdout.take().context("its output")?);
    let (mut count, mut digest, mut line) = (0, Sha256::new(), Vec::new());
    while lines.read_until(b'\n', &mut line)? > 0 {
        digest.update(&line);
        line.clear();
        count += 1;
    }
    ensure!(child.wait()?.success(), "{query}: it failed");
    let sha256 = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((count, sha256))
}

fn ask(store: &str, query: &str) -> anyhow::Result<String> {
    let output = client(store, query).output().context("running psql or sqlite3")?;
    ensure!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The client of the Debian packages sqlite3 and postgresql-client.
fn client(store: &str, query: &str) -> Command {
    match sqlite_path(store) {
        Some(path) => {
            let mut command = Command::new("sqlite3");
            command.args(["-batch", "-noheader"]).arg(path).arg(query);
            command
        }
        None => {
            let mut command = Command::new("psql");
            command.args(["-XAtqc", query, store]);
            command
        }
    }
}

fn sqlite_path(store: &str) -> Option<&Path> {
    store.strip_prefix("sqlite:").map(|path| Path::new(path.trim_start_matches("//")))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.executable.exists(), "{} is not there: build it first", arguments.executable.display());
    let name = match sqlite_path(&arguments.store) {
        Some(path) => {
            ensure!(path.exists(), "{} is not there", path.display());
            "sqlite"
        }
        None => "postgres",
    };
    let (before, bytes_before) = read(&arguments.store).context("reading it before")?;
    println!("{name}: {} events in {} conversations", before.events, before.conversations);
    let within = Duration::from_secs(arguments.within_s);
    let opened_s = open(&arguments.executable, &arguments.store, within)?;
    let opened_again_s = open(&arguments.executable, &arguments.store, within)?;
    let (after, bytes_after) = read(&arguments.store).context("reading it after")?;
    let nothing_lost = before == after;
    let found =
        Found { executable: arguments.executable, opened_s, opened_again_s, bytes_before, bytes_after, before, after, nothing_lost };
    println!("{}", serde_json::to_string_pretty(&found)?);
    add(&arguments.json, name, serde_json::to_value(&found)?)?;
    if !nothing_lost {
        bail!("what stands in it is not what stood in it");
    }
    Ok(())
}

/// Starts a chat-core on the database, waits until it is ready, and ends it: the seconds that the first two took.
fn open(executable: &Path, store: &str, within: Duration) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let redis = Redis::start();
    let [address, admin] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let settings = [
        ("YITANG_CHAT_CORE__STORE__URL", store.to_owned()),
        ("YITANG_REDIS__URL", redis.url()),
        // Not a secret: it guards ports on 127.0.0.1 for as long as this runs.
        ("YITANG_KEY", format!("upgrade-{:0>32}", std::process::id())),
        ("YITANG_LISTEN__CHAT_CORE", address.clone()),
        ("YITANG_LISTEN__CHAT_CORE_ADMIN", admin.clone()),
    ];
    let endpoint = Endpoint { name: "chat-core".to_owned(), address: address.clone(), listen: address, admin };
    let settings = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let plan = RolePlan { endpoint, arguments: vec!["chat-core".to_owned()], settings };
    let started = Instant::now();
    let mut process = RoleProcess::start(executable, plan, folder.path())?;
    let ready = process.wait_ready(within);
    let seconds = started.elapsed().as_secs_f64();
    if ready.is_err() {
        println!("{}", fs::read_to_string(folder.path().join("chat-core.log")).unwrap_or_default());
    }
    ready?;
    process.end();
    Ok(seconds)
}

/// Puts what was found of one database beside what was found of others.
fn add(path: &Path, name: &str, found: serde_json::Value) -> anyhow::Result<()> {
    let kept = fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok());
    let mut all: serde_json::Map<String, serde_json::Value> = kept.unwrap_or_default();
    all.insert(name.to_owned(), found);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, serde_json::to_string_pretty(&all)?).with_context(|| path.display().to_string())
}
