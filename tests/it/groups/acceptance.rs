//! Batches are accepted as a whole, and once.

use cidery::codec::proto::v1;
use cidery::model::batch::Batch;
use cidery::model::call::Call;
use cidery::{Cid, Error, dict};

use super::mixed;
use crate::support::{TestNode, error_of};

async fn refused(node: &TestNode, request: v1::InvokeBatchRequest) -> Error {
    let answer = node.stub.clone().invoke_batch(request).await;
    error_of(&answer.unwrap_err())
}

fn request(service: &str, input: cidery::Dict) -> v1::InvokeAsyncRequest {
    let call = Call::new(service.to_owned(), input);
    cidery::codec::convert::async_call_to_proto(call).unwrap()
}

#[tokio::test]
async fn a_batch_is_accepted_as_a_whole_or_not_at_all() {
    let node = TestNode::demo().await;
    let fine = || request("customer.get", dict! { "cust_id": 1 });
    let batch = |requests| v1::InvokeBatchRequest {
        requests,
        ..v1::InvokeBatchRequest::default()
    };
    let unknown = batch(vec![fine(), request("no.such", dict! {})]);
    let error = refused(&node, unknown).await;
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    assert_eq!(error.field_violations()[0].path, "/requests/1");
    // All violations at once, each with its path.
    let wrong = batch(vec![
        request("customer.get", dict! { "cust_id": "x" }),
        fine(),
        request("customer.get", dict! {}),
        request("no.such", dict! {}),
    ]);
    let error = refused(&node, wrong).await;
    assert_eq!(error.reason(), "REQUEST_INVALID");
    let violations = error.field_violations().iter();
    let violations: Vec<_> = violations.map(|it| (it.path.as_str(), &*it.code)).collect();
    assert_eq!(
        violations,
        [
            ("/requests/0/cust_id", "WRONG_TYPE"),
            ("/requests/2/cust_id", "MISSING"),
            ("/requests/3", "SERVICE_UNKNOWN"),
        ]
    );
    let malformed = v1::InvokeAsyncRequest {
        on_exhausted: 77,
        ..fine()
    };
    let error = refused(&node, batch(vec![fine(), malformed])).await;
    assert_eq!(error.field_violations()[0].path, "/requests/1/on_exhausted");
    let twice = v1::InvokeAsyncRequest {
        cid: Cid::new().to_string(),
        ..fine()
    };
    let error = refused(&node, batch(vec![twice.clone(), twice.clone()])).await;
    assert_eq!(error.field_violations()[0].path, "/requests/1/cid");
    let many = batch(vec![fine(); 10_001]);
    let error = refused(&node, many).await;
    assert_eq!(error.reason(), "BATCH_LIMIT");
    // A member that was accepted before belongs to another batch.
    let accepted = node.stub.clone().invoke_async(twice.clone()).await;
    accepted.unwrap();
    let error = refused(&node, batch(vec![fine(), twice])).await;
    assert_eq!(error.reason(), "CID_IN_USE");
    assert_eq!(error.field_violations()[0].path, "/requests/1");
    let no_callback = v1::InvokeBatchRequest {
        on_final: vec!["no.such".to_owned()],
        ..batch(vec![fine()])
    };
    assert_eq!(
        refused(&node, no_callback).await.reason(),
        "SERVICE_UNKNOWN"
    );
    let all = node
        .client
        .invocations(v1::InvocationFilter::default(), 100);
    assert_eq!(all.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_retried_batch_returns_the_first_group() {
    let node = TestNode::demo().await;
    let batch = || Batch {
        idempotency_key: Some("nightly".to_owned()),
        ..mixed()
    };
    let first = node.client.invoke_batch(batch()).await.unwrap();
    let again = node.client.invoke_batch(batch()).await.unwrap();
    assert!(again.already_accepted && !first.already_accepted);
    assert_eq!((again.cid, &again.members), (first.cid, &first.members));
    let mut other = batch();
    other.calls.pop();
    let error = node.client.invoke_batch(other).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
    let by_cid = Batch {
        cid: Some(first.cid),
        ..batch()
    };
    let by_cid = node.client.invoke_batch(by_cid).await.unwrap();
    assert!(by_cid.already_accepted);
    // This also holds where one of its members was removed.
    node.client.join(&first).await.unwrap();
    let purged = node.client.purge(first.members[1], false).await.unwrap();
    assert!(purged[0].failure.is_none(), "{purged:?}");
    let again = node.client.invoke_batch(batch()).await.unwrap();
    assert_eq!(again.members, first.members);
    let outcomes = node.client.join(&again).await.unwrap();
    let reason = |n: usize| outcomes[n].1.as_ref().err().map(Error::reason);
    assert_eq!(
        (reason(0), reason(1), reason(2)),
        (None, Some("RESULT_EXPIRED"), None)
    );
    // The CID of a group does not name an invocation of a service.
    let mut call = Call::new("customer.get", dict! { "cust_id": 1 });
    call.cid = Some(first.cid);
    let error = node.client.invoke_async(call).await.unwrap_err();
    assert_eq!(error.reason(), "IDEMPOTENCY_MISMATCH");
}
