//! Compiler errors of invalid handlers: they list the valid types, and `assert_handler!` names the cause.

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
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
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

/// A handler is checked by `assert_handler!`: the error contains these texts, and not the general one.
#[track_caller]
fn check_named(handler: &str, expected: &[&str]) {
    let error = compile(&format!(
        "{TYPES}\n{handler}\ncidery::assert_handler!(handler);\n"
    ));
    let error = error.unwrap_err();
    for text in expected {
        assert!(error.contains(text), "`{text}` is not in:\n{error}");
    }
    assert!(!error.contains("is not a handler"), "{error}");
}

const TYPES: &str = "\
    use cidery::{Answer, Context, Dict, Input, Payload, Reply, Result, State};
    #[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
    pub struct Complete { pub n: u64 }
    #[derive(serde::Deserialize, serde::Serialize)]
    pub struct NoSchema { pub n: u64 }
    #[derive(schemars::JsonSchema)]
    pub struct NoSerde { pub n: u64 }";

#[test]
fn valid_handlers_pass_the_assertion() {
    let handlers = [
        "async fn handler() {}",
        "async fn handler(_: Context) -> Reply { std::future::pending().await }",
        "async fn handler(_: Dict) -> Result<Payload> { std::future::pending().await }",
        "async fn handler(_: State<u8>, _: Input<Complete>) -> Complete { std::future::pending().await }",
        "async fn handler(_: Context, input: Input<Complete>) -> Result<Complete> { Ok(input.0) }",
        "async fn handler() -> Result<Answer<Complete>> { std::future::pending().await }",
        "async fn handler(ctx: Context) -> Result<cidery::Later> { ctx.later() }",
    ];
    let handlers = handlers.iter().enumerate().map(|(number, handler)| {
        format!("mod m{number} {{ {TYPES} {handler}\ncidery::assert_handler!(handler); }}\n")
    });
    let handlers: String = handlers.collect();
    compile(&handlers).unwrap();
}

#[test]
fn the_error_recommends_the_assertion() {
    check_rejected("fn handler() {}", &["cidery::assert_handler!("]);
}

#[test]
fn an_input_that_is_not_the_last_argument_is_named() {
    check_named(
        "async fn handler(_: Input<Complete>, _: Context) {}",
        &[
            "`Input<Complete>` cannot be an argument",
            "only the last argument may be the input",
        ],
    );
}

#[test]
fn a_last_argument_that_is_no_input_is_named() {
    check_named(
        "async fn handler(_: Complete) {}",
        &[
            "`Complete` cannot be the last argument",
            "`Input<Complete>`",
        ],
    );
}

#[test]
fn an_input_without_a_schema_is_named() {
    check_named(
        "async fn handler(_: Input<NoSchema>) {}",
        &["`NoSchema: JsonSchema` is not satisfied"],
    );
}

#[test]
fn an_input_that_cannot_be_deserialized_is_named() {
    check_named(
        "async fn handler(_: Input<NoSerde>) {}",
        &["`NoSerde: serde::de::DeserializeOwned` is not satisfied"],
    );
}

#[test]
fn a_function_that_is_not_async_is_named() {
    check_named(
        "fn handler(input: Dict) -> Dict { input }",
        &["the handler is not `async`: it returns `cidery::Dict`"],
    );
}

#[test]
fn a_future_that_is_not_send_is_named_with_the_value() {
    check_named(
        "async fn handler() { let shared = std::rc::Rc::new(1); async {}.await; drop(shared); }",
        &[
            "future returned by `handler` is not `Send`",
            "has type `Rc<i32>`",
        ],
    );
}

#[test]
fn an_output_without_a_schema_is_named() {
    check_named(
        "async fn handler() -> Result<NoSchema> { Ok(NoSchema { n: 1 }) }",
        &["`NoSchema: JsonSchema` is not satisfied"],
    );
}

#[test]
fn an_output_that_cannot_be_serialized_is_named() {
    check_named(
        "async fn handler() -> NoSerde { NoSerde { n: 1 } }",
        &["`NoSerde: serde::Serialize` is not satisfied"],
    );
}

#[test]
fn an_error_that_does_not_convert_is_named() {
    check_named(
        "pub struct Failed;\nasync fn handler() -> Result<Dict, Failed> { Err(Failed) }",
        &["`cidery::Error: From<Failed>` is not satisfied"],
    );
}

#[test]
fn a_value_that_is_no_function_is_named() {
    check_named(
        "#[allow(non_upper_case_globals)]\npub const handler: u8 = 1;",
        &["`u8` is not a function that can be a handler"],
    );
}
