//! The worker of the README: serves `hello.greet` for a running node (`cargo run --features cli -- demo`).
//!
//! Run with `cargo run --example hello`, or `cargo run --example hello -- HOST:PORT`.

use cidery::{Context, Input, Result, Service, Worker};

#[derive(serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Greet {
    cust_id: i64,
}

#[derive(serde::Serialize, schemars::JsonSchema)]
struct Greeting {
    greeting: String,
}

#[derive(serde::Deserialize)]
struct Customer {
    cust_name: String,
}

/// A service of another process, with the types of its input and its output.
const GET_CUSTOMER: Service<Greet, Customer> = Service::new("customer.get");

/// Greets a customer by name.
async fn greet(ctx: Context, Input(req): Input<Greet>) -> Result<Greeting> {
    let customer = ctx.call(GET_CUSTOMER, req).await?;
    let greeting = format!("Hello, {}", customer.cust_name);
    Ok(Greeting { greeting })
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let node = std::env::args().nth(1);
    Worker::builder()
        .service("hello.greet", greet)
        .run(node.as_deref().unwrap_or("127.0.0.1:24337"))
        .await
}
