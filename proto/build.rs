//! Compiles the contract without protoc: messages, services, canonical JSON, and the descriptor sets that reflection
//! and the TypeScript generator read.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

const PUBLIC: [&str; 10] = [
    "yitang/v1/common.proto",
    "yitang/v1/event.proto",
    "yitang/v1/socket.proto",
    "yitang/v1/conversation.proto",
    "yitang/v1/consultation.proto",
    "yitang/v1/directory.proto",
    "yitang/v1/account.proto",
    "yitang/v1/display.proto",
    "yitang/v1/moderation.proto",
    "yitang/v1/poll.proto",
];
const INTERNAL: [&str; 3] = ["yitang/internal/v1/edge.proto", "yitang/internal/v1/backbone.proto", "yitang/internal/v1/presence.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=yitang");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    // With comments kept: the TypeScript generator turns them into documentation.
    let public = protox::compile(PUBLIC, ["."])?;
    fs::write(out.join("public.bin"), public.encode_to_vec())?;

    let everything = protox::compile(PUBLIC.iter().chain(&INTERNAL), ["."])?;
    let encoded = everything.encode_to_vec();
    fs::write(out.join("all.bin"), &encoded)?;
    tonic_prost_build::configure().bytes(".").compile_fds(everything)?;
    pbjson_build::Builder::new().register_descriptors(&encoded)?.build(&[".yitang.v1"])?;
    Ok(())
}
