//! All lists that a peer can send: how each is sent, its limit, and how one value more is answered.

use cidery::Cid;
use serde_json::{Map, Value as Json, json};

use super::{List, Way};

/// A value with so many values, or bytes, in it.
type Build = fn(usize) -> Json;

fn list(n: usize, entry: impl Fn(usize) -> Json) -> Json {
    (0..n).map(entry).collect()
}

fn cid(_: usize) -> Json {
    Cid::new().to_string().into()
}

/// A message with one field more.
fn with(mut message: Json, field: &str, value: Json) -> Json {
    message[field] = value;
    message
}

fn ping() -> Json {
    json!({ "service": "cidery.ping" })
}

/// Metadata of so many bytes.
fn metadata(bytes: usize) -> Json {
    json!({ "k": "x".repeat(bytes - 1) })
}

fn pings(n: usize) -> Json {
    list(n, |_| json!("cidery.ping"))
}

fn details(n: usize) -> Json {
    let detail = json!({ "@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s" });
    json!({ "code": "CODE_INTERNAL", "details": list(n, |_| detail.clone()) })
}

const METADATA: (usize, &str, Option<&str>) = (8 * 1024, "METADATA_TOO_LARGE", None);

const fn invalid(limit: usize, path: &'static str) -> (usize, &'static str, Option<&'static str>) {
    (limit, "REQUEST_INVALID", Some(path))
}

fn entry(
    path: &str,
    way: Way,
    (limit, reason, violation): (usize, &'static str, Option<&'static str>),
    message: impl Fn(usize) -> Json + 'static,
) -> List {
    List {
        path: path.to_owned(),
        way,
        message: Box::new(message),
        limit,
        reason,
        violation,
    }
}

/// Lists in requests that invoke services.
pub(super) fn lists_of_calls() -> Vec<List> {
    let one = |field: &'static str, value: Build| move |n| with(ping(), field, value(n));
    let member = |field: &'static str, value: Build| move |n| json!({ "requests": [with(ping(), field, value(n))] });
    let (invoke, start, batch) = (
        Way::Call("Invoke"),
        Way::Call("InvokeAsync"),
        Way::Call("InvokeBatch"),
    );
    let batch_limit = (10_000, "BATCH_LIMIT", None);
    vec![
        entry(
            "InvokeRequest.metadata",
            invoke,
            METADATA,
            one("metadata", metadata),
        ),
        entry(
            "InvokeAsyncRequest.metadata",
            start,
            METADATA,
            one("metadata", metadata),
        ),
        entry(
            "InvokeAsyncRequest.callbacks",
            start,
            invalid(16, "/callbacks"),
            one("callbacks", pings),
        ),
        entry(
            "InvokeAsyncRequest.failure_callbacks",
            start,
            invalid(16, "/failure_callbacks"),
            one("failureCallbacks", pings),
        ),
        // Members that are refused for another reason: they are not to run.
        entry(
            "InvokeBatchRequest.requests",
            batch,
            batch_limit,
            |n| json!({ "requests": list(n, |_| json!({})) }),
        ),
        entry(
            "InvokeBatchRequest.requests.metadata",
            batch,
            (8 * 1024, "REQUEST_INVALID", Some("/requests/0")),
            member("metadata", metadata),
        ),
        entry(
            "InvokeBatchRequest.requests.callbacks",
            batch,
            invalid(16, "/requests/0/callbacks"),
            member("callbacks", pings),
        ),
        entry(
            "InvokeBatchRequest.requests.failure_callbacks",
            batch,
            invalid(16, "/requests/0/failure_callbacks"),
            member("failureCallbacks", pings),
        ),
        entry(
            "InvokeBatchRequest.on_each",
            batch,
            invalid(16, "/on_each"),
            |n| json!({ "onEach": pings(n) }),
        ),
        entry(
            "InvokeBatchRequest.on_final",
            batch,
            invalid(16, "/on_final"),
            |n| json!({ "onFinal": pings(n) }),
        ),
    ]
}

