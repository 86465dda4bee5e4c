//! Every list in a request has a limit: all repeated fields that a peer can send, found in the descriptors by their
//! path from the request. Each is sent with as many values as allowed, and with one more.

mod requests;

use std::collections::BTreeSet;

use cidery::Error;
use cidery::codec::proto::v1;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Value as Json, json};

use crate::support::dynamic::Dynamic;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{TestNode, error_of, paths};
use crate::worker_stream::call;

use requests::{
    lists_of_calls, lists_of_declarations, lists_of_filters, lists_of_operators, lists_of_outcomes,
    lists_of_results, lists_of_workers,
};

const INVOCATIONS: &str = "cidery.v1.InvocationService";
const WORKERS: &str = "cidery.v1.WorkerService";
const ADMIN: &str = "cidery.v1.AdminService";
const OPERATIONS: &str = "cidery.v1.OperationService";

/// Lists in messages of protobuf itself, and what limits them.
const FOREIGN: [(&str, &str); 3] = [
    (
        "google.protobuf.Struct",
        "a value: depth and keys, as for every format",
    ),
    ("google.protobuf.Value", "in a value"),
    ("google.protobuf.ListValue", "in a value"),
];

/// How a list is sent.
#[derive(Clone, Copy)]
enum Way {
    /// In the request of a method of the service for invocations.
    Call(&'static str),
    /// In the request of a method of the service for operations.
    Operation(&'static str),
    /// In the request for events.
    Watch,
    /// In the request for statistics of services.
    Stats,
    /// In the first message of a worker.
    Hello,
    /// In a later message of a worker.
    Message,
    /// In the result of a dispatch: the caller sees how it ends.
    Result,
    /// In a batch of results.
    Results,
}

struct List {
    /// From the request.
    path: String,
    way: Way,
    /// The request with so many values, or with so many bytes of metadata.
    message: Box<dyn Fn(usize) -> Json>,
    limit: usize,
    /// How one more is answered.
    reason: &'static str,
    /// The path of the violation, where there is one.
    violation: Option<&'static str>,
}

/// The paths of the repeated fields of a message, and of the messages in it. A message that contains itself is followed
/// once.
fn repeated_fields(
    message: &MessageDescriptor,
    path: &str,
    above: &[MessageDescriptor],
    found: &mut BTreeSet<String>,
) {
    let name = message.full_name();
    if message.package_name() != "cidery.v1" {
        let has_lists = message
            .fields()
            .any(|field| field.is_list() || field.is_map());
        let is_exempt = FOREIGN.iter().any(|(foreign, _)| *foreign == name);
        assert!(
            is_exempt || !has_lists,
            "{path}: what limits the lists of {name}?"
        );
        return;
    }
    if above.contains(message) {
        return;
    }
    let above = [above, std::slice::from_ref(message)].concat();
    for field in message.fields() {
        let path = format!("{path}.{}", field.name());
        if field.is_list() || field.is_map() {
            found.insert(path.clone());
        }
        if let (Kind::Message(inner), false) = (field.kind(), field.is_map()) {
            repeated_fields(&inner, &path, &above, found);
        }
    }
}

fn serve_request(pool: &DescriptorPool, json: &Json) -> v1::ServeRequest {
    let descriptor = pool.get_message_by_name("cidery.v1.ServeRequest").unwrap();
    let message = DynamicMessage::deserialize(descriptor, json).unwrap();
    v1::ServeRequest::decode(message.encode_to_vec().as_slice()).unwrap()
}

/// Sends a list; returns the error that answers it.
async fn send(
    node: &TestNode,
    [invocations, workers, admin, operations]: [&Dynamic; 4],
    way: Way,
    message: Json,
) -> Option<Error> {
    let request = |message| serve_request(workers.pool(), &message);
    match way {
        Way::Call(method) => {
            let path = format!("{INVOCATIONS}/{method}");
            let failure = invocations.failure(&path, message).await;
            failure.map(|status| error_of(&status))
        }
        Way::Operation(method) => {
            let path = format!("{OPERATIONS}/{method}");
            let failure = operations.failure(&path, message).await;
            failure.map(|status| error_of(&status))
        }
        Way::Watch => {
            let path = format!("{ADMIN}/WatchEvents");
            // The stream of a request that is taken does not end by itself.
            let short = [("grpc-timeout", "200m")];
            let failure = admin.call_with(&path, message, &short).await.err();
            failure.map(|status| error_of(&status))
        }
        Way::Stats => {
            let path = format!("{ADMIN}/ListServiceStats");
            let failure = admin.failure(&path, message).await;
            failure.map(|status| error_of(&status))
        }
        Way::Hello => {
            let first = request(message).message;
            RawWorker::open(node.address(), first).await.err()
        }
        Way::Message => {
            let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
            worker.send_request(request(message));
            worker.next().await.err()
        }
        Way::Result | Way::Results => {
            let mut worker = RawWorker::connect(node.address(), hello("a.task")).await;
            let calling = call(node, cidery::dict! {});
            let mut result = message;
            result["token"] = worker.dispatch().await.token.into();
            let batched = matches!(way, Way::Results);
            worker.send_request(request(match batched {
                true => json!({ "results": [result] }),
                false => json!({ "result": result }),
            }));
            calling.await.unwrap().err()
        }
    }
}

#[tokio::test]
async fn every_list_in_a_request_has_a_limit() {
    let node = TestNode::demo().await;
    let mut found = BTreeSet::new();
    let mut pools = Vec::new();
    for service in [
        INVOCATIONS,
        WORKERS,
        ADMIN,
        OPERATIONS,
        "cidery.v1.DiscoveryService",
    ] {
        let dynamic = Dynamic::discover(node.address(), service).await;
        let methods = dynamic.pool().get_service_by_name(service).unwrap();
        for method in methods.methods() {
            let request = method.input();
            repeated_fields(&request, request.name(), &[], &mut found);
        }
        pools.push(dynamic);
    }
    let lists = [
        lists_of_calls(),
        lists_of_outcomes(),
        lists_of_filters(),
        lists_of_operators(),
        lists_of_workers(),
        lists_of_declarations(),
        lists_of_results(),
    ];
    let lists: Vec<List> = lists.into_iter().flatten().collect();
    let known: BTreeSet<String> = lists.iter().map(|list| list.path.clone()).collect();
    let unknown: Vec<_> = found.symmetric_difference(&known).collect();
    assert_eq!(
        unknown, [""; 0],
        "lists without a limit, or limits without a list"
    );
    let mut wrong = Vec::new();
    for list in lists {
        let send = |n| {
            send(
                &node,
                [0, 1, 2, 3].map(|it| &pools[it]),
                list.way,
                (list.message)(n),
            )
        };
        let is_violation = |error: &Error| {
            let violation = list
                .violation
                .is_none_or(|path| paths(error).contains(&path));
            error.reason() == list.reason && violation
        };
        let allowed = send(list.limit).await;
        if allowed.as_ref().is_some_and(is_violation) {
            wrong.push(format!("{}: as many as allowed: {allowed:?}", list.path));
        }
        let refused = send(list.limit + 1).await;
        if !refused.as_ref().is_some_and(is_violation) {
            wrong.push(format!("{}: one more: {refused:?}", list.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
