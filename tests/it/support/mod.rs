//! Shared test support: nodes on port 0, raw clients and workers, the real binary, a store that can be paused.

pub(crate) mod binary;
pub(crate) mod certificates;
pub(crate) mod console;
pub(crate) mod dynamic;
pub(crate) mod faulty_worker;
pub(crate) mod gated;
pub(crate) mod page;
pub(crate) mod postgres;
pub(crate) mod programs;
pub(crate) mod proxy;
pub(crate) mod pty;
pub(crate) mod raw;
pub(crate) mod raw_worker;
pub(crate) mod recorder;
pub(crate) mod schema;
pub(crate) mod snapshot;
pub(crate) mod stored;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::remote::client::ContractClient;
use cidery::sio::Sio;
use cidery::{Cid, Definition, Error, Format, Node, NodeBuilder, NodeHandle, Payload, Value};
use tonic::transport::Channel;

/// The timeout of all waits: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The secret of an API key. It may contain the character that ends the id.
pub(crate) fn secret_of(key: &str) -> &str {
    key.splitn(3, '_').nth(2).unwrap()
}

/// Any free port of the loopback address.
pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A node on a free port, with a client.
pub(crate) struct TestNode {
    pub(crate) handle: NodeHandle,
    pub(crate) client: ContractClient,
    pub(crate) stub: InvocationServiceClient<Channel>,
}

impl TestNode {
    pub(crate) async fn start(builder: NodeBuilder) -> Self {
        // The builder is large, and so would be each test.
        let handle = Box::pin(builder.listen(any_port()).start()).await.unwrap();
        let address = handle.address().unwrap().to_string();
        let client = ContractClient::connect(&address).await.unwrap();
        let stub = InvocationServiceClient::connect(format!("http://{address}"))
            .await
            .unwrap();
        Self {
            handle,
            client,
            stub,
        }
    }

    pub(crate) async fn demo() -> Self {
        Self::start(Node::builder().demo()).await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.address().unwrap()
    }

    /// Checks with a simple call that the node works.
    pub(crate) async fn assert_healthy(&self) {
        let call = cidery::model::call::Call::new("cidery.ping", ());
        self.client.invoke(call).await.unwrap();
    }

    /// Follows an invocation to its end.
    pub(crate) async fn events(
        &self,
        request: v1::StreamResultsRequest,
    ) -> Vec<v1::StreamResultsResponse> {
        let stream = self.stub.clone().stream_results(request).await.unwrap();
        collect(stream.into_inner()).await
    }
}

/// All events of a stream.
pub(crate) async fn collect(
    mut stream: tonic::Streaming<v1::StreamResultsResponse>,
) -> Vec<v1::StreamResultsResponse> {
    let mut events = Vec::new();
    while let Some(event) = stream.message().await.unwrap() {
        events.push(event);
    }
    events
}

/// Waits for the end of an invocation.
pub(crate) async fn ended(client: &ContractClient, cid: Cid) -> v1::Invocation {
    let found = client.invocation(cid, PATIENCE).await.unwrap();
    assert!(found.end_time.is_some(), "{found:?}");
    found
}

/// Why an invocation failed.
pub(crate) fn failure(invocation: v1::Invocation) -> v1::Failure {
    match invocation.outcome.unwrap().outcome.unwrap() {
        v1::outcome::Outcome::Failure(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// A request to follow one invocation from its beginning.
pub(crate) fn follow(cid: impl std::fmt::Display) -> v1::StreamResultsRequest {
    v1::StreamResultsRequest {
        cids: vec![cid.to_string()],
        ..v1::StreamResultsRequest::default()
    }
}

/// The names of events, without progress: how much progress a follower sees depends on timing.
pub(crate) fn names(events: &[v1::StreamResultsResponse]) -> Vec<&'static str> {
    let names = events
        .iter()
        .map(|event| match event.event.as_ref().unwrap() {
            Event::Accepted(_) => "accepted",
            Event::Started(_) => "started",
            Event::Progress(_) => "progress",
            Event::Item(_) => "item",
            Event::RetryScheduled(_) => "retry_scheduled",
            Event::Succeeded(_) => "succeeded",
            Event::Failed(_) => "failed",
            Event::Cancelled(_) => "cancelled",
            Event::Expired(_) => "expired",
            Event::NotFound(_) => "not_found",
        });
    names.filter(|name| *name != "progress").collect()
}

/// Asserts that sequences are strictly increasing.
pub(crate) fn assert_sequences_rise(events: &[v1::StreamResultsResponse]) {
    let sequences: Vec<u64> = events
        .iter()
        .map(|e| e.sequence)
        .filter(|s| *s > 0)
        .collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
}

/// The error that a status carries.
pub(crate) fn error_of(status: &tonic::Status) -> Error {
    cidery::codec::status::from_status(status)
}

/// The paths of all violations.
pub(crate) fn paths(error: &Error) -> Vec<&str> {
    let violations = error.field_violations().iter();
    violations
        .map(|violation| violation.path.as_str())
        .collect()
}

/// Waits for a condition that another task makes true.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("timeout: {what}"));
}

/// A document as input.
pub(crate) fn document(text: impl Into<String>, format: Format) -> Payload {
    Payload::Document(text.into().into(), format)
}

/// A service with a declaration that returns its input.
pub(crate) fn echo(name: &str, sio: Sio) -> Definition {
    Definition::new(name, async |input: Value| input)
        .unwrap()
        .sio(sio)
}

/// A folder that is removed when the test ends.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cidery-{name}-{}", Cid::new()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
