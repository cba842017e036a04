//! What may use what: between crates (three floors), between the files of a crate (no circle), and which libraries stay in which
//! folders. ARCHITECTURE.md draws it; this holds it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod arrows;
mod crates;
mod sources;

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// No file uses another that uses it, directly or over others.
///
/// A file is a place in this picture; so is a `mod.rs` or `lib.rs`, apart from the files that it declares. An arrow goes from the
/// file that mentions an item to the file that defines it, through however many `pub use`. To declare a module, to name one, or to
/// pass an item on by `pub use` makes no arrow, so a parent may show what its children define. But a parent that defines a type which
/// its child uses, and calls its child as well, is a circle like any other: neither can be read or changed without the other. The
/// type then goes into a file of its own, or what calls the child does.
///
/// What is not seen: calls of methods, whose owner only the compiler knows. The next test keeps these from hiding an arrow between
/// folders.
#[test]
fn no_circle_inside_a_crate() {
    let circles: Vec<String> = crates::read_all().iter().flat_map(sources::Crate::circles).collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

/// The methods of a type are written in its folder or below it: written elsewhere, whoever calls one would use that place without a
/// word of it.
#[test]
fn methods_stand_with_their_type() {
    let elsewhere: Vec<String> =
        crates::read_all().iter().flat_map(|one| one.methods_elsewhere().into_iter().map(|what| format!("{}: {what}", one.name))).collect();
    assert!(elsewhere.is_empty(), "methods far from their type:\n{}", elsewhere.join("\n"));
}

#[test]
fn the_backbone_and_the_contract_agree_on_the_partitions() {
    assert_eq!(backbone::PARTITIONS, proto::PARTITIONS);
}

/// That the reader finds what there is: a tree with a circle, a re-export, a macro and a test in it.
#[test]
fn a_circle_is_found_and_a_passing_on_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let circles = || sources::Crate::read("tried", folder.path(), &folder.path().join("lib.rs")).circles();
    write("lib.rs", "mod hub; mod room; pub use room::Room;");
    write("hub/mod.rs", "mod wheel; pub use wheel::Wheel; pub fn start(room: crate::Room) {}");
    write("hub/wheel.rs", "pub struct Wheel; pub fn turn() { println!(\"{}\", crate::room::count()); }");
    write("room.rs", "pub struct Room; pub fn count() -> u32 { 0 } #[cfg(test)] mod tests { use crate::hub::Wheel; }");
    assert_eq!(circles(), Vec::<String>::new(), "declared, passed on, and used by a test");

    write("room.rs", "use crate::hub::Wheel; pub struct Room(Wheel); pub fn count() -> u32 { 0 }");
    let found = circles();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("2 files") && found[0].contains("hub/wheel.rs → room.rs: count"),
        "through a re-export and a macro: {found:?}"
    );

    write("room.rs", "pub struct Room; pub fn count() -> u32 { 0 }");
    write("hub/mod.rs", "mod wheel; pub struct Hub; pub fn start() { wheel::turn() }");
    write("hub/wheel.rs", "use super::Hub; pub fn turn() {} pub fn stop(hub: &Hub) {}");
    assert_eq!(circles().len(), 1, "a parent that calls the child that uses its type");

    write("hub/mod.rs", "mod parts; mod wheel; pub use parts::wheel; pub fn start() { wheel::turn(); wheel() }");
    write("hub/parts.rs", "use super::wheel::turn; pub fn wheel() { turn() }");
    write("hub/wheel.rs", "pub fn turn() {}");
    assert_eq!(circles(), Vec::<String>::new(), "a module and a function of one name");
}
