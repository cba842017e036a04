//! What each scenario needs, and how it is run.

use std::time::Duration;

use anyhow::Context as _;

use crate::{
    bench::Bench,
    command::text,
    parts,
    profile::profile,
    stage::{Stage, Wanted, certificate},
};

type Recipe = fn(&Bench) -> anyhow::Result<()>;

/// All, in the order that they are run in.
pub const ALL: &[(&str, Recipe)] = &[
    ("floor", floor),
    ("idle", idle),
    ("broadcast", broadcast),
    ("consultation", consultation),
    ("steady", steady),
    ("ramp", ramp),
    ("flood", flood),
    ("rooms", rooms),
    ("direct", direct),
    ("storm", storm),
    ("post", post),
    ("connect", connect),
    ("soak", soak),
    ("profile", profile),
];

/// Whether a scenario is run where none is named.
#[must_use]
pub fn usual(name: &str) -> bool {
    !matches!(name, "soak" | "profile")
}

/// One gateway's sockets, as many as one process may hold beside its other files.
const MOST: usize = 19_500;
/// Everybody.
const ALL_VIEWERS: usize = 27_000;
/// Sockets that post in one room: the gateway takes one post of an author at a time.
const POSTERS: usize = 20;

/// Limits that are there for one person's device, raised for authors that stand for many: each author's socket may post
/// faster than a person would.
fn fast_authors() -> Vec<(&'static str, String)> {
    vec![("gateway.hub.frames_per_s", "2000".to_owned()), ("gateway.hub.frames_burst", "4000".to_owned())]
}

fn setting(key: &'static str, value: impl ToString) -> (&'static str, String) {
    (key, value.to_string())
}

/// The bare server alone, by number of sockets.
fn floor(bench: &Bench) -> anyhow::Result<()> {
    let cases = [("floor-19500", MOST, "4"), ("floor-221", 221, "200"), ("floor-2210", 2_210, "50")];
    for (part, sockets, per_s) in cases {
        let arguments =
            ["--measure", &sockets.to_string(), "--per-s", per_s, "--server-cpus", &bench.servers, "--generator-cpus", &bench.generators];
        bench.run(&bench.generators, "floor", part, &arguments.map(str::to_owned), "")?;
    }
    bench.combine("floor", Some("floor-19500"), &[("sockets_221", "floor-221"), ("sockets_2210", "floor-2210")])
}

/// Everybody comes as fast as may be: a ticket, the upgrade, the sign-in, the subscription.
fn connect(bench: &Bench) -> anyhow::Result<()> {
    wait_for_ports()?;
    let stage = Stage::start(&bench.wanted("connect", 1))?;
    bench.load(
        &stage,
        "connect",
        "connect",
        MOST,
        &["--viewers", &MOST.to_string(), "--connects-per-s", "20000", "--connecting-most", "250"],
    )?;
    bench.combine("connect", Some("connect"), &[])
}

