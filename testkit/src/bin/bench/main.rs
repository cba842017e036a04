//! `make bench`: every scenario of `loadtest` anew, each on servers of its own, which are gone when it ends. What it finds is
//! in target/bench/SCENARIO.json and .html. `make bench ONLY=broadcast` runs one; `ONLY=soak` the long one.

mod bench;
mod command;
mod parts;
mod profile;
mod recipes;
mod stage;
mod table;

use std::{path::PathBuf, time::Instant};

use anyhow::bail;
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// Only these scenarios, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where results, logs and data go.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// The core of the server's processes.
    #[arg(long, default_value = "0")]
    server_cpus: String,
    /// The core of the generators.
    #[arg(long, default_value = "1")]
    generator_cpus: String,
    /// Minutes of `soak`, of which the first ten warm up.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Run nothing: show the table of goals against what was found last.
    #[arg(long)]
    table: bool,
    /// Put that table into this document, between its markers.
    #[arg(long)]
    document: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    std::fs::create_dir_all(&arguments.folder)?;
    let names: Vec<&str> = recipes::ALL.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = arguments.only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("there is no {unknown}: {}", names.join(", "));
    }
    if !arguments.table {
        let bench = bench::Bench {
            folder: arguments.folder.clone(),
            yitang: beside("yitang")?,
            loadtest: beside("loadtest")?,
            servers: arguments.server_cpus.clone(),
            generators: arguments.generator_cpus.clone(),
            minutes: arguments.minutes,
        };
        let began = Instant::now();
        let mut failed = Vec::new();
        for (name, recipe) in recipes::ALL {
            let wanted = if arguments.only.is_empty() { recipes::usual(name) } else { arguments.only.iter().any(|only| only == name) };
            if !wanted {
                continue;
            }
            let started = Instant::now();
            println!("── {name}");
            if let Err(error) = recipe(&bench) {
                println!("{name}: {error:#}");
                failed.push(*name);
            }
            println!("── {name}: {:.0} s", started.elapsed().as_secs_f64());
        }
        println!("all: {:.0} s", began.elapsed().as_secs_f64());
        if !failed.is_empty() {
            bail!("these could not be run to their end: {}", failed.join(", "));
        }
    }
    let table = table::render(&arguments.folder);
    println!("{table}");
    if let Some(document) = &arguments.document {
        table::write_into(document, &table)?;
    }
    Ok(())
}

fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} is not there: make build", path.display());
    Ok(path)
}
