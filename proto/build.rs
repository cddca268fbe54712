//! Compiles the protocol with protox, so that nobody needs protoc.

use std::path::PathBuf;
use std::{env, error, fs};

const FILES: [&str; 6] = [
    "breaker/v1/breaker.proto",
    "breaker/v1/alerts.proto",
    "breaker/v1/service.proto",
    "breaker/v1/admin.proto",
    "breaker/v1/monitor.proto",
    "breaker/v1/peer.proto",
];

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo:rerun-if-changed=breaker");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();

    tonic_prost_build::configure().compile_fds(descriptors.clone())?;

    // The server's side once more, with a WatchResponse whose states are already encoded, a
    // ReportRequest whose error kinds are not copied, and buffers that fit ten thousand streams.
    let server = out.join("server");
    fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::codec::SmallCodec")
        .out_dir(&server)
        .extern_path(".breaker.v1", "crate::v1")
        .extern_path(".breaker.v1.WatchResponse", "crate::encoded::EncodedWatchResponse")
        .extern_path(".breaker.v1.ReportRequest", "crate::reported::ReportRequest")
        .compile_fds(descriptors)?;
    Ok(())
}
