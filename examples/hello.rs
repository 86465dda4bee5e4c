//! The worker of the README: serves `hello.greet` for a running node (`cargo run --features cli -- demo`).
//!
//! Run with `cargo run --example hello`, or `cargo run --example hello -- HOST:PORT`.

use cidery::{Context, Input, Result, Worker, dict};

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Greet {
    cust_id: u64,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Greeting {
    greeting: String,
}

/// The types declare the input and the output. Parsing, errors, JSON Schema and the gRPC method
/// `hello.Service/Greet` are derived from them.
async fn greet(ctx: Context, Input(req): Input<Greet>) -> Result<Greeting> {
    let customer = ctx
        .invoke("customer.get", dict! { "cust_id": req.cust_id })
        .await?;
    Ok(Greeting {
        greeting: format!("Hello, {}", customer.at::<String>("cust_name")?),
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let node = std::env::args().nth(1);
    Worker::builder()
        .service("hello.greet", greet)
        .run(node.as_deref().unwrap_or("127.0.0.1:24337"))
        .await
}
