//! A program with a node of its own, which stores invocations on disk.
//!
//! Run with `cargo run --example node -- 127.0.0.1:24337 target/node-data`. On SIGTERM or Ctrl-C it finishes the calls
//! that it has, and takes no new ones.

use std::time::Duration;

use cidery::{Context, Dict, Error, Node, Result, SqliteStore, dict};

/// Emits an item and takes 5 ms.
async fn step(ctx: Context, input: Dict) -> Result<Dict> {
    ctx.emit(dict! { "attempt": ctx.attempt() }).await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(input)
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err(Error::invalid_argument("USAGE", "node HOST:PORT DATA_DIR"));
    };
    let node = Node::builder()
        .listen(address)
        .store(SqliteStore::open(data)?)
        .service("rust.step", step)
        .start()
        .await?;
    // With port 0, `node.address()` has the port. It is also logged.
    node.run_until_signal().await
}
