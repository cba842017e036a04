//! Crates by floor, and the libraries that only some folders may use.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};

use super::{
    root,
    sources::{Crate, Meaning},
};

/// The contract: these import one another only as said here. `sequence` imports `proto` by decision 0001.
const CONTRACT: [(&str, &[&str]); 4] = [("proto", &[]), ("sequence", &["proto"]), ("backbone", &[]), ("clock", &[])];
/// Who serves, and never imports another of these: they speak over the contract.
const ROLES: [&str; 3] = ["chat-core", "gateway", "presence"];
/// Drives load from outside: the contract's messages and its time.
const LOAD: (&str, &[&str]) = ("loadtest", &["proto", "clock"]);
/// For tests only, and knows nothing of ours.
const TESTKIT: &str = "testkit";

/// Libraries that only these folders may use.
const FOLDERS: [(&str, &[&str]); 3] =
    [("redis", &["backbone"]), ("sqlx", &["chat-core"]), ("axum", &["gateway/src/edge", "yitang/src/admin.rs"])];

/// Where a crate stands, by its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Floor {
    Contract,
    Kernel,
    Subject,
    Role,
    Whole,
    Load,
    Testkit,
}

fn packages() -> BTreeMap<String, Package> {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    metadata.packages.into_iter().map(|package| (package.name.to_string(), package)).collect()
}

/// Its folder, below the workspace's.
fn folder(package: &Package) -> PathBuf {
    let manifest = package.manifest_path.as_std_path();
    manifest.parent().unwrap().strip_prefix(root()).unwrap().to_owned()
}

fn floor(package: &Package) -> Option<Floor> {
    let (folder, name) = (folder(package), package.name.as_str());
    if folder.parent() == Some(Path::new("chat-core")) {
        return Some(if folder.ends_with("kernel") { Floor::Kernel } else { Floor::Subject });
    }
    if folder != Path::new(name) {
        return None;
    }
    match name {
        _ if CONTRACT.iter().any(|(known, _)| *known == name) => Some(Floor::Contract),
        _ if ROLES.contains(&name) => Some(Floor::Role),
        "yitang" => Some(Floor::Whole),
        _ if name == LOAD.0 => Some(Floor::Load),
        TESTKIT => Some(Floor::Testkit),
        _ => None,
    }
}

fn may_import(from: &str, on: Floor, to: &str, of: Floor) -> bool {
    match on {
        Floor::Contract => CONTRACT.iter().any(|(name, imports)| *name == from && imports.contains(&to)),
        Floor::Kernel => of == Floor::Contract,
        Floor::Subject => matches!(of, Floor::Contract | Floor::Kernel),
        // What subjects there are, is chat-core's alone to know.
        Floor::Role if from == "chat-core" => matches!(of, Floor::Contract | Floor::Kernel | Floor::Subject),
        Floor::Role => of == Floor::Contract,
        Floor::Whole => !matches!(of, Floor::Load | Floor::Testkit),
        Floor::Load => LOAD.1.contains(&to),
        Floor::Testkit => false,
    }
}

/// What it ships with; tests may import what they like.
fn imports(package: &Package) -> BTreeSet<String> {
    let shipped = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    shipped.map(|dependency| dependency.name.clone()).collect()
}

/// Every library and executable of ours, read.
pub fn read_all() -> Vec<Crate> {
    let root = root();
    let mut crates = Vec::new();
    for (name, package) in packages() {
        for target in &package.targets {
            if target.kind.iter().any(|kind| matches!(kind, TargetKind::Lib | TargetKind::Bin)) {
                crates.push(Crate::read(&format!("{name}/{}", target.name), &root, target.src_path.as_std_path()));
            }
        }
    }
    crates
}

#[test]
fn crates_import_only_what_is_below_them() {
    let packages = packages();
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        let Some(on) = floor(package) else {
            wrong.push(format!("{name} ({}) stands on no floor", folder(package).display()));
            continue;
        };
        for import in imports(package) {
            let Some(of) = packages.get(&import).and_then(floor) else { continue };
            if !may_import(name, on, &import, of) {
                wrong.push(format!("{name} ({on:?}) imports {import} ({of:?})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn drivers_and_the_http_framework_stay_in_their_folders() {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        for (library, folders) in FOLDERS {
            let own = folder(&package);
            let may = folders.iter().any(|folder| Path::new(folder).starts_with(&own) || own.starts_with(folder));
            if !may && imports(&package).contains(library) {
                wrong.push(format!("{name} depends on {library}"));
            }
        }
    }
    for one in read_all() {
        for module in one.modules.values() {
            let file = &one.files[module.file];
            for (library, folders) in FOLDERS {
                let ours =
                    module.names.get(library).is_some_and(|meanings| meanings.iter().any(|meaning| matches!(meaning, Meaning::Module(_))));
                let uses = module.mentions.iter().chain(&module.globs).any(|path| path.len() > 1 && path[0] == library);
                if uses && !ours && !folders.iter().any(|folder| file.starts_with(folder)) {
                    wrong.push(format!("{} uses {library}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
