//! Options in gRPC requests.

use cidery::codec::proto::v1;
use cidery::dict;

use crate::support::PATIENCE;

/// A request for a failing service with most of the options.
fn flaky_with_terms() -> v1::InvokeAsyncRequest {
    v1::InvokeAsyncRequest {
        service: "demo.flaky".to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(
            cidery::codec::struct_pb::encode_dict(&dict! { "failures": 9 }).unwrap(),
        )),
        idempotency_key: "k".to_owned(),
        start: Some(v1::invoke_async_request::Start::Delay(
            prost_types::Duration {
                seconds: 0,
                nanos: 1,
            },
        )),
        expiration: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        retry_policy: Some(v1::RetryPolicy {
            max_attempts: 1,
            ..v1::RetryPolicy::default()
        }),
        on_exhausted: v1::OnExhausted::Hold.into(),
        ..v1::InvokeAsyncRequest::default()
    }
}

/// Options of a gRPC request are stored unchanged.
#[tokio::test]
async fn terms_are_transmitted_over_grpc() {
    let node = crate::support::TestNode::demo().await;
    let mut stub = node.stub.clone();
    let request = flaky_with_terms();
    let cid = stub
        .invoke_async(request.clone())
        .await
        .unwrap()
        .into_inner()
        .cid;
    let again = stub
        .invoke_async(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!((&again.cid, again.already_accepted), (&cid, true));
    let get = async || {
        let request = v1::GetInvocationRequest {
            cid: cid.clone(),
            ..Default::default()
        };
        node.stub
            .clone()
            .get_invocation(request)
            .await
            .unwrap()
            .into_inner()
            .invocation
            .unwrap()
    };
    let held = async {
        while get().await.pending_reason != i32::from(v1::PendingReason::Held) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, held).await.unwrap();
    let found = get().await;
    assert_eq!((found.idempotency_key.as_str(), found.attempt), ("k", 1));
    assert!(found.expire_time.is_some());
    let by_key = v1::GetInvocationRequest {
        service: "demo.flaky".to_owned(),
        idempotency_key: "k".to_owned(),
        ..Default::default()
    };
    let found = stub
        .get_invocation(by_key.clone())
        .await
        .unwrap()
        .into_inner()
        .invocation
        .unwrap();
    assert_eq!(found.cid, cid);
    let unknown = v1::GetInvocationRequest {
        idempotency_key: "x".to_owned(),
        ..by_key
    };
    let error = crate::support::error_of(&stub.get_invocation(unknown).await.unwrap_err());
    assert_eq!(error.reason(), "CID_UNKNOWN");
    let wrong = v1::InvokeAsyncRequest {
        retry_policy: Some(v1::RetryPolicy {
            multiplier: 0.5,
            ..v1::RetryPolicy::default()
        }),
        ..request
    };
    let error = crate::support::error_of(&stub.invoke_async(wrong).await.unwrap_err());
    assert_eq!(error.field_violations()[0].path, "/retry_policy/multiplier");
}
