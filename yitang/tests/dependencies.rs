//! What deny.toml says of licences and doubled dependencies, held against what cargo resolves. cargo-deny (`make lint`) looks
//! closer, into the texts of the licences; it takes minutes to build, and this a second.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All that is built for Linux, as the lock file has it.
fn metadata() -> Metadata {
    let options = ["--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned).to_vec();
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).other_options(options).exec().unwrap()
}

fn packages(metadata: &Metadata) -> Vec<&Package> {
    let used: BTreeSet<_> = metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| &node.id).collect();
    metadata.packages.iter().filter(|package| used.contains(&package.id)).collect()
}

/// Those that the executables are built of or with: what only tests use is left out, as cargo-deny leaves it out of the doubled.
fn built(metadata: &Metadata) -> Vec<&Package> {
    let nodes: BTreeMap<&PackageId, _> = metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut next: Vec<&PackageId> = metadata.workspace_members.iter().collect();
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let ships = |kinds: &[cargo_metadata::DepKindInfo]| kinds.iter().any(|info| info.kind != DependencyKind::Development);
            next.extend(nodes[id].deps.iter().filter(|dependency| ships(&dependency.dep_kinds)).map(|dependency| &dependency.pkg));
        }
    }
    metadata.packages.iter().filter(|package| found.contains(&package.id)).collect()
}

fn deny() -> toml::Table {
    fs::read_to_string(root().join("deny.toml")).unwrap().parse().unwrap()
}

fn texts(value: &toml::Value) -> BTreeSet<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Whether a licence expression (SPDX) leaves a choice among those allowed.
fn satisfied(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = tokens.as_slice();
    let holds = any(&mut rest, allowed);
    assert!(rest.is_empty(), "{expression} is no licence expression");
    holds
}

fn any(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = all(rest, allowed);
    while rest.first() == Some(&"OR") {
        *rest = &rest[1..];
        holds |= all(rest, allowed);
    }
    holds
}

fn all(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = licence(rest, allowed);
    while rest.first() == Some(&"AND") {
        *rest = &rest[1..];
        holds &= licence(rest, allowed);
    }
    holds
}

fn licence(rest: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let first = rest[0];
    *rest = &rest[1..];
    if first == "(" {
        let holds = any(rest, allowed);
        assert_eq!(rest.first(), Some(&")"), "a parenthesis is not closed");
        *rest = &rest[1..];
        return holds;
    }
    // An exception only permits more than the licence that it stands with.
    if rest.first() == Some(&"WITH") {
        *rest = &rest[2..];
    }
    allowed.contains(first)
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let metadata = metadata();
    let allowed = texts(&deny()["licenses"]["allow"]);
    let packages = packages(&metadata);
    assert!(packages.len() > 200, "the whole tree is read: {}", packages.len());
    for package in packages {
        let licence = package.license.as_deref().unwrap_or_else(|| panic!("{} {} names no licence", package.name, package.version));
        assert!(satisfied(licence, &allowed), "{} {} is under {licence}", package.name, package.version);
    }
}

#[test]
fn each_dependency_is_there_once_or_has_a_reason() {
    let metadata = metadata();
    let deny = deny();
    let bans = deny["bans"].as_table().unwrap();
    let name = |entry: &toml::Value| {
        assert!(entry["reason"].as_str().is_some_and(|reason| reason.len() > 5), "{entry} has no reason");
        entry["crate"].as_str().unwrap().to_owned()
    };
    let skipped: BTreeSet<String> = bans["skip"].as_array().unwrap().iter().map(name).collect();
    let denied: BTreeSet<String> = bans["deny"].as_array().unwrap().iter().map(name).collect();
    let mut versions: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for package in built(&metadata) {
        assert!(!denied.contains(package.name.as_str()), "{} is in the tree", package.name);
        // As deny.toml names them: by what Cargo calls compatible.
        let (major, minor) = (package.version.major, package.version.minor);
        let line = if major == 0 { format!("{}@0.{minor}", package.name) } else { format!("{}@{major}", package.name) };
        versions.entry(package.name.as_str()).or_default().insert(line);
    }
    for (name, lines) in &versions {
        let unexplained: Vec<_> = lines.iter().filter(|line| !skipped.contains(*line)).collect();
        assert!(lines.len() == 1 || unexplained.len() <= 1, "{name} is there {} times: {unexplained:?}", lines.len());
    }
    let stale: Vec<_> = skipped.iter().filter(|line| !versions.values().any(|lines| lines.len() > 1 && lines.contains(*line))).collect();
    assert!(stale.is_empty(), "deny.toml makes exceptions that nothing needs any more: {stale:?}");
}

#[test]
fn licence_expressions_are_read_as_they_are_written() {
    let allowed: BTreeSet<String> = ["MIT", "Apache-2.0"].map(str::to_owned).into();
    for fits in ["MIT", "AGPL-3.0 OR MIT", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception", "(MIT OR GPL-2.0) AND Apache-2.0"] {
        assert!(satisfied(fits, &allowed), "{fits}");
    }
    for unfit in ["AGPL-3.0-only", "MIT AND GPL-2.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "MPL-2.0"] {
        assert!(!satisfied(unfit, &allowed), "{unfit}");
    }
}
