//! Compiler errors of invalid handler signatures: they list the valid types.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The library that this test was built with, which is the newest one.
fn library() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_cidery"))
        .parent()
        .unwrap()
        .join("deps");
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let libraries = entries.filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("libcidery-") && name.ends_with(".rlib")
    });
    libraries
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .unwrap()
}

/// Compiles a program against the library; the error is the output of the compiler.
fn compile(code: &str) -> Result<(), String> {
    let folder = std::env::temp_dir().join(format!("cidery-compiler-{}", cidery::Cid::new()));
    std::fs::create_dir_all(&folder).unwrap();
    let source = folder.join("main.rs");
    std::fs::write(&source, code).unwrap();
    let library = library();
    let output = Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--extern",
        ])
        .arg(format!("cidery={}", library.display()))
        .arg("-L")
        .arg(format!(
            "dependency={}",
            library.parent().unwrap().display()
        ))
        .arg("--out-dir")
        .arg(&folder)
        .arg(&source)
        .output()
        .unwrap();
    std::fs::remove_dir_all(folder).unwrap();
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
fn an_input_by_value_is_rejected_with_the_fix() {
    let error = compile(
        "pub struct Mine;\npub async fn handler(ctx: cidery::Context) { let _ = ctx.invoke(\"a\", Mine).await; }\n",
    );
    let error = error.unwrap_err();
    for text in ["cannot be passed by value as an input", "`&value`"] {
        assert!(error.contains(text), "`{text}` is not in:\n{error}");
    }
}

#[test]
fn an_invalid_output_is_reported_with_the_valid_types() {
    check_rejected(
        "pub struct Mine;\nasync fn handler() -> Mine { Mine }",
        &["is not a handler", "serde::Serialize"],
    );
}
