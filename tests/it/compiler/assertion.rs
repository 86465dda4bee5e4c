//! `assert_handler!` names the requirement that a handler does not meet, and nothing else.

use super::compile;

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
    // The cause is the only error, and its first line.
    assert!(
        error.contains("aborting due to 1 previous error"),
        "{error}"
    );
    assert!(
        error.lines().next().unwrap().contains(expected[0]),
        "{error}"
    );
    assert!(error.lines().count() <= 30, "{error}");
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
        "async fn handler() -> Result<u8, cidery::BoxError> { Ok(1) }",
        "async fn handler() -> std::io::Result<u8> { Ok(1) }",
        "type C = Context; async fn handler(_: C, _: C, _: C, _: C, _: C, _: C, _: C, _: Dict) {}",
    ];
    let handlers = handlers.iter().enumerate().map(|(number, handler)| {
        format!("mod m{number} {{ {TYPES} {handler}\ncidery::assert_handler!(handler); }}\n")
    });
    let handlers: String = handlers.collect();
    compile(&handlers).unwrap();
}

#[test]
fn an_argument_by_reference_is_named() {
    for handler in [
        "async fn handler(_: &Context) {}",
        "async fn handler(_: &Context, _: Dict) {}",
        "async fn handler(_: Context, _: &mut Dict) {}",
    ] {
        let expected = [
            "cannot be an argument of a handler: arguments are taken by value",
            "`Context` is cheap to clone",
        ];
        check_named(handler, &expected);
    }
}

#[test]
fn an_input_that_is_not_the_last_argument_is_named() {
    check_named(
        "async fn handler(_: Input<Complete>, _: Context) {}",
        &[
            "`Input<Complete>` cannot be an argument before the last one",
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
        &[
            "`NoSchema` has no schema",
            "`#[derive(schemars::JsonSchema)]`",
        ],
    );
}

#[test]
fn an_input_that_cannot_be_deserialized_is_named() {
    check_named(
        "async fn handler(_: Input<NoSerde>) {}",
        &[
            "`NoSerde` cannot be an input",
            "`#[derive(serde::Deserialize)]`",
        ],
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
            "future cannot be sent between threads safely",
            "future returned by `handler` is not `Send`",
            "has type `Rc<i32>`",
        ],
    );
}

#[test]
fn an_output_without_a_schema_is_named() {
    check_named(
        "async fn handler() -> Result<NoSchema> { Ok(NoSchema { n: 1 }) }",
        &[
            "`NoSchema` has no schema",
            "`#[derive(schemars::JsonSchema)]`",
        ],
    );
}

#[test]
fn an_output_that_cannot_be_serialized_is_named() {
    check_named(
        "async fn handler() -> NoSerde { NoSerde { n: 1 } }",
        &[
            "`NoSerde` cannot be an output",
            "`#[derive(serde::Serialize)]`",
        ],
    );
}

#[test]
fn an_error_that_does_not_convert_is_named() {
    check_named(
        "pub struct Failed;\nasync fn handler() -> Result<Dict, Failed> { Err(Failed) }",
        &[
            "`Failed` cannot be the error of a handler",
            "`anyhow::Error`",
        ],
    );
}

#[test]
fn a_value_that_is_no_function_is_named() {
    check_named(
        "#[allow(non_upper_case_globals)]\npub const handler: u8 = 1;",
        &["`u8` is not a function that can be a handler"],
    );
}