/// Until the kernel has let go of what former runs closed: it keeps a closed connection's port for a minute, and whoever
/// connects by the thousand spends its time searching for free ones.
fn wait_for_ports() -> anyhow::Result<()> {
    const FEW: u32 = 2_000;
    let kept = || -> anyhow::Result<u32> {
        let counts = std::fs::read_to_string("/proc/net/sockstat").context("the kernel's count of sockets")?;
        let mut words = counts.split_whitespace().skip_while(|word| *word != "tw").skip(1);
        Ok(words.next().context("no count of closed connections")?.parse()?)
    };
    for _ in 0..70 {
        if kept()? < FEW {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    anyhow::bail!("the ports of closed connections are not let go: something else on this machine opens them")
}

/// Plain, and where the gateway has a certificate, with TLS.
fn idle(bench: &Bench) -> anyhow::Result<()> {
    let most = MOST.to_string();
    let arguments = ["--viewers", &most, "--idle-s", "12", "--connects-per-s", "4000"];
    let stage = Stage::start(&bench.wanted("idle", 1))?;
    bench.load(&stage, "idle", "idle", MOST, &arguments)?;
    drop(stage);
    bench.combine("idle", Some("idle"), &[])?;
    let (certificate, key) = certificate(&bench.folder.join("stages/idle-tls"))?;
    let mut wanted = bench.wanted("idle-tls", 1);
    wanted.settings = vec![setting("gateway.edge.tls_certificate", text(&certificate)?), setting("gateway.edge.tls_key", text(&key)?)];
    let stage = Stage::start(&wanted)?;
    let ca = text(&certificate)?;
    let trusting = [arguments.as_slice(), &["--ca", &ca]].concat();
    bench.load(&stage, "idle", "idle-tls", MOST, &trusting)?;
    bench.combine("idle", Some("idle"), &[("tls", "idle-tls")])
}

/// One gateway without coalescing, against the floor; and everybody on two gateways through Redis.
fn broadcast(bench: &Bench) -> anyhow::Result<()> {
    let posters = POSTERS.to_string();
    let mut wanted = bench.wanted("broadcast", 1);
    wanted.settings = vec![setting("gateway.hub.window_ms", 0)];
    let stage = Stage::start(&wanted)?;
    let common = ["--posts-per-s", "2", "--posters", &posters];
    let most = MOST.to_string();
    let one = [common.as_slice(), &["--viewers", &most, "--seconds", "10", "--floor"]].concat();
    bench.load(&stage, "broadcast", "broadcast", MOST, &one)?;
    drop(stage);
    let mut wanted = bench.wanted("broadcast-two", 2);
    wanted.settings = vec![setting("gateway.hub.window_ms", 0)];
    let stage = Stage::start(&wanted)?;
    let everybody = ALL_VIEWERS.to_string();
    let two = ["--viewers", &everybody, "--generators", "2", "--posts-per-s", "1", "--seconds", "10", "--posters", &posters];
    bench.load(&stage, "broadcast", "broadcast-two", ALL_VIEWERS, &two)?;
    bench.combine("broadcast", Some("broadcast"), &[("two_gateways", "broadcast-two")])
}

/// The reference meeting on the embedded default.
fn consultation(bench: &Bench) -> anyhow::Result<()> {
    let stage = Stage::start(&Wanted { gateways: None, ..bench.wanted("consultation", 1) })?;
    bench.load(&stage, "consultation", "consultation", 221, &["--viewers", "221", "--comments", "435", "--seconds", "45"])?;
    bench.combine("consultation", Some("consultation"), &[])
}

/// 221 viewers, 200 comments a second: as the service is set by default, and with coalescing switched off.
fn steady(bench: &Bench) -> anyhow::Result<()> {
    // A window that begins anew with every part of a run would not be the one that is measured: uncut.
    for (part, window_ms, turns) in [("steady-on", 50, "1"), ("steady-off", 0, "5")] {
        let arguments = ["--viewers", "221", "--posts-per-s", "200", "--seconds", "10", "--posters", "40", "--floor", "--turns", turns];
        let mut wanted = bench.beside_the_database(part);
        wanted.settings = vec![setting("gateway.hub.window_ms", window_ms)];
        let stage = Stage::start(&wanted)?;
        bench.load(&stage, "steady", part, 221, &arguments)?;
    }
    bench.combine("steady", Some("steady-on"), &[("coalescing_on", "steady-on"), ("coalescing_off", "steady-off")])
}

/// The gateway alone on its core, everything else on the other.
fn ramp(bench: &Bench) -> anyhow::Result<()> {
    for (part, viewers, from) in [("ramp-221", 221, "2000"), ("ramp-2210", 2_210, "200")] {
        let mut wanted = bench.wanted(part, 1);
        wanted.cpus = &bench.generators;
        wanted.gateway_cpus = Some(&bench.servers);
        wanted.settings = fast_authors();
        let stage = Stage::start(&wanted)?;
        let viewers = viewers.to_string();
        let arguments =
            ["--viewers", &viewers, "--posters", "400", "--from", from, "--gateway-cpu", &bench.servers, "--step-s", "3", "--deflate"];
        bench.load(&stage, "ramp", part, 2_210, &arguments)?;
    }
    bench.combine("ramp", Some("ramp-221"), &[("viewers_221", "ramp-221"), ("viewers_2210", "ramp-2210")])
}

/// Everybody, on two gateways, with the generators beside them on the same two cores.
fn flood(bench: &Bench) -> anyhow::Result<()> {
    let both = bench.both_cores();
    let mut wanted = bench.wanted("flood", 2);
    wanted.cpus = &both;
    let stage = Stage::start(&wanted)?;
    let viewers = ALL_VIEWERS.to_string();
    let arguments =
        ["--viewers", &viewers, "--generators", "2", "--posts-per-s", "500", "--seconds", "60", "--posters", "200", "--deflate"];
    bench.load_on(&both, &stage, "flood", "flood", ALL_VIEWERS, &arguments)?;
    bench.combine("flood", Some("flood"), &[])
}

/// 100 groups of 50.
fn rooms(bench: &Bench) -> anyhow::Result<()> {
    let stage = Stage::start(&bench.beside_the_database("rooms"))?;
    let arguments = ["--viewers", "5000", "--people", "50", "--posts-per-s", "200", "--seconds", "20"];
    bench.load(&stage, "rooms", "rooms", 5_000, &arguments)?;
    bench.combine("rooms", Some("rooms"), &[])
}

/// 1,000 pairs.
fn direct(bench: &Bench) -> anyhow::Result<()> {
    let stage = Stage::start(&bench.beside_the_database("direct"))?;
    let arguments = ["--viewers", "2000", "--posts-per-s", "5000", "--seconds", "15"];
    bench.load(&stage, "direct", "direct", 2_000, &arguments)?;
    bench.combine("direct", Some("direct"), &[])
}

/// 13,500 sockets on the gateway that is killed, 5,500 on the other.
fn storm(bench: &Bench) -> anyhow::Result<()> {
    let stage = Stage::start(&bench.wanted("storm", 2))?;
    let pid = stage.first_gateway().context("a gateway")?.to_string();
    let url = stage.url.clone().context("PostgreSQL")?;
    let arguments = [
        "--viewers",
        "19000",
        "--on-first",
        "13500",
        "--generators",
        "2",
        "--posts-per-s",
        "1",
        "--posters",
        "10",
        "--kill-pid",
        &pid,
        "--database",
        &url,
    ];
    bench.load(&stage, "storm", "storm", 19_000, &arguments)?;
    bench.combine("storm", Some("storm"), &[])
}

/// Through the gateway and without it: many conversations and one on PostgreSQL, many on SQLite (through: `yitang all`).
fn post(bench: &Bench) -> anyhow::Result<()> {
    let mut named = Vec::new();
    for (name, database, conversations) in
        [("postgres_many", "postgres", "1000"), ("postgres_one", "postgres", "0"), ("sqlite_many", "sqlite", "1000")]
    {
        let mut wanted = bench.beside_the_database(name);
        wanted.sqlite = database == "sqlite";
        wanted.settings = fast_authors();
        let arguments = ["--conversations", conversations, "--posters", "2000", "--seconds", "6"];
        let through = format!("post-{name}");
        if wanted.sqlite {
            // Through the gateway as SQLite is run for real: all in one process.
            let all = Wanted { gateways: None, cpus: &bench.servers, ..wanted.clone() };
            bench.load(&Stage::start(&all)?, "post", &through, 2_000, &arguments)?;
        }
        let stage = Stage::start(&wanted)?;
        if !wanted.sqlite {
            bench.load(&stage, "post", &through, 2_000, &arguments)?;
        }
        let core = stage.chat_core().context("a chat-core")?;
        let without = format!("post-{name}-without");
        bench.load(&stage, "post", &without, 2_000, &[arguments.as_slice(), &["--chat-core", &core]].concat())?;
        named.push((name.to_owned(), through, without));
    }
    let parts: Vec<(&str, &str)> = named.iter().map(|(name, through, _)| (name.as_str(), through.as_str())).collect();
    let mut whole = parts::combine(&bench.folder, "post", None, &parts)?;
    for (name, _, without) in &named {
        whole[name]["without_gateway"] = parts::read(&bench.folder, without)?;
    }
    std::fs::write(bench.folder.join("post.json"), serde_json::to_string_pretty(&whole)?)?;
    Ok(())
}

/// Half an hour, unless told otherwise.
fn soak(bench: &Bench) -> anyhow::Result<()> {
    let stage = Stage::start(&bench.wanted("soak", 1))?;
    let (minutes, admins) = (bench.minutes.to_string(), stage.admins());
    let arguments = ["--viewers", "5000", "--posts-per-s", "20", "--posters", "40", "--minutes", &minutes, "--admin", &admins];
    bench.load(&stage, "soak", "soak", 5_000, &arguments)?;
    bench.combine("soak", Some("soak"), &[])
}