/// Lists in requests that follow or complete invocations.
pub(super) fn lists_of_outcomes() -> Vec<List> {
    let stream_limit = (100_000, "STREAM_LIMIT", None);
    let (stream, complete) = (Way::Call("StreamResults"), Way::Call("CompleteInvocation"));
    let completion = |field: &'static str, value: Build| {
        move |n| with(json!({ "cid": cid(0), "token": "00" }), field, value(n))
    };
    vec![
        entry(
            "StreamResultsRequest.cids",
            stream,
            stream_limit,
            |n| json!({ "cids": list(n, cid) }),
        ),
        entry(
            "StreamResultsRequest.after_sequences",
            stream,
            stream_limit,
            |n| {
                let sequences = (0..n).map(|i| (format!("key-{i}"), json!(1)));
                json!({ "cids": list(1, cid), "afterSequences": sequences.collect::<Map<_, _>>() })
            },
        ),
        entry(
            "CompleteInvocationRequest.metadata",
            complete,
            METADATA,
            completion("metadata", metadata),
        ),
        entry(
            "CompleteInvocationRequest.failure.details",
            complete,
            invalid(64, "/failure/details"),
            completion("failure", details),
        ),
    ]
}

/// Lists in requests that select invocations.
pub(super) fn lists_of_filters() -> Vec<List> {
    let mut lists = Vec::new();
    let filters = [
        ("services", "services", "/filter/services", "text"),
        ("states", "states", "/filter/states", "STATE_PENDING"),
        ("principals", "principals", "/filter/principals", "text"),
        (
            "pending_reasons",
            "pendingReasons",
            "/filter/pending_reasons",
            "PENDING_REASON_QUEUED",
        ),
        (
            "failure_reasons",
            "failureReasons",
            "/filter/failure_reasons",
            "text",
        ),
    ];
    for method in [
        "ListInvocations",
        "CancelInvocations",
        "RetryInvocations",
        "PurgeInvocations",
        "SummarizeInvocations",
        "StartOperation",
        "WatchEvents",
    ] {
        let way = match method {
            "StartOperation" => Way::Operation(method),
            "WatchEvents" => Way::Watch,
            _ => Way::Call(method),
        };
        lists.push(entry(
            &format!("{method}Request.filter.metadata"),
            way,
            METADATA,
            move |n| match way {
                // Without an action there is another violation.
                Way::Operation(_) => {
                    json!({ "action": { "release": {} }, "filter": { "metadata": metadata(n) } })
                }
                _ => json!({ "filter": { "metadata": metadata(n) } }),
            },
        ));
        for (field, name, violation, value) in filters {
            let path = format!("{method}Request.filter.{field}");
            lists.push(entry(
                &path,
                way,
                invalid(1_000, violation),
                move |n| json!({ "filter": { name: list(n, |_| json!(value)) } }),
            ));
        }
        let has_cids = method.ends_with("Invocations")
            && !["ListInvocations", "SummarizeInvocations"].contains(&method);
        if has_cids {
            let path = format!("{method}Request.cids");
            lists.push(entry(
                &path,
                way,
                invalid(10_000, "/cids"),
                |n| json!({ "cids": list(n, cid) }),
            ));
        }
    }
    lists
}

/// Lists of kinds and states in requests of operators.
pub(super) fn lists_of_operators() -> Vec<List> {
    let (kind, state) = ("EVENT_KIND_NODE_RESUMED", "OPERATION_STATE_RUNNING");
    vec![
        entry(
            "WatchEventsRequest.kinds",
            Way::Watch,
            invalid(100, "/kinds"),
            move |n| json!({ "kinds": list(n, |_| json!(kind)) }),
        ),
        entry(
            "ListServiceStatsRequest.services",
            Way::Stats,
            invalid(1_000, "/services"),
            |n| json!({ "services": list(n, |_| json!("a.task")) }),
        ),
        entry(
            "ListOperationsRequest.states",
            Way::Operation("ListOperations"),
            invalid(100, "/states"),
            move |n| json!({ "states": list(n, |_| json!(state)) }),
        ),
    ]
}

