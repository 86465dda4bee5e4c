//! What handlers call needs the right of their worker, and both principals travel.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::model::access::Rights;
use cidery::{Context, Node, dict};
use prost::Message as _;

use super::{
    As, accept, call_with, client, connect_as, ended, failure, get, invoke_async, invoking,
    node_with, none, pattern, refused,
};
use crate::support::TestNode;
use crate::support::raw_worker::{RawWorker, hello};

const INVOKE: &str = "/cidery.v1.InvocationService/Invoke";

fn worker_rights() -> Rights {
    Rights {
        serve: vec![pattern("a.*")],
        ..invoking(&["cidery.*", "a.*"])
    }
}

async fn node() -> TestNode {
    let asks = |ctx: Context| async move {
        let child = ctx.invoke_async("cidery.ping", ()).await?;
        let name = |principal: Option<&cidery::Principal>| {
            principal.map(ToString::to_string).unwrap_or_default()
        };
        let answer = dict! {
            "principal": name(ctx.principal()),
            "acting_principal": name(ctx.acting_principal()),
            "child": child.to_string(),
        };
        Ok::<_, cidery::Error>(answer)
    };
    let people = vec![
        ("anna", invoking(&["*"])),
        ("worker", worker_rights()),
        (
            "thief",
            Rights {
                serve: vec![pattern("*")],
                ..invoking(&["*"])
            },
        ),
        ("nobody", none()),
        ("operator", Rights::all()),
    ];
    node_with(Node::builder().demo().service("node.asks", asks), people).await
}

/// A node, and a dispatch of an invocation of Anna's to a worker.
struct Dispatched {
    node: TestNode,
    worker: RawWorker,
    anna: InvocationServiceClient<As>,
    cid: String,
    dispatch: v1::Dispatch,
}

impl Dispatched {
    async fn start() -> Self {
        let node = node().await;
        let connected = connect_as(node.address(), hello("a.task"), "worker");
        let mut worker = connected.await.unwrap();
        let mut anna = client(&node, "anna").await;
        let cid = accept(&mut anna, "a.task").await;
        let dispatch = worker.dispatch().await;
        Self {
            node,
            worker,
            anna,
            cid,
            dispatch,
        }
    }
}

/// A nested call of a dispatch, with a credential.
async fn nested(node: &TestNode, caller: Option<&str>, token: &str, service: &str) -> String {
    let message = v1::InvokeRequest {
        service: service.to_owned(),
        ..v1::InvokeRequest::default()
    };
    let headers = [("cidery-dispatch", token)];
    let answer = call_with(node, caller, INVOKE, &message.encode_to_vec(), &headers).await;
    failure(&answer).map_or_else(String::new, |error| error.reason().to_owned())
}

#[tokio::test]
async fn a_nested_call_needs_the_right_of_the_worker() {
    let Dispatched {
        node,
        dispatch,
        worker: _worker,
        ..
    } = Box::pin(Dispatched::start()).await;
    assert_eq!(
        (
            dispatch.principal.as_str(),
            dispatch.acting_principal.as_str()
        ),
        ("anna", "anna")
    );
    let token = dispatch.token.as_str();
    assert_eq!(
        nested(&node, Some("worker"), token, "cidery.ping").await,
        ""
    );
    // Anna may, and her worker may not.
    assert_eq!(
        nested(&node, Some("worker"), token, "customer.get").await,
        "NOT_PERMITTED"
    );
    assert_eq!(
        nested(&node, Some("worker"), token, "no.such").await,
        "NOT_PERMITTED"
    );
    let typed = [("cidery-dispatch", token)];
    let answer = call_with(&node, Some("worker"), "/customer.Service/Get", &[], &typed).await;
    assert_eq!(answer.error().reason(), "NOT_PERMITTED");
    // A stolen token is of no use with another credential, or none.
    for (caller, reason) in [
        (Some("thief"), "DISPATCH_VOID"),
        (Some("anna"), "DISPATCH_VOID"),
        (Some("nobody"), "DISPATCH_VOID"),
        (None, "CREDENTIAL_REQUIRED"),
    ] {
        assert_eq!(nested(&node, caller, token, "cidery.ping").await, reason);
        for path in ["/customer.Service/Get", "/customer.Service/Gex"] {
            let answer = call_with(&node, caller, path, &[], &typed).await;
            assert_eq!(answer.error().reason(), reason, "{path}");
        }
    }
}

#[tokio::test]
async fn what_a_handler_starts_belongs_to_its_worker() {
    let Dispatched {
        node,
        mut worker,
        mut anna,
        cid,
        dispatch,
    } = Box::pin(Dispatched::start()).await;
    let token = dispatch.token.as_str();
    let mut as_worker = client(&node, "worker").await;
    let mut request = tonic::Request::new(invoke_async("a.task"));
    request
        .metadata_mut()
        .insert("cidery-dispatch", token.parse().unwrap());
    let child = as_worker
        .invoke_async(request)
        .await
        .unwrap()
        .into_inner()
        .cid;
    let of_child = worker.dispatch().await;
    assert_eq!(
        (
            of_child.principal.as_str(),
            of_child.acting_principal.as_str()
        ),
        ("anna", "worker")
    );
    assert_eq!(
        refused(anna.get_invocation(get(&child)).await),
        "CID_UNKNOWN"
    );
    let found = as_worker
        .get_invocation(get(&child))
        .await
        .unwrap()
        .into_inner();
    let found = found.invocation.unwrap();
    assert_eq!(
        (found.principal.as_str(), found.acting_principal.as_str()),
        ("anna", "worker")
    );
    for dispatch in [&dispatch, &of_child] {
        worker.answer(&dispatch.token, &dict! {});
    }
    let found = ended(&mut anna, &cid).await;
    assert_eq!(found.child_cids, Vec::<String>::new(), "another's child");
    let mut operator = client(&node, "operator").await;
    assert_eq!(ended(&mut operator, &cid).await.child_cids, [child]);
}

