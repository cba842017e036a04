//! What the executable says to an operator who errs, and to one who does not.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use testkit::{Postgres, free_port};

fn yitang(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yitang"));
    command.args(arguments).args(["--data", folder.to_str().unwrap()]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("YITANG_")) {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_role_that_runs_apart_asks_for_the_shared_key() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["gateway", "chat-core", "presence"] {
        let output = yitang(folder.path(), &[role]);
        assert!(!output.status.success() && printed(&output).contains("YITANG_KEY"), "{role}: {}", printed(&output));
        let output = yitang(folder.path(), &[role, "--set", "key=short"]);
        assert!(!output.status.success() && printed(&output).contains("too short"), "{role}: {}", printed(&output));
    }
}

#[test]
fn shown_settings_hide_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let output = yitang(
        folder.path(),
        &["config", "--set", "key=0123456789abcdef0123456789abcdef", "--set", "chat_core.store.url=postgres://y:hunter2@db/y"],
    );
    let printed = printed(&output);
    assert!(output.status.success() && printed.contains("postgres://y:********@db/y"), "{printed}");
    assert!(!printed.contains("hunter2") && !printed.contains("0123456789abcdef"), "{printed}");
}

#[test]
fn an_unknown_setting_stops_every_command_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = yitang(folder.path(), &["migrate", "--set", "chat_core.log.lane=3"]);
    assert!(!output.status.success() && printed(&output).contains("unknown key `chat_core.log.lane`"), "{}", printed(&output));
}

#[test]
fn the_demonstration_is_made_once_and_sessions_are_for_their_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    assert!(printed(&yitang(folder.path(), &["seed-demo"])).contains("made 27000 people"));
    assert!(printed(&yitang(folder.path(), &["seed-demo"])).contains("stands already"));
    let out = folder.path().join("sessions.json");
    let output = yitang(folder.path(), &["sessions", "mint", "--count", "3", "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{}", printed(&output));
    let minted: Vec<serde_json::Value> = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert!(minted.len() == 3 && minted.iter().all(|one| one["token"].as_str().is_some_and(|token| token.len() > 40)));
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_first_operator_comes_by_a_link_and_a_demonstration_has_one_already() {
    let folder = tempfile::tempdir().unwrap();
    let output = yitang(folder.path(), &["first-operator"]);
    assert!(output.status.success() && printed(&output).contains("http://127.0.0.1:8080/link#"), "{}", printed(&output));
    assert!(printed(&yitang(folder.path(), &["seed-demo"])).contains("other people"), "the demonstration came to people who are there");
    let demo = tempfile::tempdir().unwrap();
    yitang(demo.path(), &["seed-demo"]);
    assert!(printed(&yitang(demo.path(), &["first-operator"])).contains("somebody is here already"));
}

#[test]
fn doctor_says_what_is_bad_and_what_to_do() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (listen, admin) = (format!("listen.gateway=127.0.0.1:{}", free_port()), format!("listen.gateway_admin=127.0.0.1:{}", free_port()));
    let well = yitang(folder.path(), &["doctor", "--set", &listen, "--set", &admin]);
    assert!(well.status.success() && printed(&well).contains("ok "), "{}", printed(&well));
    let store = format!("chat_core.store.url=postgres://nobody@127.0.0.1:{}/none", free_port());
    let ill = yitang(folder.path(), &["doctor", "--set", &listen, "--set", &admin, "--set", &store]);
    assert!(!ill.status.success() && printed(&ill).contains("BAD") && printed(&ill).contains("is it running"), "{}", printed(&ill));
}

#[test]
fn doctor_finds_that_postgresql_syncs_and_has_no_standby() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let store = format!("chat_core.store.url={}", postgres.url());
    let output =
        yitang(folder.path(), &["doctor", "--role", "chat-core", "--set", &store, "--set", "key=0123456789abcdef0123456789abcdef"]);
    let printed = printed(&output);
    for expected in ["fsync=on", "synchronous_commit=on", "no synchronous standby", "Redis"] {
        assert!(printed.contains(expected), "{expected} is missing in {printed}");
    }
}

/// The epochs of all logs, as a file of SQLite holds them, asked through the executable's own library.
async fn epochs(url: &str) -> Vec<i64> {
    let options = chat_core::store::StoreOptions { url: url.to_owned(), ..Default::default() };
    let store = chat_core::store::Store::open(&options, clock::Clock::default()).await.unwrap();
    let answer = store.epochs().await.unwrap();
    store.close().await;
    answer
}

