//! The client of the tutorial in Rust (`docs/tutorial-rust.md`): calls the services of the example `reports`.
//!
//! Run with `cargo run --example reports_client`, or `cargo run --example reports_client -- HOST:PORT`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use cidery::{Client, EventKind, Result, Service};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Count {
    words: usize,
}

#[derive(Serialize)]
struct ReportRequest {
    pages: u32,
}

#[derive(Deserialize)]
struct Report {
    pages: u32,
}

// Services of another process: their names and types are all that a caller needs.
const COUNT: Service<Text, Count> = Service::new("words.count");
const BUILD: Service<ReportRequest, Report> = Service::new("report.build");

#[tokio::main]
async fn main() -> Result<()> {
    let node = std::env::args().nth(1);
    let client = Client::connect(node.as_deref().unwrap_or("127.0.0.1:24337")).await?;

    let text = "to be or not to be".to_owned();
    let count = client.call(COUNT, Text { text }).await?;
    println!("{} words", count.words);

    // The CID is returned once the request is on disk.
    let cid = client.call_async(BUILD, ReportRequest { pages: 2 }).await?;
    let mut events = client.results(cid);
    while let Some(event) = events.next().await {
        match event?.kind {
            EventKind::Item(item) => println!("item {item}"),
            EventKind::Succeeded(response) => {
                println!("{} pages", response.parse::<Report>()?.pages);
            }
            EventKind::Failed(error) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
