//! The documents name what exists: paths, functions beside them, tests, and links.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const DOCUMENTS: [&str; 13] = [
    "README.md",
    "README.zh-CN.md",
    "ARCHITECTURE.md",
    "docs/protocol.md",
    "docs/operations.md",
    "docs/threat-model.md",
    "docs/settings.md",
    "docs/adr/0001-sequence-imports-proto.md",
    "docs/adr/0002-heads-by-watermark.md",
    "docs/adr/0003-follow-reads-the-store.md",
    "docs/adr/0004-resume-tokens.md",
    "docs/adr/0005-display-sessions.md",
    "docs/adr/0006-the-call-goes-by-the-control-log.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
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
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = |title: &str| -> Vec<&str> {
        let way = text.split(title).nth(1).unwrap().split("\n## ").next().unwrap();
        way.lines().filter(|line| line.starts_with("| ") && line.contains('`')).collect()
    };
    let (comment, call) = (rows("## The way of one comment"), rows("## The way of a call"));
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

#[test]
fn every_source_that_a_document_names_is_there() {
    for document in DOCUMENTS {
        let text = fs::read_to_string(root().join(document)).unwrap();
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
    for document in DOCUMENTS {
        let path = root().join(document);
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
    let sources: String =
        ["chat-core", "gateway", "backbone", "presence", "yitang"].iter().map(|name| all_sources(&root().join(name).join("src"))).collect();
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    for name in text.lines().flat_map(quoted).filter(|quote| quote.starts_with("yitang_")) {
        assert!(sources.contains(&format!("\"{name}\"")), "docs/operations.md names the metric {name}");
    }
}

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
