//! `ONLY=profile`: where the gateway's instructions of a broadcast go, counted by callgrind: a table by function, which needs
//! no counters of the processor. A gateway under callgrind is fifty times slower, so this broadcast is small.

use std::{fs, process::Command};

use anyhow::{Context as _, ensure};

use crate::{bench::Bench, command::text, stage::Stage};

const VIEWERS: &str = "400";
const POSTS_PER_S: &str = "2";
const SECONDS: &str = "20";
/// Functions shown.
const SHOWN: usize = 40;

/// Runs it; target/bench/profile.txt.
///
/// # Errors
/// When valgrind is not installed, or the run fails.
pub fn profile(bench: &Bench) -> anyhow::Result<()> {
    ensure!(installed("valgrind"), "install the package valgrind");
    let folder = std::path::absolute(bench.folder.join("stages").join("profile"))?;
    fs::create_dir_all(&folder)?;
    let out = folder.join("callgrind.out");
    let _ = fs::remove_file(&out);
    let mut wanted = bench.wanted("profile", 1);
    wanted.settings = vec![("gateway.hub.window_ms", "0".to_owned())];
    let file = format!("--callgrind-out-file={}", text(&out)?);
    wanted.within = ["valgrind", "--tool=callgrind", "--instr-atstart=no", &file].map(str::to_owned).to_vec();
    let stage = Stage::start(&wanted)?;
    let gateway = stage.first_gateway().context("a gateway")?.to_string();
    // Everybody is in after a few seconds; from then on instructions are counted, until posting is over.
    let counting = std::thread::spawn({
        let gateway = gateway.clone();
        move || -> anyhow::Result<()> {
            std::thread::sleep(std::time::Duration::from_secs(15));
            control(&["-i", "on", &gateway])
        }
    });
    let arguments = [
        "--viewers",
        VIEWERS,
        "--posts-per-s",
        POSTS_PER_S,
        "--seconds",
        SECONDS,
        "--posters",
        "4",
        "--connects-per-s",
        "40",
        "--settle-s",
        "60",
    ];
    let figures = bench.load(&stage, "broadcast", "profile", 400, &arguments)?;
    counting.join().map_err(|_| anyhow::anyhow!("counting failed"))??;
    control(&["-d", &gateway])?;
    drop(stage);
    let newest = fs::read_dir(&folder)?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("callgrind.out")))
        .max_by_key(|path| fs::metadata(path).map(|file| file.len()).unwrap_or(0))
        .context("callgrind wrote nothing")?;
    let output = Command::new("callgrind_annotate").args(["--auto=no", "--threshold=99"]).arg(newest).output()?;
    ensure!(output.status.success(), "callgrind_annotate: {}", String::from_utf8_lossy(&output.stderr));
    let table: String = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains('%') || line.contains("Ir"))
        .take(SHOWN)
        .map(|line| format!("{line}\n"))
        .collect();
    let shown = format!("{VIEWERS} sockets, {} deliveries\n{table}", figures["delivered"]);
    println!("{shown}");
    fs::write(bench.folder.join("profile.txt"), shown)?;
    Ok(())
}

fn control(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("callgrind_control").args(arguments).output().context("running callgrind_control")?;
    ensure!(output.status.success(), "callgrind_control: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Whether a program is installed.
fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).exists())
}
