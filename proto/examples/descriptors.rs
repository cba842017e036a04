//! Writes the public package's `FileDescriptorSet` to a file, for generators of clients in other languages:
//! `cargo run -q -p proto --example descriptors -- FILE` (`-` for the standard output).

use std::{env, fs, io, io::Write as _};

fn main() -> io::Result<()> {
    let file = env::args().nth(1).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "usage: descriptors FILE"))?;
    if file == "-" { io::stdout().write_all(proto::PUBLIC_DESCRIPTORS) } else { fs::write(file, proto::PUBLIC_DESCRIPTORS) }
}