/// Lists in a hello, and in what a worker sends later.
pub(super) fn lists_of_workers() -> Vec<List> {
    let declared = |limit, path| (limit, "DECLARATION_INVALID", Some(path));
    let in_hello = |field: &'static str, value: Build| {
        let hello = json!({ "name": "a", "services": [{ "name": "a.task" }] });
        move |n| json!({ "hello": with(hello.clone(), field, value(n)) })
    };
    let tokens = |n| list(n, |_| json!(""));
    let message = |path, violation, build: Build| {
        entry(path, Way::Message, invalid(100_000, violation), build)
    };
    vec![
        // Services whose names are invalid: they are not to be stored.
        entry(
            "ServeRequest.hello.services",
            Way::Hello,
            declared(10_000, "/services"),
            |n| json!({ "hello": { "services": list(n, |_| json!({ "name": "no name" })) } }),
        ),
        entry(
            "ServeRequest.hello.capabilities",
            Way::Hello,
            declared(64, "/capabilities"),
            in_hello("capabilities", |n| list(n, |i| json!(i + 1_000))),
        ),
        entry(
            "ServeRequest.hello.tokens",
            Way::Hello,
            declared(100_000, "/tokens"),
            in_hello("tokens", tokens),
        ),
        message(
            "ServeRequest.results",
            "/results",
            |n| json!({ "results": list(n, |_| json!({})) }),
        ),
        message(
            "ServeRequest.hand_back.tokens",
            "/hand_back/tokens",
            |n| json!({ "handBack": { "tokens": list(n, |_| json!("")) } }),
        ),
    ]
}

/// Lists in the declarations of a hello.
pub(super) fn lists_of_declarations() -> Vec<List> {
    let declared = |limit, path| (limit, "DECLARATION_INVALID", Some(path));
    let mut lists = Vec::new();
    for (side, all, texts) in [
        ("input", "/services/0/sio/input", "/services/0/sio/input/a"),
        (
            "output",
            "/services/0/sio/output",
            "/services/0/sio/output/a",
        ),
    ] {
        let sio = move |elements: Json| {
            let sio = json!({ side: { "elements": elements } });
            json!({ "hello": { "name": "a", "services": [{ "name": "a.task", "sio": sio }] } })
        };
        let path = format!("ServeRequest.hello.services.sio.{side}.elements");
        let text = |i: usize| json!({ "name": format!("n{i}"), "type": "ELEMENT_TYPE_TEXT" });
        lists.push(entry(&path, Way::Hello, declared(1_000, all), move |n| {
            sio(list(n, text))
        }));
        // The dict is an element too.
        lists.push(entry(
            &format!("{path}.elements"),
            Way::Hello,
            declared(999, all),
            move |n| sio(json!([{ "name": "a", "type": "ELEMENT_TYPE_DICT", "elements": list(n, text) }])),
        ));
        lists.push(entry(
            &format!("{path}.one_of"),
            Way::Hello,
            declared(1_000, texts),
            move |n| {
                let choices = list(n, |i| json!(i.to_string()));
                sio(json!([{ "name": "a", "type": "ELEMENT_TYPE_TEXT", "oneOf": choices }]))
            },
        ));
    }
    lists
}

/// Lists in the result of a dispatch. The worker is to blame, not its caller.
pub(super) fn lists_of_results() -> Vec<List> {
    let broken = |limit, path| (limit, "WORKER_PROTOCOL", path);
    let answer = |follow_ups: Json| json!({ "payload": {}, "followUps": follow_ups });
    let follow_up = move |field: &'static str, value: Build| {
        move |n| answer(json!([with(ping(), field, value(n))]))
    };
    let results = [(Way::Result, "result"), (Way::Results, "results")];
    let lists = results.into_iter().map(|(way, name)| {
        let path = |field| format!("ServeRequest.{name}.{field}");
        let invalid = |limit, path| (limit, "OUTPUT_INVALID", path);
        [
            entry(
                &path("metadata"),
                way,
                invalid(8 * 1024, None),
                |n| json!({ "payload": {}, "metadata": metadata(n) }),
            ),
            entry(
                &path("failure.details"),
                way,
                invalid(64, Some("/failure/details")),
                |n| json!({ "failure": details(n) }),
            ),
            entry(
                &path("follow_ups"),
                way,
                broken(1_000, Some("/follow_ups")),
                move |n| answer(list(n, |_| ping())),
            ),
            entry(
                &path("follow_ups.metadata"),
                way,
                broken(8 * 1024, None),
                follow_up("metadata", metadata),
            ),
            entry(
                &path("follow_ups.callbacks"),
                way,
                broken(16, Some("/callbacks")),
                follow_up("callbacks", pings),
            ),
            entry(
                &path("follow_ups.failure_callbacks"),
                way,
                broken(16, Some("/failure_callbacks")),
                follow_up("failureCallbacks", pings),
            ),
        ]
    });
    lists.flatten().collect()
}
