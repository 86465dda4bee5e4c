//! A worker in Rust: the same handlers as in a node, in a separate process.
//!
//! Run with `cargo run --example worker -- 127.0.0.1:24337`, next to a node (`cidery serve --demo`). On SIGTERM or
//! Ctrl-C it finishes the calls that it has, and takes no new ones.

use std::time::Duration;

use cidery::{Context, Dict, Error, Input, Result, Value, Worker, dict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Returns its input.
async fn echo(input: Value) -> Value {
    input
}

#[derive(Deserialize, JsonSchema)]
struct Greet {
    name: String,
}

#[derive(JsonSchema, Serialize)]
struct Greeting {
    greeting: String,
}

/// The types declare its input and output, so that it is also the typed method `rust.Service/Greet`.
async fn greet(Input(req): Input<Greet>) -> Greeting {
    Greeting {
        greeting: format!("Hello, {} from rust", req.name),
    }
}

/// Fails with a reason that callers can match.
async fn fail() -> Result<Value> {
    Err(Error::failed_precondition(
        "RUST_FAILED",
        "failed on purpose",
    ))
}

/// Invokes a service through the node, as part of the same invocation.
async fn nested(ctx: Context) -> Result<Dict> {
    ctx.invoke("customer.get", dict! { "cust_id": 1 })
        .await?
        .parse()
}

/// Emits an item and takes 5 ms.
async fn step(ctx: Context, input: Dict) -> Result<Dict> {
    ctx.emit(dict! { "attempt": ctx.attempt() }).await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(input)
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let Some(node) = std::env::args().nth(1) else {
        return Err(Error::invalid_argument("USAGE", "worker HOST:PORT"));
    };
    Worker::builder()
        .name("example")
        .build_id(env!("CARGO_PKG_VERSION"))
        .service("rust.greet", greet)
        .service("rust.echo", echo)
        .service("rust.fail", fail)
        .service("rust.nested", nested)
        .service("rust.step", step)
        .run(&node)
        .await
}
