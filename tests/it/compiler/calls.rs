//! Compiler errors of calls: each names the cause and what to write.

use super::{compile, compile_with, externs};

/// Calls of a handler `handler`, of the type `Mine` that is not serializable, and of `Ok` that is.
fn with_call(call: &str) -> String {
    format!(
        "use cidery::{{Client, Context, Result, Service, dict}};
        pub struct Mine;
        #[derive(serde::Serialize)]
        pub struct Ok {{ pub n: u64 }}
        pub async fn handler(_: Context) -> u32 {{ 1 }}
        pub const HANDLE: Service<Ok, u32> = Service::new(\"a.handler\");
        pub async fn caller(ctx: Context, client: Client) -> Result<()> {{
            {call};
            Result::Ok(())
        }}"
    )
}

#[track_caller]
fn check_call(call: &str, expected: &[&str]) {
    let error = compile(&with_call(call)).unwrap_err();
    for text in expected {
        assert!(error.contains(text), "`{text}` is not in:\n{error}");
    }
    // What has the fix is in the notes, not in a list of types.
    assert!(!error.contains("others\n"), "{error}");
}

#[test]
fn inputs_and_items_of_all_kinds_compile() {
    let inputs = [
        "&Ok { n: 1 }",
        "vec![Ok { n: 1 }]",
        "[Ok { n: 1 }]",
        "Some(Ok { n: 1 })",
        "1.5_f32",
        "1.5",
        "1",
        "()",
        "\"text\"",
        "dict! { \"n\": 1.5_f32 }",
        "[1, 2]",
        "vec![dict! {}]",
        "std::collections::HashMap::from([(\"n\", 1)])",
    ];
    let calls = inputs.map(|input| {
        format!(
            "ctx.invoke(\"a.b\", {input}).await?; ctx.emit({input}).await?;
            client.invoke_async(String::from(\"a.b\"), {input}).await?;
            ctx.fan_out([(\"a.b\", {input})]).await?;"
        )
    });
    compile(&with_call(&calls.concat())).unwrap();
}

#[test]
fn an_invalid_input_is_rejected_with_the_fix() {
    let fixes = [
        "`Mine` cannot be an input or an item",
        "`#[derive(serde::Serialize)]`",
        "`&value`",
    ];
    check_call("ctx.invoke(\"a.b\", Mine).await?", &fixes);
    check_call("ctx.emit(Mine).await?", &fixes);
    check_call("ctx.fan_out([(\"a.b\", Mine)]).await?", &fixes);
    check_call(
        "client.invoke(\"a.b\", Ok { n: 1 }).await?",
        &["consider borrowing here"],
    );
    let error = compile(&with_call("ctx.invoke(\"a.b\", &Mine).await?")).unwrap_err();
    for text in [
        "`&Mine` cannot be an input or an item",
        "`Serialize` is not implemented for `Mine`",
    ] {
        assert!(
            error.replace("_serde::", "").contains(text),
            "`{text}` is not in:\n{error}"
        );
    }
}

/// The future of `emit` does not depend on the type of the item.
#[test]
fn an_invalid_item_is_reported_once() {
    let error = compile(&with_call("ctx.emit(Mine).await?")).unwrap_err();
    assert!(
        error.contains("aborting due to 1 previous error"),
        "{error}"
    );
}

#[test]
fn a_client_is_not_given_a_function() {
    let handle = &[
        "is not a service handle",
        "cidery::Service::new(",
        "use `invoke(",
    ];
    check_call("client.call(handler, ()).await?", handle);
    check_call("client.call_async(handler, ()).await?", handle);
    check_call("client.call(\"a.b\", ()).await?", handle);
    let name = &["is not the name of a service", "`call(handler, input)`"];
    check_call("client.invoke(handler, ()).await?", name);
    check_call("ctx.invoke_with_retry(HANDLE, ()).await?", name);
    compile(&with_call(
        "client.call(HANDLE, Ok { n: 1 }).await?; ctx.call(HANDLE, Ok { n: 1 }).await?; ctx.call(handler, ()).await?",
    ))
    .unwrap();
}

#[test]
fn a_call_by_types_is_not_given_a_name() {
    let fix = &[
        "`&str` is neither a service handle nor a handler",
        "use `invoke(",
    ];
    check_call("ctx.call(\"a.b\", 1).await?", fix);
    check_call("ctx.call_async(\"a.b\", 1).await?", fix);
}

#[test]
fn a_call_of_many_is_a_pair() {
    let error = compile(&with_call("ctx.fan_out([Ok { n: 1 }]).await?")).unwrap_err();
    for text in ["`Ok` is not a call", "`(\"pages.fetch\", &input)`"] {
        assert!(error.contains(text), "`{text}` is not in:\n{error}");
    }
}

#[test]
fn an_invalid_value_is_rejected_with_the_fix() {
    for call in [
        "dict! { \"a\": Ok { n: 1 } }",
        "cidery::Dict::new().insert(\"a\", Ok { n: 1 })",
        "cidery::Progress::at(0.5).value(Ok { n: 1 })",
    ] {
        check_call(
            call,
            &["`Ok` cannot be a value", "`cidery::to_value(&value)?`"],
        );
    }
}

#[test]
fn an_error_without_a_conversion_is_reported_with_the_fix() {
    check_call(
        "Err(Mine)?",
        &[
            "`?` couldn't convert the error",
            "write `.map_err(cidery::Error::undeclared)?`",
        ],
    );
}

/// A crate converts its own errors, and everything that converts to a box is undeclared.
#[test]
fn errors_of_all_kinds_compile() {
    compile(
        "use cidery::{BoxError, Error, Result};
        pub struct Mine;
        impl From<Mine> for Error {
            fn from(_: Mine) -> Self { Error::not_found(\"MINE\", \"mine\") }
        }
        pub async fn handler(text: &str) -> Result<u64> {
            std::fs::read(text)?;
            Err::<(), _>(BoxError::from(\"boxed\"))?;
            Err::<(), _>(BoxError::from(\"boxed\")).map_err(Error::undeclared)?;
            Err(Mine)?
        }",
    )
    .unwrap();
}

#[test]
fn an_output_that_cannot_be_read_is_reported_once() {
    let call = "const S: Service<u8, Mine> = Service::new(\"a.b\"); ctx.call(S, 1).await?";
    let error = compile(&with_call(call)).unwrap_err();
    for text in [
        "aborting due to 1 previous error",
        "is not implemented for `Mine`",
    ] {
        assert!(error.contains(text), "`{text}` is not in:\n{error}");
    }
}

/// A program needs no dependency whose types are in the API.
#[test]
fn derives_compile_with_the_exported_crates() {
    let cidery = &externs()[..1];
    let code = "
        use cidery::{jiff::Timestamp, schemars::JsonSchema, serde::Deserialize};
        #[derive(Deserialize, JsonSchema)]
        #[serde(crate = \"cidery::serde\")]
        #[schemars(crate = \"cidery::schemars\")]
        pub struct Request { pub n: u64 }
        pub async fn handler(input: cidery::Input<Request>) -> u64 { input.0.n }
        cidery::assert_handler!(handler);
        pub async fn at(client: cidery::Client, time: Timestamp) -> cidery::Result<cidery::Cid> {
            client.invoke_async(\"a.b\", ()).start_time(time).await
        }";
    compile_with(cidery, code).unwrap();
}
