//! Generates Rust code from `proto/` without `protoc`.
//!
//! The code is generated from a *patched* descriptor set: fields of type `google.protobuf.Struct`, `Value` and
//! `ListValue` become `bytes`, which is the same on the wire, so that payloads stay encoded until they are read. The
//! original set is kept for reflection: callers never see the patch.

#[cfg(feature = "console")]
#[path = "build/console.rs"]
mod console;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet, OneofDescriptorProto};

const API: [&str; 8] = [
    "cidery/v1/admin.proto",
    "cidery/v1/discovery.proto",
    "cidery/v1/invocation.proto",
    "cidery/v1/operation.proto",
    "cidery/v1/outcome.proto",
    "cidery/v1/security.proto",
    "cidery/v1/service.proto",
    "cidery/v1/worker.proto",
];
/// What a collector of traces takes.
const OTLP: &str = "opentelemetry/proto/collector/trace/v1/trace_service.proto";
const HEALTH: &str = "grpc/health/v1/health.proto";
const SCALER: &str = "externalscaler/externalscaler.proto";
const STAY_ENCODED: [&str; 3] = [
    ".google.protobuf.Struct",
    ".google.protobuf.Value",
    ".google.protobuf.ListValue",
];

/// The environment variable with options of the SQLite library, and the option to sync with `fdatasync`.
const SQLITE_FLAGS: &str = "LIBSQLITE3_FLAGS";
const HAS_FDATASYNC: &str = "-DHAVE_FDATASYNC";

fn main() -> Result<(), Box<dyn Error>> {
    record_fdatasync();
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=third_party");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    #[cfg(feature = "console")]
    console::embed(&out)?;

    let files = API.iter().chain([&HEALTH, &SCALER]).map(Path::new);
    let original = protox::compile(files, ["proto", "third_party"])?;
    let mut for_reflection = original.clone();
    for file in &mut for_reflection.file {
        file.source_code_info = None;
    }
    fs::write(out.join("reflection.bin"), for_reflection.encode_to_vec())?;

    tonic_prost_build::configure()
        .build_server(env::var_os("CARGO_FEATURE_SERVER").is_some())
        .bytes(".cidery.v1")
        // They are large, and are moved through a queue.
        .boxed(".cidery.v1.ServeResponse.message.dispatch")
        .boxed(".cidery.v1.ServeRequest.message.result")
        .codec_path("crate::codec::wire::WireCodec")
        .compile_fds(patched(original))?;
    if env::var_os("CARGO_FEATURE_OTLP").is_some() {
        // The server is for tests.
        tonic_prost_build::configure()
            .disable_comments(["."])
            .compile_fds(protox::compile([OTLP], ["third_party"])?)?;
    }
    Ok(())
}

/// Sets the cfg `sqlite_without_fdatasync`. SQLite is compiled before this runs, by the build script of its crate, and
/// does not list the option among its `PRAGMA compile_options`.
fn record_fdatasync() {
    println!("cargo::rustc-check-cfg=cfg(sqlite_without_fdatasync)");
    println!("cargo::rerun-if-env-changed={SQLITE_FLAGS}");
    let has_system_call = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let flags = env::var(SQLITE_FLAGS).unwrap_or_default();
    let is_set = flags
        .split_whitespace()
        .any(|flag| flag == HAS_FDATASYNC || flag == format!("{HAS_FDATASYNC}=1"));
    if has_system_call && !is_set {
        println!("cargo::rustc-cfg=sqlite_without_fdatasync");
    }
}

fn patched(mut set: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut set.file {
        if file.package() == "cidery.v1" {
            file.message_type.iter_mut().for_each(patch);
        }
    }
    set
}

fn patch(message: &mut DescriptorProto) {
    message.nested_type.iter_mut().for_each(patch);
    let mut synthetic = Vec::new();
    for field in &mut message.field {
        if !STAY_ENCODED.contains(&field.type_name()) {
            continue;
        }
        field.set_type(Type::Bytes);
        field.type_name = None;
        // `bytes` has no field presence: an empty message and an absent one would be the same.
        if field.oneof_index.is_none() && field.label() != Label::Repeated {
            field.proto3_optional = Some(true);
            let index = message.oneof_decl.len() + synthetic.len();
            field.oneof_index = i32::try_from(index).ok();
            synthetic.push(OneofDescriptorProto {
                name: Some(format!("_{}", field.name())),
                options: None,
            });
        }
    }
    message.oneof_decl.append(&mut synthetic);
}
