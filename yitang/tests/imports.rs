//! Who may import whom: the table of ARCHITECTURE.md, held against what cargo and the sources say.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// What each crate may import of ours. `sequence` imports `proto` by decision 0001.
const TABLE: [(&str, &[&str]); 10] = [
    ("clock", &[]),
    ("proto", &[]),
    ("sequence", &["proto"]),
    ("backbone", &[]),
    ("chat-core", &["proto", "sequence", "backbone"]),
    ("gateway", &["proto", "sequence", "backbone", "clock"]),
    ("presence", &["proto"]),
    ("yitang", &["proto", "backbone", "clock", "chat-core", "gateway", "presence"]),
    ("loadtest", &["proto"]),
    ("testkit", &[]),
];

/// Libraries that only these crates, and there only these folders, may use.
const FOLDERS: [(&str, &[&str]); 3] =
    [("redis", &["backbone/src"]), ("sqlx", &["chat-core/src"]), ("axum", &["gateway/src/edge", "yitang/src/admin.rs"])];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn packages() -> BTreeMap<String, Package> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    metadata.packages.into_iter().map(|package| (package.name.to_string(), package)).collect()
}

fn imports(package: &Package) -> BTreeSet<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.clone())
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn our_crates_import_each_other_only_as_the_table_says() {
    let packages = packages();
    let ours: BTreeSet<_> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(packages.keys().cloned().collect::<BTreeSet<_>>(), ours, "a crate is not in the table");
    for (name, allowed) in TABLE {
        let found: BTreeSet<_> = imports(&packages[name]).intersection(&ours).cloned().collect();
        let more: Vec<_> = found.iter().filter(|import| !allowed.contains(&import.as_str())).collect();
        assert!(more.is_empty(), "{name} imports {more:?}");
    }
}

#[test]
fn testkit_is_for_tests_only() {
    for (name, package) in packages() {
        assert!(!imports(&package).contains("testkit"), "{name} ships testkit");
    }
}

#[test]
fn drivers_and_the_http_framework_stay_in_their_folders() {
    let root = root();
    let packages = packages();
    for (library, folders) in FOLDERS {
        for (name, package) in &packages {
            let may = folders.iter().any(|folder| folder.starts_with(&format!("{name}/")));
            assert!(may || !imports(package).contains(library), "{name} depends on {library}");
            let inside = |path: &Path| folders.iter().any(|folder| path.strip_prefix(&root).unwrap().starts_with(folder));
            for path in sources(&root.join(name).join("src")).into_iter().filter(|path| !inside(path)) {
                let text = fs::read_to_string(&path).unwrap();
                let used = text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(&format!("{library}::")));
                // `backbone::redis`-like paths of our own are not the driver.
                let ours = text.contains(&format!("mod {library};")) || text.contains(&format!("super::{library}"));
                assert!(!used || ours, "{} uses {library}", path.display());
            }
        }
    }
}

#[test]
fn the_backbone_and_the_contract_agree_on_the_partitions() {
    assert_eq!(backbone::PARTITIONS, proto::PARTITIONS);
}
