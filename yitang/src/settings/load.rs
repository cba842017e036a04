//! Settings from their sources: defaults, then the file, then the environment, then flags; the later one wins.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize as _;
use toml::{Table, Value};

use super::Settings;

const PREFIX: &str = "YITANG_";
/// Variables with our prefix that are not settings: where the file is, and what other tools of this project read.
const NOT_SETTINGS: [&str; 3] = ["YITANG_SETTINGS", "YITANG_LOADTEST_", "YITANG_TEST_"];

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A TOML file.
    pub file: Option<PathBuf>,
    /// Environment variables, all of them.
    pub environment: Vec<(String, String)>,
    /// Flags, as (`section.key`, value).
    pub flags: Vec<(String, String)>,
}

/// Reads and checks settings.
///
/// # Errors
/// When a source cannot be read, names a key that does not exist, or has a value of another kind than the key's.
pub fn load(sources: &Sources) -> anyhow::Result<Settings> {
    let defaults = Value::try_from(Settings::default()).context("the default settings")?;
    let mut merged = defaults.clone();
    if let Some(path) = &sources.file {
        let file = read(path)?;
        overlay(&mut merged, file, "").with_context(|| format!("in {}", path.display()))?;
    }
    for (name, value) in &sources.environment {
        let Some(path) = setting_for(name) else { continue };
        set_value(&mut merged, &path, value).with_context(|| format!("in the environment variable {name}"))?;
    }
    for (path, value) in &sources.flags {
        set_value(&mut merged, path, value)?;
    }
    Settings::deserialize(merged).context("the settings")
}

fn read(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading the settings file {}", path.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

/// `YITANG_GATEWAY__EDGE__PUBLIC_URL` → `gateway.edge.public_url`.
fn setting_for(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    if NOT_SETTINGS.iter().any(|other| name == *other || (other.ends_with('_') && name.starts_with(other))) {
        return None;
    }
    Some(rest.to_lowercase().replace("__", "."))
}

fn overlay(onto: &mut Value, table: Table, path: &str) -> anyhow::Result<()> {
    for (name, value) in table {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(place) = onto.get_mut(&name) else { bail!("unknown key `{path}`") };
        match (place, value) {
            (place @ Value::Table(_), Value::Table(table)) => overlay(place, table, &path)?,
            (Value::Table(_), other) => bail!("`{path}` is a section, not a {}", other.type_str()),
            (place, value) if value.same_type(place) => *place = value,
            (place, value) => bail!("`{path}` must be a {}, not a {}", place.type_str(), value.type_str()),
        }
    }
    Ok(())
}

/// Sets a key to a value given as text, which is parsed as the type of the key's default.
fn set_value(onto: &mut Value, path: &str, text: &str) -> anyhow::Result<()> {
    let mut place = onto;
    for name in path.split('.') {
        let Some(inner) = place.get_mut(name) else { bail!("unknown key `{path}`") };
        place = inner;
    }
    *place = match place {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(text.parse().with_context(|| format!("`{path}` must be a whole number, not {text:?}"))?),
        Value::Float(_) => Value::Float(text.parse().with_context(|| format!("`{path}` must be a number, not {text:?}"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().with_context(|| format!("`{path}` must be true or false, not {text:?}"))?),
        Value::Array(_) => {
            Value::Array(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(|item| item.to_owned().into()).collect())
        }
        Value::Table(_) => bail!("`{path}` is a section, not a key"),
        Value::Datetime(_) => bail!("`{path}` cannot be set by text"),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Sources {
        let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sources { environment, ..Sources::default() }
    }

    fn file(text: &str) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("yitang.toml");
        std::fs::write(&path, text).unwrap();
        (folder, Sources { file: Some(path), ..Sources::default() })
    }

    fn refusal(sources: &Sources) -> String {
        format!("{:#}", load(sources).unwrap_err())
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let (_folder, mut sources) = file("[log]\nfilter = 'warn'\nformat = 'json'\n[gateway.edge]\nhead_ms = 7\nbody_ms = 8\n");
        sources.environment = vec![
            ("YITANG_GATEWAY__EDGE__HEAD_MS".to_owned(), "70".to_owned()),
            ("YITANG_PEERS__CHAT_CORES".to_owned(), "http://a:1, http://b:2".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ];
        sources.flags = vec![("log.filter".to_owned(), "debug".to_owned())];
        let settings = load(&sources).unwrap();
        assert_eq!((settings.gateway.edge.head_ms, settings.gateway.edge.body_ms), (70, 8));
        assert_eq!(settings.peers.chat_cores, ["http://a:1", "http://b:2"]);
        assert_eq!((settings.log.filter.as_str(), settings.log.format), ("debug", super::super::LogFormat::Json));
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name_wherever_it_stands() {
        assert!(refusal(&file("[gateway.edge]\nhaed_ms = 1\n").1).contains("unknown key `gateway.edge.haed_ms`"));
        assert!(refusal(&environment(&[("YITANG_LOG__FLITER", "x")])).contains("YITANG_LOG__FLITER: unknown key `log.fliter`"));
        let flags = vec![("nonsense".to_owned(), "1".to_owned())];
        assert!(refusal(&Sources { flags, ..Sources::default() }).contains("unknown key `nonsense`"));
    }

    #[test]
    fn a_value_of_another_kind_is_refused_by_its_key() {
        assert!(refusal(&environment(&[("YITANG_LIFECYCLE__STOP_S", "soon")])).contains("`lifecycle.stop_s` must be a whole number"));
        assert!(refusal(&file("[log]\nfilter = 3\n").1).contains("`log.filter` must be a string"));
        assert!(refusal(&environment(&[("YITANG_LISTEN__GATEWAY", "here")])).contains("listen.gateway"));
    }

    #[test]
    fn a_key_of_digits_stays_the_text_it_is() {
        let settings = load(&environment(&[("YITANG_KEY", "00012345678901234567890123456789")])).unwrap();
        assert_eq!(settings.key, "00012345678901234567890123456789");
    }
}
