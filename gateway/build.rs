//! The web client's files are part of the executable: build it again when they change.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let files = Path::new("../web/app/dist");
    // A path that is not there would make cargo build this anew each time.
    if !files.exists() {
        fs::create_dir_all(files)?;
    }
    println!("cargo:rerun-if-changed={}", files.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
