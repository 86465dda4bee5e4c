//! One trace across a client, a node, a worker in Python, a nested call, a child in the background, and its callback.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use cidery::codec::json;
use cidery::codec::proto::otlp::trace::v1::span::SpanKind;
use cidery::{Value, dict};

use super::collector::{Collector, Seen};
use super::{CALLER, TRACE, Traced, has, named};
use crate::support::PATIENCE;
use crate::support::binary::tool;
use crate::support::programs::{Running, root};

const INVOKE: &str = "cidery.v1.InvocationService/Invoke";
const INVOKE_ASYNC: &str = "cidery.v1.InvocationService/InvokeAsync";

/// The worker, and a channel of its spans.
struct Worker {
    spans: std::sync::mpsc::Receiver<Value>,
    _process: Running,
}

impl Worker {
    fn start(address: &str) -> Option<Self> {
        let tools = tool("CIDERY_SDK", "traces of the Python SDK")?;
        let mut command = Command::new(format!("{tools}/python"));
        command
            .arg(root().join("tests/it/traces/worker.py"))
            .arg(address)
            .env("PYTHONPATH", root().join("python/src"))
            .stdout(Stdio::piped());
        let mut process = Running(command.spawn().unwrap());
        let lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let (sender, spans) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(json::read(line.as_bytes()).unwrap());
            }
        });
        let _process = process;
        Some(Self { spans, _process })
    }

    /// The next spans, by their names.
    fn spans(&self, count: usize) -> Vec<Value> {
        let spans = (0..count).map(|_| self.spans.recv_timeout(PATIENCE).unwrap());
        spans.collect()
    }
}

#[track_caller]
fn of_worker<'a>(spans: &'a [Value], name: &str, key: &str) -> &'a str {
    let span = spans
        .iter()
        .find(|span| span["name"].as_text() == Some(name));
    span.unwrap_or_else(|| panic!("no span `{name}`: {spans:#?}"))[key]
        .as_text()
        .unwrap()
}

/// Waits until a service has a worker.
async fn served(node: &Traced, service: &'static str) {
    let wait = async {
        while node.client.invoke(service, dict! {}).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

/// The one span of a name with this parent.
#[track_caller]
fn child<'a>(spans: &'a [Seen], name: &str, parent: &str, kind: SpanKind) -> &'a Seen {
    let mut found = spans
        .iter()
        .filter(|span| span.name == name && span.parent == parent);
    let span = found.next();
    let span = span.unwrap_or_else(|| panic!("no `{name}` below {parent}: {spans:#?}"));
    assert!(found.next().is_none(), "two `{name}`: {spans:#?}");
    assert_eq!(span.kind, kind, "{span:?}");
    assert_eq!(span.trace, TRACE, "{span:?}");
    assert!(span.start <= span.end, "{span:?}");
    span
}

/// What the spans of the trace say of its calls.
#[track_caller]
fn check_attributes(spans: &[Seen], cid: &str) {
    let invoke = child(spans, INVOKE, CALLER, SpanKind::Server);
    for (key, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "cidery.v1.InvocationService"),
        ("rpc.method", "Invoke"),
        ("rpc.grpc.status_code", "0"),
        ("cidery.cid", cid),
    ] {
        assert_eq!(invoke.attributes[key], value, "{invoke:?}");
    }
    let attempt = named(spans, "attempt traced.outer");
    for (key, value) in [
        ("cidery.cid", cid),
        ("cidery.service", "traced.outer"),
        ("cidery.attempt", "1"),
        ("cidery.outcome", "succeeded"),
    ] {
        assert_eq!(attempt.attributes[key], value, "{attempt:?}");
    }
    let process = named(spans, "process traced.child");
    for (key, value) in [
        ("messaging.system", "cidery"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "traced.child"),
        ("messaging.message.id", &process.attributes["cidery.cid"]),
    ] {
        assert_eq!(process.attributes[key], value, "{process:?}");
    }
    let publish = named(spans, "publish traced.child");
    assert_eq!(publish.attributes["messaging.operation.name"], "publish");
    assert_eq!(publish.attributes["messaging.operation.type"], "send");
}

