//! Compiler errors: of invalid handlers, which list the valid types, and of invalid calls.

mod assertion;
mod calls;

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::Folder;

/// The builds of a library, the newest one first.
fn builds(name: &str) -> Vec<PathBuf> {
    let start = format!("lib{name}-");
    let folder = Path::new(env!("CARGO_BIN_EXE_cidery"));
    let folder = folder.parent().unwrap().join("deps");
    let entries = std::fs::read_dir(folder).unwrap();
    let libraries = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(&start) && name.ends_with(".rlib")
    });
    let mut libraries: Vec<PathBuf> = libraries.collect();
    libraries.sort_by_key(|path| Reverse(path.metadata().unwrap().modified().unwrap()));
    libraries
}

/// The options for a library, and the builds of its dependencies that it was built with.
fn externs() -> &'static [String] {
    static EXTERNS: OnceLock<Vec<String>> = OnceLock::new();
    EXTERNS.get_or_init(|| {
        let of = |name: &str| {
            let option = |path: PathBuf| format!("--extern={name}={}", path.display());
            builds(name).into_iter().map(option).collect::<Vec<_>>()
        };
        let (cidery, serde, schemars) = (of("cidery"), of("serde"), of("schemars"));
        for cidery in &cidery {
            for serde in &serde {
                for schemars in &schemars {
                    let externs = vec![cidery.clone(), serde.clone(), schemars.clone()];
                    if compile_with(&externs, PROBE).is_ok() {
                        return externs;
                    }
                }
            }
        }
        panic!("no build of schemars and serde is that of cidery");
    })
}

/// Compiles with the dependencies of the library only.
const PROBE: &str = "
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    pub struct Input { pub n: u64 }
    pub fn probe(node: cidery::NodeBuilder) {
        let _ = node.service(\"s\", async |_: cidery::Input<Input>| {});
    }";

/// Compiles a program against the library; the error is the output of the compiler.
fn compile(code: &str) -> Result<(), String> {
    compile_with(externs(), code)
}

fn compile_with(externs: &[String], code: &str) -> Result<(), String> {
    let folder = Folder::new("compiler");
    let source = folder.path().join("main.rs");
    std::fs::write(&source, code).unwrap();
    let dependencies = Path::new(env!("CARGO_BIN_EXE_cidery")).with_file_name("deps");
    let output = Command::new("rustc")
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=metadata",
            "-Awarnings",
        ])
        .args(externs)
        .arg(format!("-Ldependency={}", dependencies.display()))
        .arg("--out-dir")
        .arg(folder.path())
        .arg(&source)
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

fn with_handler(handler: &str, name: &str) -> String {
    format!(
        "use cidery::{{Context, Definition, Dict, Input, Node}};\n{handler}\n\
         pub fn node() {{ let _ = Node::builder().service(\"s\", {name}); }}\n"
    )
}

#[track_caller]
fn check_rejected(handler: &str, expected: &[&str]) {
    let error = compile(&with_handler(handler, "handler")).unwrap_err();
    for text in expected {
        assert!(error.contains(text), "`{text}` is not in:\n{error}");
    }
}

#[test]
fn valid_handlers_compile() {
    compile(&with_handler(
        "async fn handler(_: Context, input: Dict) -> Dict { input }",
        "handler",
    ))
    .unwrap();
}

#[test]
fn a_function_that_is_not_async_is_rejected() {
    check_rejected(
        "fn handler(input: Dict) -> Dict { input }",
        &["is not a handler", "`async fn`"],
    );
}

#[test]
fn an_invalid_argument_is_reported_with_the_valid_types() {
    check_rejected(
        "struct Mine;\nasync fn handler(_: Mine) {}",
        &["is not a handler", "Input<T>", "State<T>"],
    );
}

/// It would be a response with an `Err` inside.
#[test]
fn an_error_that_is_only_serializable_is_rejected() {
    check_rejected(
        "async fn handler() -> Result<u32, String> { Err(String::new()) }",
        &["type annotations needed", "ErrorMustImplementStdError"],
    );
}

#[test]
fn an_invalid_output_is_reported_with_the_valid_types() {
    check_rejected(
        "pub struct Mine;\nasync fn handler() -> Mine { Mine }",
        &["is not a handler", "serde::Serialize"],
    );
}

#[test]
fn the_error_recommends_the_assertion() {
    check_rejected("fn handler() {}", &["cidery::assert_handler!("]);
}
