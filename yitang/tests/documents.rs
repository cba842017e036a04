//! The documents name what exists: paths, functions beside them, tests, and links.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "docs/protocol.md",
    "docs/operations.md",
    "docs/threat-model.md",
    "docs/settings.md",
    "docs/adding.md",
];
const DECISIONS: &str = "docs/adr";
/// Where a rule may have its home: folders whose sources ship, with their languages.
const HOMES: [&str; 9] = ["proto", "sequence", "backbone", "chat-core", "gateway", "presence", "yitang", "web/sdk", "web/app/src"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The documents by name, and every decision.
fn documents() -> Vec<String> {
    DOCUMENTS.iter().map(|name| (*name).to_owned()).chain(decisions()).collect()
}

fn decisions() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join(DECISIONS))
        .unwrap()
        .map(|entry| format!("{DECISIONS}/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    names.sort();
    names
}

/// The part of ARCHITECTURE.md under a heading.
fn section(title: &str) -> String {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let part = text.split(title).nth(1).unwrap_or_else(|| panic!("ARCHITECTURE.md has no {title}"));
    part.split("\n## ").next().unwrap().to_owned()
}

/// What stands between backticks in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_source(quote: &str) -> bool {
    quote.contains('/') && (quote.ends_with(".rs") || quote.ends_with(".ts"))
}

#[test]
fn the_ways_are_in_the_code_as_written() {
    let rows = |title: &str| -> Vec<String> {
        section(title).lines().filter(|line| line.starts_with("| ") && line.contains('`')).map(str::to_owned).collect()
    };
    let (comment, call) = (rows("## The way of one comment"), rows("## The way of a push"));
    assert!(comment.len() > 15 && call.len() >= 4);
    for row in comment.into_iter().chain(call) {
        let place = row.split(" | ").nth(1).unwrap();
        let (mut source, mut path) = (String::new(), "");
        for quote in quoted(place) {
            if is_source(quote) {
                path = quote;
                source = fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{path} is not there"));
            } else {
                assert!(source.contains(quote), "{path} has no {quote}");
            }
        }
    }
}

/// What the table "Where each rule is" says of one rule.
struct Rule {
    rule: String,
    file: String,
    name: String,
}

/// The rows `| rule | `file` | `name` |`.
fn rules() -> Vec<Rule> {
    let text = section("## Where each rule is");
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let rule = |line: &str| {
        let cells: Vec<&str> = line.trim_matches(['|', ' ']).split(" | ").map(str::trim).collect();
        let [rule, file, name] = cells[..] else { panic!("not rule, file and name: {line}") };
        let one = |cell: &str| {
            let mut quotes = quoted(cell);
            let quote = quotes.next().unwrap_or_else(|| panic!("nothing between backticks: {line}")).to_owned();
            assert_eq!(quotes.next(), None, "one file and one name to a rule: {line}");
            quote
        };
        Rule { rule: rule.to_owned(), file: one(file), name: one(name) }
    };
    rows.map(rule).collect()
}

/// Whether this line defines the name: a function, a constant, a type, or a setting (a public field of options).
fn defines(path: &Path, line: &str, name: &str) -> bool {
    let line = line.trim_start();
    if line.starts_with("//") || line.starts_with('*') {
        return false;
    }
    let words: Vec<&str> = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect();
    let Some(at) = words.iter().position(|word| *word == name) else { return false };
    let before = at.checked_sub(1).map(|before| words[before]);
    let keywords: &[&str] = match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => &["fn", "const", "struct", "static", "enum", "trait", "type"],
        _ => &["function", "const", "class", "interface", "type"],
    };
    let is_setting = path.ends_with("options.rs") && line.starts_with(&format!("pub {name}: "));
    before.is_some_and(|before| keywords.contains(&before)) || is_setting
}

#[test]
fn each_rule_is_in_the_one_file_that_the_table_names() {
    let rules = rules();
    assert!(rules.len() >= 10, "ten questions, and more");
    let sources: Vec<(PathBuf, String)> = HOMES.iter().flat_map(|home| shipped(&root().join(home))).collect();
    for Rule { rule, file, name } in rules {
        assert!(root().join(&file).exists(), "{rule}: {file} is not there");
        let homes: Vec<String> = sources
            .iter()
            .filter(|(path, text)| {
                // What stands below `mod tests` in a file is a test's own.
                text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).any(|line| defines(path, line, &name))
            })
            .map(|(path, _)| path.strip_prefix(root()).unwrap().display().to_string())
            .collect();
        assert_eq!(homes, [file], "{rule}: {name} is defined in one place, the one in the table");
    }
}

