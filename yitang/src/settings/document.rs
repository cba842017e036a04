//! docs/settings.md: every key with its default and what it means, made from the settings themselves.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::Context as _;
use toml::Value;

use super::Settings;

/// The sources of settings, by crate: the comment above a field is what the document says of it. Those of chat-core and its subjects
/// come from `chat_core::option_sources`.
const SOURCES: [(&str, &str); 8] = [
    ("yitang", include_str!("mod.rs")),
    ("backbone", include_str!("../../../backbone/src/redis/options.rs")),
    ("gateway", include_str!("../../../gateway/src/options.rs")),
    ("gateway", include_str!("../../../gateway/src/edge/options.rs")),
    ("gateway", include_str!("../../../gateway/src/registry/options.rs")),
    ("gateway", include_str!("../../../gateway/src/upstream/options.rs")),
    ("gateway", include_str!("../../../gateway/src/tokens/options.rs")),
    ("presence", include_str!("../../../presence/src/options.rs")),
];

/// Every key with its default, in the order of the sections.
///
/// # Errors
/// When a role's options cannot be written as TOML.
pub fn keys() -> anyhow::Result<Vec<(String, Value)>> {
    let mut keys = Vec::new();
    walk("", &Value::try_from(Settings::default()).context("the default settings")?, &mut keys);
    Ok(keys)
}

fn walk(path: &str, value: &Value, keys: &mut Vec<(String, Value)>) {
    let Value::Table(table) = value else {
        keys.push((path.to_owned(), value.clone()));
        return;
    };
    // Keys before sections, as a file of settings must have them.
    let (sections, plain): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    for (name, value) in plain.into_iter().chain(sections) {
        walk(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, keys);
    }
}

struct Field<'a> {
    name: &'a str,
    kind: &'a str,
    meaning: String,
}

/// The fields of each struct, by (crate, struct).
fn fields() -> HashMap<(&'static str, &'static str), Vec<Field<'static>>> {
    let mut structs: HashMap<_, Vec<Field<'_>>> = HashMap::new();
    let of_chat_core = chat_core::option_sources().into_iter().map(|(subject, source)| (home_of(subject), source));
    for (home, source) in SOURCES.into_iter().chain(of_chat_core) {
        let (mut inside, mut meaning) = (None, Vec::new());
        for line in source.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("///") {
                meaning.push(comment.trim());
            } else if let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) {
                // What the struct itself is for, under no name: a subject's section has no field that would say it.
                let itself = Field { name: "", kind: name, meaning: meaning.join(" ") };
                structs.entry((home, "")).or_default().push(itself);
                (inside, meaning) = (Some(name), Vec::new());
            } else if line == "}" {
                (inside, meaning) = (None, Vec::new());
            } else if let (Some(name), Some((field, kind))) = (inside, line.strip_prefix("pub ").and_then(|rest| rest.split_once(": "))) {
                let field = Field { name: field, kind: kind.trim_end_matches(','), meaning: meaning.join(" ") };
                structs.entry((home, name)).or_default().push(field);
                meaning.clear();
            }
        }
    }
    structs
}

/// Where a subject's settings are kept: under its name, and the kernel's with chat-core's own.
fn home_of(subject: &'static str) -> &'static str {
    if subject.is_empty() { "chat_core" } else { subject }
}

/// What a key means; empty when nothing says so.
fn meaning(structs: &HashMap<(&'static str, &'static str), Vec<Field<'static>>>, path: &str) -> String {
    let mut at = ("yitang", "Settings");
    let mut found = String::new();
    for name in path.split('.') {
        let field = structs.get(&at).and_then(|fields| fields.iter().find(|field| field.name == name));
        if let (None, "chat_core", Some((home, options))) = (field, at.0, find_subject(structs, name)) {
            found.clone_from(&options.meaning);
            at = (home, options.kind);
            continue;
        }
        let Some(field) = field else { return String::new() };
        found.clone_from(&field.meaning);
        at = field.kind.split_once("::").unwrap_or((at.0, field.kind));
    }
    found
}

/// The options of a subject, whose field in chat-core's own a macro writes.
fn find_subject<'a>(
    structs: &'a HashMap<(&'static str, &'static str), Vec<Field<'static>>>,
    name: &str,
) -> Option<(&'static str, &'a Field<'static>)> {
    let (subject, _) = chat_core::option_sources().into_iter().find(|(subject, _)| *subject == name)?;
    Some((subject, structs.get(&(subject, ""))?.first()?))
}

/// The whole document.
///
/// # Errors
/// When a role's options cannot be written as TOML.
pub fn document() -> anyhow::Result<String> {
    let structs = fields();
    let mut text = String::from(HEAD);
    let mut section = None;
    for (key, default) in keys()? {
        let (of, name) = key.rsplit_once('.').unwrap_or(("", &key));
        if section.as_deref() != Some(of) {
            let title = if of.is_empty() { "Of every role".to_owned() } else { format!("`[{of}]`") };
            write!(text, "\n## {title}\n\n")?;
            let meaning = meaning(&structs, of);
            if !meaning.is_empty() {
                write!(text, "{meaning}\n\n")?;
            }
            text.push_str("| key | default | meaning |\n|---|---|---|\n");
            section = Some(of.to_owned());
        }
        let meaning = meaning(&structs, &key).replace('|', "\\|");
        writeln!(text, "| `{name}` | `{default}` | {meaning} |")?;
    }
    Ok(text)
}

const HEAD: &str = "\
# Settings

<!-- Written by `yitang config --document`; a test holds that it is up to date. -->

One TOML file (`--settings FILE`, or `YITANG_SETTINGS`), then environment variables, then flags; the later one wins. A
variable is `YITANG_`, the sections and the key, joined by two underscores: `YITANG_GATEWAY__EDGE__PUBLIC_URL`. A flag is
`--set gateway.edge.public_url=https://hall.example.cn`. Lists are separated by commas. A key that does not exist is
refused by its name. `yitang config` shows what is in force, with secrets hidden; `yitang doctor` says whether it makes sense.

Units stand in the names: `_ms`, `_s`, `_bytes`; `_most` is an upper bound.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_explained() {
        let structs = fields();
        let silent: Vec<_> = keys().unwrap().into_iter().map(|(key, _)| key).filter(|key| meaning(&structs, key).is_empty()).collect();
        assert!(silent.is_empty(), "no comment is found for {silent:?}: is its source listed in SOURCES?");
    }

    #[test]
    fn the_document_is_what_the_settings_are() {
        let written = include_str!("../../../docs/settings.md");
        assert_eq!(written, document().unwrap(), "write it anew: yitang config --document > docs/settings.md");
    }
}
