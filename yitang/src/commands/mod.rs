//! Commands that do one thing and end.

mod backup;

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, sync::Arc};

use anyhow::Context as _;
use backbone::MemoryBackbone;
use chat_core::{ChatCore, seed, store::Store};
use serde::Serialize;

pub use backup::{backup, restore};

use crate::{
    roles::start_core,
    settings::{self, Settings},
};

/// `yitang migrate`
pub async fn migrate(settings: &Settings) -> anyhow::Result<()> {
    let store = Store::open(&settings.chat_core_options().store, settings.clock.clock()).await.context("opening the database")?;
    store.migrate(&chat_core::migrations()).await.context("migrating")?;
    store.close().await;
    println!("the database is at this executable's version");
    Ok(())
}

/// A chat-core for one command, beside those that serve, which find what it writes in the store.
async fn open_core(settings: &Settings) -> anyhow::Result<ChatCore> {
    start_core(settings, Arc::new(MemoryBackbone::new(settings.lifecycle.hints_most)), &settings.clock.clock()).await
}

/// `yitang seed-demo`
pub async fn seed_demo(settings: &Settings) -> anyhow::Result<()> {
    let core = open_core(settings).await?;
    let seeded = seed::seed_demo(&core).await;
    core.shutdown().await;
    match seeded.context("making the demonstration")? {
        seeded if seeded.people > 0 => {
            println!(
                "made {} people in {} organisations; the consultation open now is {}",
                seeded.people, seeded.organisations, seeded.open
            );
        }
        _ => println!("the demonstration stands already"),
    }
    Ok(())
}

/// `yitang first-operator`
pub async fn first_operator(settings: &Settings) -> anyhow::Result<()> {
    let core = open_core(settings).await?;
    let link = core.first_operator_link().await;
    core.shutdown().await;
    match link.context("making the link")? {
        Some(link) => println!("{}{}", settings.public_url().unwrap_or_default(), link.path),
        None => anyhow::bail!("somebody is here already: an operator or administrator hands out sign-in links"),
    }
    Ok(())
}

/// `yitang config`
pub fn config(settings: &Settings, document: bool) -> anyhow::Result<()> {
    if document {
        print!("{}", settings::document()?);
        return Ok(());
    }
    let shown = settings::masked(toml::Value::try_from(settings)?);
    print!("{}", toml::to_string_pretty(&shown)?);
    Ok(())
}

#[derive(Serialize)]
struct Minted {
    token: String,
}

/// `yitang sessions mint`
pub async fn mint(settings: &Settings, count: usize, out: &Path) -> anyhow::Result<()> {
    let core = open_core(settings).await?;
    let tokens = core.mint_sessions(count).await;
    core.shutdown().await;
    let minted: Vec<_> = tokens.context("opening sessions")?.into_iter().map(|token| Minted { token }).collect();
    anyhow::ensure!(minted.len() == count, "there are only {} people", minted.len());
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(out);
    let file = file.as_mut().map_err(|error| anyhow::anyhow!("{}: {error}", out.display()))?;
    file.write_all(&serde_json::to_vec(&minted)?).with_context(|| format!("writing {}", out.display()))?;
    println!("{count} sessions are in {}", out.display());
    Ok(())
}