#[test]
fn a_definition_is_told_from_a_use() {
    let (rust, page, options) = (Path::new("a/b.rs"), Path::new("a/b.ts"), Path::new("a/options.rs"));
    for (path, line) in [
        (rust, "    pub(super) async fn slow_mode(&self, now_ms: i64) -> bool {"),
        (rust, "pub const slow_mode: usize = 3;"),
        (rust, "pub struct slow_mode<T>(T);"),
        (page, "export class slow_mode {"),
        (page, "export async function slow_mode(now: number) {"),
        (options, "    pub slow_mode: u64,"),
    ] {
        assert!(defines(path, line, "slow_mode"), "{line}");
    }
    for (path, line) in [
        (rust, "        self.slow_mode(asker, last_ms)"),
        (rust, "// fn slow_mode"),
        (rust, "    pub slow_mode: u64,"),
        (rust, "fn slow_mode_of(asker: Asker) {}"),
        (options, "            slow_mode: 30_000,"),
        (page, "  return this.slow_mode;"),
    ] {
        assert!(!defines(path, line, "slow_mode"), "{line}");
    }
}

#[test]
fn every_decision_is_listed_under_its_own_number() {
    let listed = section("## Decisions");
    for path in decisions() {
        let name = path.rsplit('/').next().unwrap();
        let number = name.split('-').next().unwrap();
        assert!(number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit()), "{path} begins with a number of four digits");
        assert_eq!(listed.matches(&format!("[{number}]({path})")).count(), 1, "ARCHITECTURE.md lists {path} once, as [{number}]");
        let text = fs::read_to_string(root().join(&path)).unwrap();
        assert!(text.starts_with(&format!("# {number}: ")), "{path} begins with # {number}: and its title");
    }
    let numbers: Vec<String> = decisions().iter().map(|path| path.rsplit('/').next().unwrap()[..4].to_owned()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] != pair[1]), "two decisions have one number: {numbers:?}");
}

#[test]
fn every_source_that_a_document_names_is_there() {
    for document in documents() {
        let text = fs::read_to_string(root().join(&document)).unwrap();
        for quote in text.lines().flat_map(quoted).filter(|quote| is_source(quote)) {
            assert!(root().join(quote).exists(), "{document} names {quote}");
        }
    }
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let sources: String =
        ["chat-core", "gateway", "backbone", "presence", "sequence", "yitang"].iter().map(|name| all_sources(&root().join(name))).collect();
    for document in ["ARCHITECTURE.md", "docs/threat-model.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let names = text
            .lines()
            .flat_map(quoted)
            .filter(|quote| quote.matches('_').count() >= 3 && quote.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        for name in names {
            assert!(sources.contains(&format!("fn {name}(")) || name.starts_with("yitang_"), "{document} names the test {name}");
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let path = root().join(&document);
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if !file.is_empty() && !target.contains("://") {
                assert!(path.parent().unwrap().join(file).exists(), "{document} links to {target}");
            }
        }
    }
}

#[test]
fn the_metrics_that_operators_watch_exist() {
    let roles = ["chat-core", "gateway", "backbone", "presence", "yitang"];
    let sources: String = roles.iter().flat_map(|name| shipped(&root().join(name))).map(|(_, text)| text).collect();
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for name in text.lines().flat_map(quoted).filter(|quote| quote.starts_with("yitang_")) {
        assert!(sources.contains(&format!("\"{name}\"")), "docs/operations.md names the metric {name}");
    }
}

/// Sources that ship, with their text: no tests, nothing built or fetched.
fn shipped(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["tests", "test", "node_modules", "dist", "target", "generated", "gen"].contains(&name.as_str()) {
                found.extend(shipped(&path));
            }
        } else if (name.ends_with(".rs") || name.ends_with(".ts") || name.ends_with(".vue"))
            && !name.ends_with(".test.ts")
            && name != "tests.rs"
        {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// All sources in a folder, tests included.
fn all_sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&all_sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}
