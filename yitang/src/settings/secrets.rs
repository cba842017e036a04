//! Secrets: hidden when settings are shown, derived, and kept.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use toml::Value;

const HIDDEN: &str = "********";

/// The same settings with every secret hidden, and the passwords inside URLs.
#[must_use]
pub fn masked(settings: Value) -> Value {
    mask("", settings)
}

fn mask(name: &str, value: Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(
            table
                .into_iter()
                .map(|(name, value)| {
                    let value = mask(&name, value);
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.into_iter().map(|value| mask(name, value)).collect()),
        Value::String(text) if text.is_empty() => Value::String(text),
        Value::String(_) if is_secret(name) => Value::String(HIDDEN.to_owned()),
        Value::String(text) => Value::String(mask_url(&text)),
        other => other,
    }
}

fn is_secret(name: &str) -> bool {
    ["key", "password", "secret", "token"].iter().any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

/// A URL without the password in it; any other text as it is.
#[must_use]
pub fn mask_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let Some((user, host)) = authority.rsplit_once('@') else { return text.to_owned() };
    let user = user.split_once(':').map_or(user.to_owned(), |(name, _)| format!("{name}:{HIDDEN}"));
    format!("{scheme}://{user}@{host}{path}")
}

/// A secret for one purpose, which does not give the shared key away.
pub(super) fn derive(key: &str, purpose: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(purpose.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The key in this file, which is generated and written where there is none.
pub(super) fn read_or_create_key(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    }
    let key = hex(&rand::random::<[u8; 32]>());
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).with_context(|| format!("making {}", path.display()))?;
    writeln!(file, "{key}").with_context(|| format!("writing {}", path.display()))?;
    Ok(key)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_inside_urls_are_hidden() {
        assert_eq!(mask_url("postgres://y:p@ss@db:5432/y?x=1"), "postgres://y:********@db:5432/y?x=1");
        assert_eq!(mask_url("redis://:secret@r1:6379"), "redis://:********@r1:6379");
        assert_eq!(mask_url("postgres://y@db/y"), "postgres://y@db/y");
        assert_eq!(mask_url("sqlite:data/yitang.db"), "sqlite:data/yitang.db");
    }

    #[test]
    fn a_key_is_made_up_once_and_kept_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = read_or_create_key(&path).unwrap();
        assert_eq!(key.len(), 64);
        assert_eq!(read_or_create_key(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
