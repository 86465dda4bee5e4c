//! One trace across a client, a node, a worker in Python, a nested call, a child in the background, and its callback.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cidery::codec::proto::otlp::trace::v1::span::SpanKind;
use cidery::dict;

use super::collector::{Collector, Seen};
use super::{Traced, has, named};
use crate::support::PATIENCE;
use crate::support::binary::{stderr, stdout, tool};
use crate::support::programs::{Running, root};

const INVOKE: &str = "cidery.v1.InvocationService/Invoke";
const INVOKE_ASYNC: &str = "cidery.v1.InvocationService/InvokeAsync";

/// A program in Python, next to this file, that sends its spans to the collector.
fn program(name: &str, node: &str, collector: &Collector) -> Option<Command> {
    let tools = tool("CIDERY_SDK", "traces of the Python SDK")?;
    let mut command = Command::new(Path::new(&tools).join("python"));
    command
        .arg(root().join("tests/it/traces").join(name))
        .args([node, &collector.url()])
        .env("PYTHONPATH", root().join("python/src"));
    Some(command)
}

fn start_worker(node: &Traced, collector: &Collector) -> Option<Running> {
    let mut command = program("worker.py", &node.server.address, collector)?;
    Some(Running(command.spawn().unwrap()))
}

/// Calls a service as a client that has a span; returns the CID.
async fn call(node: &Traced, collector: &Collector, service: &str) -> String {
    let mut command = program("client.py", &node.server.address, collector).unwrap();
    command.arg(service);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim().to_owned()
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
    assert!(span.start <= span.end, "{span:?}");
    span
}

/// The span of the handler that a dispatch runs.
#[track_caller]
fn handled<'a>(spans: &'a [Seen], service: &str, dispatch: &Seen) -> &'a Seen {
    let name = format!("handle {service}");
    let span = child(spans, &name, &dispatch.id, SpanKind::Server);
    assert_eq!(span.program, "worker", "{span:?}");
    assert_eq!(
        span.attributes["cidery.cid"],
        dispatch.attributes["cidery.cid"]
    );
    span
}

/// What the spans of the trace say of its calls.
#[track_caller]
fn check_attributes(spans: &[Seen], cid: &str) {
    let call = named(spans, "call traced.outer");
    let invoke = child(spans, INVOKE, &call.id, SpanKind::Server);
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

/// The spans of the client, the node and its worker are one tree.
#[track_caller]
fn check_parents(spans: &[Seen]) {
    let (server, internal, client) = (SpanKind::Server, SpanKind::Internal, SpanKind::Client);

    // The client calls the node, and that the worker.
    let call = child(spans, "call traced.outer", "", client);
    assert_eq!(call.program, "client", "{call:?}");
    let invoke = child(spans, INVOKE, &call.id, server);
    assert_eq!(invoke.program, "cidery", "{invoke:?}");
    let attempt = child(spans, "attempt traced.outer", &invoke.id, internal);
    let dispatch = child(spans, "dispatch traced.outer", &attempt.id, client);
    let outer = &handled(spans, "traced.outer", dispatch).id;

    // The handler calls another service,
    let invoke = child(spans, INVOKE, outer, server);
    let nested = child(spans, "invoke traced.inner", &invoke.id, internal);
    let attempt = child(spans, "attempt traced.inner", &nested.id, internal);
    let dispatch = child(spans, "dispatch traced.inner", &attempt.id, client);
    handled(spans, "traced.inner", dispatch);

    // and hands work on,
    let accept = child(spans, INVOKE_ASYNC, outer, server);
    let publish = child(
        spans,
        "publish traced.child",
        &accept.id,
        SpanKind::Producer,
    );
    let is_commit = |span: &Seen| span.name == "commit" && span.parent == publish.id;
    assert!(spans.iter().any(is_commit), "{spans:#?}");
    child(spans, "queue traced.child", &publish.id, internal);
    let process = child(
        spans,
        "process traced.child",
        &publish.id,
        SpanKind::Consumer,
    );
    assert_eq!(process.links, [publish.id.as_str()]);
    let dispatch = child(spans, "dispatch traced.child", &process.id, client);
    handled(spans, "traced.child", dispatch);

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
    handled(spans, "traced.done", dispatch);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_spans_client_node_worker_nested_call_child_and_callback() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let Some(_worker) = start_worker(&node, &collector) else {
        return;
    };
    // Of calls whose trace is not recorded: neither the node nor the worker makes a span.
    served(&node, "traced.inner").await;
    assert!(collector.spans().is_empty());

    let cid = call(&node, &collector, "traced.outer").await;
    // Spans end in any order: a callback may be over before whoever published it is.
    let last = [
        "call traced.outer",
        "attempt traced.outer",
        "publish traced.child",
        "publish traced.done",
        "process traced.done",
        "handle traced.done",
        INVOKE_ASYNC,
    ];
    let is_over = |spans: &[Seen]| {
        let calls = spans.iter().filter(|span| span.name == INVOKE);
        last.iter().all(|name| has(spans, name)) && calls.count() == 2
    };
    let spans = collector.until("all of it", is_over).await;
    check_parents(&spans);
    check_attributes(&spans, &cid);
    let traces: BTreeSet<&str> = spans.iter().map(|span| &*span.trace).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    assert!(spans.iter().all(|span| !span.is_error), "{spans:#?}");
    // Each span has one parent, which is there, but the first.
    let ids: BTreeSet<&str> = spans.iter().map(|span| &*span.id).collect();
    let roots = spans.iter().filter(|span| !ids.contains(&*span.parent));
    let roots: Vec<&str> = roots.map(|span| &*span.name).collect();
    assert_eq!(roots, ["call traced.outer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_a_worker_is_in_all_spans_without_its_message() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let Some(_worker) = start_worker(&node, &collector) else {
        return;
    };
    served(&node, "traced.inner").await;
    let failed = node.recording().invoke("traced.fails", dict! {}).await;
    assert_eq!(failed.unwrap_err().reason(), "HANDLER_FAILED");
    let spans = collector
        .until("the call ends", |spans| {
            has(spans, INVOKE) && has(spans, "handle traced.fails")
        })
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
    let worked = named(&spans, "handle traced.fails");
    assert!(worked.is_error && worked.program == "worker", "{worked:?}");
    assert!(!format!("{spans:?}").contains("swordfish"));
}
