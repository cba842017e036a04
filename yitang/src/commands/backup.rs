//! `yitang backup` and `yitang restore`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use chat_core::{
    log::Log,
    store::{Store, StoreOptions},
};
use clock::Clock;
use percent_encoding::percent_decode_str;
use tokio::process::Command;

use crate::settings::Settings;

/// Writes the whole database to one file, while the service runs.
pub async fn backup(settings: &Settings, to: &Path) -> anyhow::Result<()> {
    ensure!(!to.exists(), "{} exists already", to.display());
    let options = settings.chat_core_options().store;
    match options.file() {
        Some(file) => {
            ensure!(file.exists(), "there is no database at {}", file.display());
            let store = Store::open(&options, Clock::default()).await.context("opening the database")?;
            let copied = store.copy_to(to).await;
            store.close().await;
            copied.context("copying the database")?;
            sync(to)?;
        }
        None => postgres("pg_dump", &options, |command| command.args(["--format=custom", "--file"]).arg(to)).await?,
    }
    println!("the backup is {}", to.display());
    Ok(())
}

/// Replaces the database by a backup. What clients know of it is then of another epoch: they load everything anew, as the
/// log may have ended earlier than what they saw.
pub async fn restore(settings: &Settings, from: &Path, replace: bool) -> anyhow::Result<()> {
    ensure!(from.exists(), "there is no backup at {}", from.display());
    let options = settings.chat_core_options().store;
    let conversations = match options.file() {
        Some(file) => restore_file(&options, &file, from, replace).await?,
        None => restore_postgres(&options, from, replace).await?,
    };
    println!("restored {}; {conversations} conversations begin a new epoch", from.display());
    Ok(())
}

async fn restore_file(options: &StoreOptions, file: &Path, from: &Path, replace: bool) -> anyhow::Result<u64> {
    let _lock = options.lock().context("stop the service before a restore")?;
    ensure!(replace || !file.exists(), "there is a database at {}: give --replace to replace it", file.display());
    // Made whole beside the old one, then put in its place at once.
    let beside = beside(file, "restoring");
    fs::copy(from, &beside).with_context(|| format!("copying to {}", beside.display()))?;
    let conversations = renew(&StoreOptions { url: format!("sqlite:{}", beside.display()), ..options.clone() }).await?;
    sync(&beside)?;
    for suffix in ["-wal", "-shm"] {
        let rest = beside_suffix(file, suffix);
        if rest.exists() {
            fs::remove_file(&rest).with_context(|| format!("removing {}", rest.display()))?;
        }
    }
    fs::rename(&beside, file).with_context(|| format!("putting {} in place", file.display()))?;
    Ok(conversations)
}

async fn restore_postgres(options: &StoreOptions, from: &Path, replace: bool) -> anyhow::Result<u64> {
    // One connection: the others that are seen are then the service's.
    let options = &StoreOptions { connections: 1, ..options.clone() };
    let store = Store::open(options, Clock::default()).await.context("opening the database")?;
    let others = store.others_connected().await?;
    ensure!(others == 0, "stop the service before a restore: it holds {others} connections");
    ensure!(replace || store.is_empty().await?, "the database is not empty: give --replace to replace what is in it");
    store.put_aside().await.context("putting the old tables aside")?;
    let restored = async {
        let arguments = ["--no-owner", "--single-transaction", "--exit-on-error"];
        postgres("pg_restore", options, |command| command.args(arguments).arg(from)).await?;
        renew(options).await
    };
    match restored.await {
        Ok(conversations) => {
            store.forget_aside().await.context("dropping the old tables")?;
            store.close().await;
            Ok(conversations)
        }
        Err(error) => {
            store.put_back().await.context("putting the old tables back")?;
            Err(error.context("the database is as it was before"))
        }
    }
}

async fn renew(options: &StoreOptions) -> anyhow::Result<u64> {
    let store = Store::open(options, Clock::default()).await.context("opening what was restored")?;
    let renewed = async {
        store.migrate(&chat_core::migrations()).await.context("bringing the backup to this executable's version")?;
        Log::new_epochs(&store).await.context("new epochs")
    };
    let renewed = renewed.await;
    store.close().await;
    renewed
}

/// Runs one of PostgreSQL's own tools on the database. The password goes by the environment: everybody sees arguments.
async fn postgres(tool: &str, options: &StoreOptions, arguments: impl FnOnce(&mut Command) -> &mut Command) -> anyhow::Result<()> {
    let (url, password) = without_password(&options.url)?;
    let mut command = Command::new(tool);
    command.envs(password.map(|password| ("PGPASSWORD", password))).args(["--dbname", &url]);
    let status = arguments(&mut command).status().await;
    let status = status.with_context(|| format!("running {tool}: is the Debian package postgresql-client installed?"))?;
    if !status.success() {
        bail!("{tool} failed ({status}); what it says stands above");
    }
    Ok(())
}

/// The same URL without the password in it, and the password.
fn without_password(url: &str) -> anyhow::Result<(String, Option<String>)> {
    let (scheme, rest) = url.split_once("://").context("the database's URL")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@') else { return Ok((url.to_owned(), None)) };
    let Some((user, password)) = user.split_once(':') else { return Ok((url.to_owned(), None)) };
    let password = percent_decode_str(password).decode_utf8().context("the password in the database's URL")?;
    Ok((format!("{scheme}://{user}@{host}{path}"), Some(password.into_owned())))
}

fn beside(file: &Path, extension: &str) -> PathBuf {
    file.with_added_extension(extension)
}

fn beside_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync(path: &Path) -> anyhow::Result<()> {
    fs::File::open(path).and_then(|file| file.sync_all()).with_context(|| format!("syncing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_the_url() {
        let (url, password) = without_password("postgres://y:p%40ss@db:5432/y?sslmode=require").unwrap();
        assert_eq!((url.as_str(), password.as_deref()), ("postgres://y@db:5432/y?sslmode=require", Some("p@ss")));
        assert_eq!(without_password("postgres://y@db/y").unwrap(), ("postgres://y@db/y".to_owned(), None));
    }
}