/// What a handler starts is pending for the principal of its worker, and not for who asked.
#[tokio::test]
async fn what_a_handler_starts_is_pending_for_its_worker() {
    let people = vec![("anna", invoking(&["*"])), ("worker", worker_rights())];
    let builder = Node::builder().limits(|limits| limits.principal_pending = Some(1));
    let node = node_with(builder, people).await;
    let connected = connect_as(node.address(), hello("a.task"), "worker");
    let mut worker = connected.await.unwrap();
    let mut anna = client(&node, "anna").await;
    accept(&mut anna, "a.task").await;
    let dispatch = worker.dispatch().await;
    let mut as_worker = client(&node, "worker").await;
    let mut start = async || {
        let hour = prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        };
        let later = v1::InvokeAsyncRequest {
            start: Some(v1::invoke_async_request::Start::Delay(hour)),
            ..invoke_async("a.task")
        };
        let mut request = tonic::Request::new(later);
        let token = dispatch.token.parse().unwrap();
        request.metadata_mut().insert("cidery-dispatch", token);
        as_worker.invoke_async(request).await
    };
    start().await.unwrap();
    assert_eq!(refused(start().await), "PENDING_LIMIT");
    accept(&mut anna, "a.task").await;
}

/// A follow-up, which is accepted with the response, is a call of the handler as well.
#[tokio::test]
async fn a_follow_up_needs_the_right_of_the_worker() {
    let Dispatched {
        node: _node,
        worker,
        mut anna,
        cid,
        dispatch,
    } = Box::pin(Dispatched::start()).await;
    worker.send_result(v1::DispatchResult {
        token: dispatch.token,
        outcome: Some(v1::dispatch_result::Outcome::Payload(
            cidery::codec::struct_pb::encode_dict(&dict! {}).unwrap(),
        )),
        follow_ups: vec![invoke_async("customer.get")],
        ..v1::DispatchResult::default()
    });
    let found = ended(&mut anna, &cid).await;
    let failure = crate::support::failure(found);
    assert_eq!(failure.reason, "WORKER_PROTOCOL");
    assert!(failure.message.contains("customer.get"), "{failure:?}");
}

/// A handler in the node may call everything, and what it starts belongs to nobody.
#[tokio::test]
async fn a_handler_in_the_node_reads_who_asked() {
    let node = node().await;
    let mut anna = client(&node, "anna").await;
    let request = v1::InvokeRequest {
        service: "node.asks".to_owned(),
        ..v1::InvokeRequest::default()
    };
    let answer = anna.invoke(request).await.unwrap().into_inner();
    let Some(v1::invoke_response::Output::Payload(answer)) = answer.output else {
        panic!("{answer:?}");
    };
    let answer = cidery::codec::payload::decode(cidery::Payload::Struct(answer)).unwrap();
    assert_eq!(answer["principal"].as_text(), Some("anna"));
    assert_eq!(answer["acting_principal"].as_text(), Some("anna"));
    let child = answer["child"].as_text().unwrap();
    assert_eq!(
        refused(anna.get_invocation(get(child)).await),
        "CID_UNKNOWN"
    );
    let found = ended(&mut client(&node, "operator").await, child).await;
    assert_eq!(
        (found.principal.as_str(), found.acting_principal.as_str()),
        ("anna", "")
    );
}

/// A retry is what was asked for: it keeps its principals, and its owner reads it.
#[tokio::test]
async fn a_retry_keeps_its_principals() {
    let Dispatched {
        node,
        worker,
        mut anna,
        cid,
        ..
    } = Box::pin(Dispatched::start()).await;
    let cancelled = anna.cancel_invocations(v1::CancelInvocationsRequest {
        cids: vec![cid.clone()],
        ..v1::CancelInvocationsRequest::default()
    });
    cancelled.await.unwrap();
    drop(worker);
    ended(&mut anna, &cid).await;
    let mut operator = client(&node, "operator").await;
    let retried = operator.retry_invocations(v1::RetryInvocationsRequest {
        cids: vec![cid],
        ..v1::RetryInvocationsRequest::default()
    });
    let retried = retried.await.unwrap().into_inner();
    let retry = retried.changes[0].new_cid.clone();
    let found = operator
        .get_invocation(get(&retry))
        .await
        .unwrap()
        .into_inner();
    let found = found.invocation.unwrap();
    assert_eq!(
        (found.principal.as_str(), found.acting_principal.as_str()),
        ("anna", "anna")
    );
    anna.get_invocation(get(&retry)).await.unwrap();
}