/// The spans of the node and those of its worker are one tree.
#[track_caller]
fn check_parents(spans: &[Seen], worked: &[Value], all: &[String]) {
    let (server, internal, client) = (SpanKind::Server, SpanKind::Internal, SpanKind::Client);

    // The client calls the node, and that the worker.
    let invoke = child(spans, INVOKE, CALLER, server);
    let attempt = child(spans, "attempt traced.outer", &invoke.id, internal);
    let dispatch = child(spans, "dispatch traced.outer", &attempt.id, client);
    assert_eq!(of_worker(worked, &all[0], "parent"), dispatch.id);
    let outer = of_worker(worked, &all[0], "id");

    // The handler calls another service,
    let invoke = child(spans, INVOKE, outer, server);
    let nested = child(spans, "invoke traced.inner", &invoke.id, internal);
    let attempt = child(spans, "attempt traced.inner", &nested.id, internal);
    let dispatch = child(spans, "dispatch traced.inner", &attempt.id, client);
    assert_eq!(of_worker(worked, &all[1], "parent"), dispatch.id);

    // and hands work on,
    let accept = child(spans, INVOKE_ASYNC, outer, server);
    let publish = child(
        spans,
        "publish traced.child",
        &accept.id,
        SpanKind::Producer,
    );
    child(spans, "commit", &publish.id, internal);
    child(spans, "queue traced.child", &publish.id, internal);
    let process = child(
        spans,
        "process traced.child",
        &publish.id,
        SpanKind::Consumer,
    );
    assert_eq!(process.links, [publish.id.as_str()]);
    let dispatch = child(spans, "dispatch traced.child", &process.id, client);
    assert_eq!(of_worker(worked, &all[2], "parent"), dispatch.id);

    // whose outcome goes to a callback.
    let publish = child(
        spans,
        "publish traced.done",
        &dispatch.id,
        SpanKind::Producer,
    );
    let process = child(
        spans,
        "process traced.done",
        &publish.id,
        SpanKind::Consumer,
    );
    assert_eq!(process.links, [publish.id.as_str()]);
    let dispatch = child(spans, "dispatch traced.done", &process.id, client);
    assert_eq!(of_worker(worked, &all[3], "parent"), dispatch.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_spans_client_node_worker_nested_call_child_and_callback() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let Some(worker) = Worker::start(&node.server.address) else {
        return;
    };
    served(&node, "traced.inner").await;
    // Of a call whose trace is not recorded: the worker makes no span either.
    assert!(worker.spans.try_recv().is_err());

    let reply = node.recording().invoke("traced.outer", dict! {}).await;
    let cid = reply.unwrap().cid().to_string();
    // Spans end in any order: a callback may be over before whoever published it is.
    let last = [
        "publish traced.child",
        "publish traced.done",
        "process traced.done",
        INVOKE_ASYNC,
    ];
    let is_over = |spans: &[Seen]| {
        last.iter().all(|name| has(spans, name)) && spans.iter().any(|span| span.parent == CALLER)
    };
    let spans = collector.until("all of it", is_over).await;
    let worked = worker.spans(4);
    let all: Vec<String> = [
        "traced.outer",
        "traced.inner",
        "traced.child",
        "traced.done",
    ]
    .map(|service| format!("handle {service}"))
    .into();
    for name in &all {
        assert_eq!(of_worker(&worked, name, "trace"), TRACE);
        assert_eq!(of_worker(&worked, name, "kind"), "SERVER");
    }
    check_parents(&spans, &worked, &all);
    check_attributes(&spans, &cid);
    assert!(
        spans
            .iter()
            .all(|span| span.trace == TRACE && !span.is_error)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_a_worker_is_in_all_spans_without_its_message() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let Some(worker) = Worker::start(&node.server.address) else {
        return;
    };
    served(&node, "traced.inner").await;
    let failed = node.recording().invoke("traced.fails", dict! {}).await;
    assert_eq!(failed.unwrap_err().reason(), "HANDLER_FAILED");
    let spans = collector
        .until("the call ends", |spans| has(spans, INVOKE))
        .await;
    for name in [INVOKE, "attempt traced.fails", "dispatch traced.fails"] {
        let span = named(&spans, name);
        assert!(span.is_error, "{span:?}");
        assert_eq!(
            span.attributes["cidery.reason"], "HANDLER_FAILED",
            "{span:?}"
        );
        assert_eq!(span.attributes["error.type"], "HANDLER_FAILED", "{span:?}");
        assert_eq!(span.events, ["exception"], "{span:?}");
    }
    let worked = worker.spans(1);
    assert_eq!(worked[0]["is_error"], true.into(), "{worked:?}");
    assert!(!format!("{worked:?}{spans:?}").contains("swordfish"));
}