async fn a_restore_renews_epochs(folder: &Path, settings: &[&str], url: &str) {
    let run = |arguments: &[&str]| {
        let whole: Vec<&str> = arguments.iter().copied().chain(settings.iter().copied()).collect();
        yitang(folder, &whole)
    };
    assert!(run(&["seed-demo"]).status.success());
    let before = epochs(url).await;
    let backup = folder.join("backup");
    let path = backup.to_str().unwrap();
    let output = run(&["backup", "--to", path]);
    assert!(output.status.success(), "{}", printed(&output));
    let output = run(&["restore", "--from", path]);
    assert!(!output.status.success() && printed(&output).contains("--replace"), "{}", printed(&output));
    let output = run(&["restore", "--from", path, "--replace"]);
    assert!(output.status.success(), "{}", printed(&output));
    let after = epochs(url).await;
    assert_eq!(before.len(), after.len());
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "an epoch is the old one");
    assert!(printed(&run(&["seed-demo"])).contains("stands already"));
}

#[tokio::test]
async fn a_restore_of_sqlite_makes_new_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("yitang.db").display());
    a_restore_renews_epochs(folder.path(), &[], &url).await;
}

#[tokio::test]
async fn a_restore_of_postgresql_makes_new_epochs() {
    let postgres = Postgres::start();
    let folder = tempfile::tempdir().unwrap();
    let url = postgres.create_database();
    let store = format!("chat_core.store.url={url}");
    a_restore_renews_epochs(folder.path(), &["--set", &store], &url).await;
}

#[test]
fn a_second_service_on_the_same_file_is_refused_and_so_is_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let mut first = Command::new(env!("CARGO_BIN_EXE_yitang"))
        .args(["all", "--listen", &listen, "--admin", &admin, "--data", folder.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its greeting comes when all stands.
    let mut greeting = [0; 16];
    first.stdout.as_mut().unwrap().read_exact(&mut greeting).unwrap();
    let (listen, admin) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let second = yitang(folder.path(), &["all", "--listen", &listen, "--admin", &admin]);
    let backup = folder.path().join("backup");
    let backed_up = yitang(folder.path(), &["backup", "--to", backup.to_str().unwrap()]);
    let restored = yitang(folder.path(), &["restore", "--from", backup.to_str().unwrap(), "--replace"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!second.status.success() && printed(&second).contains("another process"), "{}", printed(&second));
    assert!(backed_up.status.success(), "{}", printed(&backed_up));
    assert!(!restored.status.success() && printed(&restored).contains("stop the service"), "{}", printed(&restored));
}

/// `yitang all` with the default admin port, killed when dropped; and the admin address that it prints.
struct Running {
    process: std::process::Child,
    admin: String,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_yitang"));
        command.args(["all", "--listen", &listen, "--data", folder.to_str().unwrap()]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("YITANG_")) {
            command.env_remove(name);
        }
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut greeting = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut greeting).unwrap();
        let admin = greeting.trim().rsplit("http://").next().unwrap().to_owned();
        assert!(greeting.contains(&listen) && admin != listen, "{greeting}");
        Self { process, admin }
    }

    /// The metrics that its admin port serves.
    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_second_service_beside_one_that_runs_finds_an_admin_port_of_its_own() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (first, second) = (Running::start(folders[0].path()), Running::start(folders[1].path()));
    assert_ne!(first.admin, second.admin, "both are told where they are");
    for running in [&first, &second] {
        assert!(running.metrics().contains("yitang_process_started"), "{}", running.admin);
    }
    // An address that was chosen is not given up for another.
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let third = yitang(folder.path(), &["all", "--listen", &listen, "--admin", &second.admin]);
    assert!(!third.status.success() && printed(&third).contains(&second.admin), "{}", printed(&third));
}

#[test]
fn make_run_on_another_port_has_a_data_folder_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let run = |arguments: &[&str]| {
        let mut make = Command::new("make");
        make.env_remove("PORT").env_remove("DATA").env_remove("MAKEFLAGS");
        // Without running anything.
        let output = make.arg("--dry-run").arg("-C").arg(root).arg("run").args(arguments).output().unwrap();
        printed(&output)
    };
    for (arguments, expected) in [
        (&[][..], "--listen 127.0.0.1:8080 --data data\n"),
        (&["PORT=9000"][..], "--listen 127.0.0.1:9000 --data data-9000\n"),
        (&["PORT=9000", "DATA=/tmp/hall"][..], "--listen 127.0.0.1:9000 --data /tmp/hall\n"),
    ] {
        let shown = run(arguments);
        assert!(shown.contains(expected), "{arguments:?}: {shown}");
    }
}
