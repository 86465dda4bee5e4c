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
#[derive(Clone)]
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

type List = (&'static str, Answer);

fn call(field: &'static str, method: &'static str, message: Json, reason: &'static str) -> List {
    (field, Answer::Call(method, message, reason))
}

/// Lists in requests that invoke services or follow invocations, each one longer than its limit.
fn lists_of_invocations() -> Vec<List> {
    const INVALID: &str = "REQUEST_INVALID";
    const LARGE: &str = "METADATA_TOO_LARGE";
    let ping = |field: &str, value: Json| json!({ "service": "cidery.ping", field: value });
    let metadata = map(2_000, &json!("text"));
    let callbacks = list(17, |_| json!("cidery.ping"));
    let requests = json!({ "requests": list(10_001, |_| json!({ "service": "cidery.ping" })) });
    let follow = json!({ "cids": list(100_001, cid) });
    let resume = json!({ "cids": list(1, cid), "afterSequences": map(100_001, &json!(1)) });
    vec![
        call(
            "InvokeRequest.metadata",
            "Invoke",
            ping("metadata", metadata.clone()),
            LARGE,
        ),
        call(
            "InvokeAsyncRequest.metadata",
            "InvokeAsync",
            ping("metadata", metadata.clone()),
            LARGE,
        ),
        call(
            "InvokeAsyncRequest.callbacks",
            "InvokeAsync",
            ping("callbacks", callbacks.clone()),
            INVALID,
        ),
        call(
            "InvokeAsyncRequest.failure_callbacks",
            "InvokeAsync",
            ping("failureCallbacks", callbacks.clone()),
            INVALID,
        ),
        call(
            "InvokeBatchRequest.requests",
            "InvokeBatch",
            requests,
            "BATCH_LIMIT",
        ),
        call(
            "InvokeBatchRequest.on_each",
            "InvokeBatch",
            json!({ "onEach": callbacks }),
            INVALID,
        ),
        call(
            "InvokeBatchRequest.on_final",
            "InvokeBatch",
            json!({ "onFinal": callbacks }),
            INVALID,
        ),
        call(
            "StreamResultsRequest.cids",
            "StreamResults",
            follow,
            "STREAM_LIMIT",
        ),
        call(
            "StreamResultsRequest.after_sequences",
            "StreamResults",
            resume,
            "STREAM_LIMIT",
        ),
        call(
            "CompleteInvocationRequest.metadata",
            "CompleteInvocation",
            json!({ "cid": cid(0), "token": "00", "metadata": metadata }),
            LARGE,
        ),
    ]
}

/// Lists in requests that select invocations.
fn lists_of_selections() -> Vec<List> {
    let listed = |field, name: &str, entry: Json| {
        let filter = json!({ "filter": { name: list(1_001, |_| entry.clone()) } });
        call(field, "ListInvocations", filter, "REQUEST_INVALID")
    };
    let selected = |field, method| {
        let cids = json!({ "cids": list(10_001, cid) });
        call(field, method, cids, "REQUEST_INVALID")
    };
    let text = || json!("text");
    vec![
        listed("InvocationFilter.services", "services", text()),
        listed("InvocationFilter.states", "states", json!("STATE_PENDING")),
        listed(
            "InvocationFilter.pending_reasons",
            "pendingReasons",
            json!("PENDING_REASON_QUEUED"),
        ),
        listed("InvocationFilter.failure_reasons", "failureReasons", text()),
        selected("CancelInvocationsRequest.cids", "CancelInvocations"),
        selected("RetryInvocationsRequest.cids", "RetryInvocations"),
        selected("PurgeInvocationsRequest.cids", "PurgeInvocations"),
    ]
}

/// Lists in messages of workers.
fn lists_of_workers() -> Vec<List> {
    let hello = |field, message| (field, Answer::Hello(message, "DECLARATION_INVALID"));
    let message = |field, message| (field, Answer::Message(message, "REQUEST_INVALID"));
    let named = |i: usize| json!({ "name": format!("n{i}") });
    let text = |i: usize| json!({ "name": format!("n{i}"), "type": "ELEMENT_TYPE_TEXT" });
    let declared = |name: &str, entries: Json| {
        let services = json!([{ "name": "a.task" }]);
        json!({ "hello": { "services": services, name: entries } })
    };
    let with_input = |elements: Json| {
        let sio = json!({ "input": { "elements": elements } });
        json!({ "hello": { "name": "a", "services": [{ "name": "a.task", "sio": sio }] } })
    };
    let in_element = |element_type: &str, name: &str, entries: Json| {
        with_input(json!([{ "name": "a", "type": element_type, name: entries }]))
    };
    let tokens = list(100_001, |_| json!(""));
    let capabilities = list(65, |i| json!(i + 1_000));
    let choices = list(1_001, |i| json!(i.to_string()));
    let elements = list(10_001, text);
    vec![
        hello(
            "Hello.services",
            json!({ "hello": { "services": list(10_001, named) } }),
        ),
        hello("Hello.capabilities", declared("capabilities", capabilities)),
        hello("Hello.tokens", declared("tokens", tokens.clone())),
        hello("Elements.elements", with_input(elements.clone())),
        hello(
            "Element.elements",
            in_element("ELEMENT_TYPE_DICT", "elements", elements),
        ),
        hello(
            "Element.one_of",
            in_element("ELEMENT_TYPE_TEXT", "oneOf", choices),
        ),
        message(
            "ServeRequest.results",
            json!({ "results": list(100_001, |_| json!({})) }),
        ),
        message(
            "HandBack.tokens",
            json!({ "handBack": { "tokens": tokens } }),
        ),
        ("DispatchResult.metadata", Answer::NeedsDispatch),
        ("DispatchResult.follow_ups", Answer::NeedsDispatch),
        ("Failure.details", Answer::NeedsDispatch),
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
    let lists = [
        lists_of_invocations(),
        lists_of_selections(),
        lists_of_workers(),
    ]
    .concat();
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
