//! `cancel` tells a worker why the outcome of a dispatch is no longer needed.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::model::call::Call;
use cidery::{Node, dict};

use crate::support::TestNode;
use crate::support::raw_worker::{RawWorker, hello};
use crate::worker_stream::{call, impatient_call};

fn cancellable() -> v1::Hello {
    let mut hello = hello("a.task");
    hello.capabilities = vec![v1::Capability::Cancel.into()];
    hello.services[0].options = Some(v1::ServiceOptions {
        attempt_timeout: Some(prost_types::Duration {
            seconds: 0,
            nanos: 300_000_000,
        }),
        ..v1::ServiceOptions::default()
    });
    hello
}

/// The cause of the next cancellation: its code, its reason and its message.
async fn cause(worker: &mut RawWorker) -> (i32, String, String) {
    loop {
        match worker.next().await {
            Ok(Some(Inbound::Cancel(cancel))) => {
                let failure = cancel.failure.unwrap();
                return (failure.code, failure.reason, failure.message);
            }
            Ok(Some(Inbound::Drain(_))) => {}
            other => panic!("no cancel but {other:?}"),
        }
    }
}

const CANCELLED: i32 = v1::Code::Cancelled as i32;
const DEADLINE_EXCEEDED: i32 = v1::Code::DeadlineExceeded as i32;
const UNAVAILABLE: i32 = v1::Code::Unavailable as i32;

#[tokio::test]
async fn a_cancellation_says_why() {
    let drain = Duration::from_millis(1);
    let node = TestNode::start(Node::builder().drain(drain)).await;
    let mut worker = RawWorker::connect(node.address(), cancellable()).await;

    let calling = impatient_call(&node);
    let token = worker.dispatch().await.token;
    let (code, reason, message) = cause(&mut worker).await;
    assert_eq!((code, &*reason), (DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"));
    assert!(message.contains("50 ms"), "{message}");
    calling.await.unwrap().unwrap_err();
    worker.answer(&token, &dict! {});

    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    calling.abort();
    let (code, _, message) = cause(&mut worker).await;
    assert_eq!((code, &*message), (CANCELLED, "the caller no longer waits"));
    worker.answer(&dispatch.token, &dict! {});

    let cid = node.client.invoke_async(Call::new("a.task", ())).await;
    let dispatch = worker.dispatch().await;
    node.client.cancel(cid.unwrap().cid, false).await.unwrap();
    let (code, _, message) = cause(&mut worker).await;
    assert_eq!(
        (code, &*message),
        (CANCELLED, "a caller cancelled the invocation")
    );
    worker.answer(&dispatch.token, &dict! {});

    node.client
        .invoke_async(Call::new("a.task", ()))
        .await
        .unwrap();
    let dispatch = worker.dispatch().await;
    let (code, _, message) = cause(&mut worker).await;
    assert_eq!(code, DEADLINE_EXCEEDED);
    assert!(message.contains("no progress for 300 ms"), "{message}");
    worker.answer(&dispatch.token, &dict! {});

    let calling = call(&node, dict! {});
    let dispatch = worker.dispatch().await;
    let stopping = crate::support::raw::spawn(node.handle.stop());
    let (code, reason, _) = cause(&mut worker).await;
    assert_eq!((code, &*reason), (UNAVAILABLE, "NODE_STOPPING"));
    worker.answer(&dispatch.token, &dict! {});
    drop(worker);
    calling.await.unwrap().unwrap_err();
    stopping.await.unwrap();
}
