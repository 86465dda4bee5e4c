//! Traces: spans of a node and its workers at a collector.

mod collector;
mod losses;
mod one_trace;
mod plain_http;
mod sampling;
mod spans;

use std::path::Path;

use cidery::Client;

use self::collector::{Collector, Seen};
use crate::support::binary::Server;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The trace context of a caller whose trace is recorded.
fn recorded() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// A node that sends its spans to a collector.
struct Traced {
    server: Server,
    client: Client,
}

impl Traced {
    /// Records the traces that callers record.
    async fn start(collector: &Collector) -> Self {
        Self::start_with(collector, &["--trace-sample", "0"], &[]).await
    }

    async fn start_with(
        collector: &Collector,
        options: &[&str],
        environment: &[(&str, &Path)],
    ) -> Self {
        let url = collector.url();
        let mut all = vec!["--otlp-endpoint", &url];
        all.extend(options);
        Self::of(Server::start_in(&all, environment)).await
    }

    async fn of(server: Server) -> Self {
        let client = Client::connect(&server.address).await.unwrap();
        Self { server, client }
    }

    /// A client whose calls are part of the trace of the tests.
    fn recording(&self) -> Client {
        self.client.clone().trace_context(|| Some(recorded()))
    }
}

/// The one span with a name.
#[track_caller]
fn named<'a>(spans: &'a [Seen], name: &str) -> &'a Seen {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next();
    assert!(found.next().is_none(), "two spans `{name}`: {spans:#?}");
    span.unwrap_or_else(|| panic!("no span `{name}`: {spans:#?}"))
}

fn has(spans: &[Seen], name: &str) -> bool {
    spans.iter().any(|span| span.name == name)
}
