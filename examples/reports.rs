//! The worker of the tutorial in Rust (`docs/tutorial-rust.md`): serves `words.count` and `report.build`.
//!
//! Run with `cargo run --example reports`, or `cargo run --example reports -- HOST:PORT`, next to a node.

use std::time::Duration;

use cidery::{Context, Input, Result, Worker, dict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(JsonSchema, Serialize)]
struct Count {
    words: usize,
}

/// Counts the words of a text.
async fn count_words(Input(req): Input<Text>) -> Count {
    Count {
        words: req.text.split_whitespace().count(),
    }
}

#[derive(Deserialize, JsonSchema)]
struct ReportRequest {
    pages: u32,
}

#[derive(JsonSchema, Serialize)]
struct Report {
    pages: u32,
}

/// Builds a report, a quarter of a second for each page.
async fn build_report(ctx: Context, Input(req): Input<ReportRequest>) -> Result<Report> {
    for page in 1..=req.pages {
        tokio::time::sleep(Duration::from_millis(250)).await;
        ctx.emit(dict! { "page": page }).await?;
    }
    Ok(Report { pages: req.pages })
}

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let node = std::env::args().nth(1);
    Worker::builder()
        .service("words.count", count_words)
        .service("report.build", build_report)
        .run(node.as_deref().unwrap_or("127.0.0.1:24337"))
        .await
}
