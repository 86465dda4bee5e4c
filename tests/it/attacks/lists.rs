//! Every list in a request has a limit: all repeated fields that a peer can send, found in the descriptors.

use std::collections::BTreeSet;

use cidery::codec::proto::v1;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use crate::support::dynamic::Dynamic;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{TestNode, error_of};

const INVOCATIONS: &str = "cidery.v1.InvocationService";
const WORKERS: &str = "cidery.v1.WorkerService";

/// How the node answers a list that is too long.
enum Answer {
    /// A method, called with the message, fails with the reason.
    Call(&'static str, Json, &'static str),
    /// The stream of a worker that begins with the message ends with the reason.
    Hello(Json, &'static str),
    /// The stream of a worker that sends the message later ends with the reason.
    Message(Json, &'static str),
    /// A dispatch is needed to send it: the tests of its handling cover it.
    NeedsDispatch,
}

fn list(n: usize, entry: impl Fn(usize) -> Json) -> Json {
    (0..n).map(entry).collect()
}

fn map(n: usize, value: &Json) -> Json {
    let entries = (0..n).map(|i| (format!("key-{i}"), value.clone()));
    Json::Object(entries.collect::<Map<_, _>>())
}

fn cid(_: usize) -> Json {
    cidery::Cid::new().to_string().into()
}

fn declared(sio: &Json) -> Json {
    json!({ "hello": { "name": "a", "services": [{ "name": "a.task", "sio": sio }] } })
}

fn nested(element_type: &str, list: &str, entries: &Json) -> Json {
    json!({ "input": { "elements": [{ "name": "a", "type": element_type, list: entries }] } })
}

/// Each list, with a message in which it is one longer than its limit.
fn lists() -> Vec<(&'static str, Answer)> {
    use Answer::{Call, Hello, Message, NeedsDispatch};
    let text = json!("text");
    let metadata = map(2_000, &text);
    let callbacks = list(17, |_| json!("cidery.ping"));
    let filter =
        |field: &str, entry: Json| json!({ "filter": { field: list(1_001, |_| entry.clone()) } });
    let services = |n| list(n, |i| json!({ "name": format!("n{i}") }));
    let elements = |n| {
        list(
            n,
            |i| json!({ "name": format!("n{i}"), "type": "ELEMENT_TYPE_TEXT" }),
        )
    };
    let tokens = list(100_001, |_| json!(""));
    let cids = json!({ "cids": list(10_001, cid) });
    vec![
        (
            "InvokeRequest.metadata",
            Call(
                "Invoke",
                json!({ "service": "cidery.ping", "metadata": metadata }),
                "METADATA_TOO_LARGE",
            ),
        ),
        (
            "InvokeAsyncRequest.metadata",
            Call(
                "InvokeAsync",
                json!({ "service": "cidery.ping", "metadata": metadata }),
                "METADATA_TOO_LARGE",
            ),
        ),
        (
            "InvokeAsyncRequest.callbacks",
            Call(
                "InvokeAsync",
                json!({ "service": "cidery.ping", "callbacks": callbacks }),
                "REQUEST_INVALID",
            ),
        ),
        (
            "InvokeAsyncRequest.failure_callbacks",
            Call(
                "InvokeAsync",
                json!({ "service": "cidery.ping", "failureCallbacks": callbacks }),
                "REQUEST_INVALID",
            ),
        ),
        (
            "InvokeBatchRequest.requests",
            Call(
                "InvokeBatch",
                json!({ "requests": list(10_001, |_| json!({ "service": "cidery.ping" })) }),
                "BATCH_LIMIT",
            ),
        ),
        (
            "InvokeBatchRequest.on_each",
            Call(
                "InvokeBatch",
                json!({ "onEach": callbacks }),
                "REQUEST_INVALID",
            ),
        ),
        (
            "InvokeBatchRequest.on_final",
            Call(
                "InvokeBatch",
                json!({ "onFinal": callbacks }),
                "REQUEST_INVALID",
            ),
        ),
        (
            "StreamResultsRequest.cids",
            Call(
                "StreamResults",
                json!({ "cids": list(100_001, cid) }),
                "STREAM_LIMIT",
            ),
        ),
        (
            "StreamResultsRequest.after_sequences",
            Call(
                "StreamResults",
                json!({ "cids": list(1, cid), "afterSequences": map(100_001, &json!(1)) }),
                "STREAM_LIMIT",
            ),
        ),
        (
            "InvocationFilter.services",
            Call(
                "ListInvocations",
                filter("services", text.clone()),
                "REQUEST_INVALID",
            ),
        ),
        (
            "InvocationFilter.states",
            Call(
                "ListInvocations",
                filter("states", json!("STATE_PENDING")),
                "REQUEST_INVALID",
            ),
        ),
        (
            "InvocationFilter.pending_reasons",
            Call(
                "ListInvocations",
                filter("pendingReasons", json!("PENDING_REASON_QUEUED")),
                "REQUEST_INVALID",
            ),
        ),
        (
            "InvocationFilter.failure_reasons",
            Call(
                "ListInvocations",
                filter("failureReasons", text.clone()),
                "REQUEST_INVALID",
            ),
        ),
        (
            "CancelInvocationsRequest.cids",
            Call("CancelInvocations", cids.clone(), "REQUEST_INVALID"),
        ),
        (
            "RetryInvocationsRequest.cids",
            Call("RetryInvocations", cids.clone(), "REQUEST_INVALID"),
        ),
        (
            "PurgeInvocationsRequest.cids",
            Call("PurgeInvocations", cids, "REQUEST_INVALID"),
        ),
        (
            "CompleteInvocationRequest.metadata",
            Call(
                "CompleteInvocation",
                json!({ "cid": cid(0), "token": "00", "metadata": metadata }),
                "METADATA_TOO_LARGE",
            ),
        ),
        (
            "Hello.services",
            Hello(
                json!({ "hello": { "services": services(10_001) } }),
                "DECLARATION_INVALID",
            ),
        ),
        (
            "Hello.capabilities",
            Hello(
                json!({ "hello": { "services": services(1), "capabilities": list(65, |i| json!(i + 1_000)) } }),
                "DECLARATION_INVALID",
            ),
        ),
        (
            "Hello.tokens",
            Hello(
                json!({ "hello": { "services": services(1), "tokens": tokens } }),
                "DECLARATION_INVALID",
            ),
        ),
        (
            "Elements.elements",
            Hello(
                declared(&json!({ "input": { "elements": elements(10_001) } })),
                "DECLARATION_INVALID",
            ),
        ),
        (
            "Element.elements",
            Hello(
                declared(&nested("ELEMENT_TYPE_DICT", "elements", &elements(10_001))),
                "DECLARATION_INVALID",
            ),
        ),
        (
            "Element.one_of",
            Hello(
                declared(&nested(
                    "ELEMENT_TYPE_TEXT",
                    "oneOf",
                    &list(1_001, |i| json!(i.to_string())),
                )),
                "DECLARATION_INVALID",
            ),
        ),
        (
            "ServeRequest.results",
            Message(
                json!({ "results": list(100_001, |_| json!({})) }),
                "REQUEST_INVALID",
            ),
        ),
        (
            "HandBack.tokens",
            Message(
                json!({ "handBack": { "tokens": tokens } }),
                "REQUEST_INVALID",
            ),
        ),
        ("DispatchResult.metadata", NeedsDispatch),
        ("DispatchResult.follow_ups", NeedsDispatch),
        ("Failure.details", NeedsDispatch),
    ]
}

/// The repeated fields of a message, and of the messages in it, without those of protobuf itself.
fn repeated_fields(
    message: &MessageDescriptor,
    found: &mut BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) {
    if message.package_name() != "cidery.v1" || !seen.insert(message.full_name().to_owned()) {
        return;
    }
    for field in message.fields() {
        if field.is_list() || field.is_map() {
            found.insert(format!("{}.{}", message.name(), field.name()));
        }
        if let Kind::Message(inner) = field.kind() {
            repeated_fields(&inner, found, seen);
        }
    }
}

fn serve_request(pool: &DescriptorPool, json: &Json) -> v1::ServeRequest {
    let descriptor = pool.get_message_by_name("cidery.v1.ServeRequest").unwrap();
    let message = DynamicMessage::deserialize(descriptor, json).unwrap();
    v1::ServeRequest::decode(message.encode_to_vec().as_slice()).unwrap()
}

#[tokio::test]
async fn every_list_in_a_request_has_a_limit() {
    let node = TestNode::demo().await;
    let mut found = BTreeSet::new();
    let mut pools = Vec::new();
    for service in [
        INVOCATIONS,
        "cidery.v1.AdminService",
        "cidery.v1.DiscoveryService",
        WORKERS,
    ] {
        let dynamic = Dynamic::discover(node.address(), service).await;
        let methods = dynamic.pool().get_service_by_name(service).unwrap();
        let mut seen = BTreeSet::new();
        for method in methods.methods() {
            repeated_fields(&method.input(), &mut found, &mut seen);
        }
        pools.push(dynamic);
    }
    let lists = lists();
    let known: BTreeSet<String> = lists.iter().map(|(field, _)| (*field).to_owned()).collect();
    assert_eq!(
        found, known,
        "a list of a request without a limit, or a limit without a list"
    );
    let (invocations, workers) = (&pools[0], &pools[3]);
    for (field, answer) in lists {
        let (error, reason) = match answer {
            Answer::Call(method, message, reason) => {
                let path = format!("{INVOCATIONS}/{method}");
                let status = invocations.call(&path, message).await.expect_err(field);
                (error_of(&status), reason)
            }
            Answer::Hello(message, reason) => {
                let first = serve_request(workers.pool(), &message).message;
                let ended = RawWorker::open(node.address(), first).await;
                (ended.expect_err(field), reason)
            }
            Answer::Message(message, reason) => {
                let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
                worker.send_request(serve_request(workers.pool(), &message));
                (worker.next().await.expect_err(field), reason)
            }
            Answer::NeedsDispatch => continue,
        };
        assert_eq!(error.reason(), reason, "{field}: {error}");
    }
}
