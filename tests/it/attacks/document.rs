//! The OpenAPI document of many services: a request that costs more than any other.

use cidery::codec::proto::v1;
use cidery::{Node, Worker};
use futures_util::future::join_all;

use crate::plain_http::client::call;
use crate::support::TestNode;
use crate::support::raw_worker::{RawWorker, hello};

/// So many services of one worker make a document of more than 8 MiB.
const SERVICES: usize = 2_000;

fn many() -> v1::Hello {
    let services = (0..SERVICES).flat_map(|n| hello(&format!("crm.s{n}")).services);
    v1::Hello {
        services: services.collect(),
        ..hello("crm.s")
    }
}

#[tokio::test]
async fn a_document_that_is_too_large_is_refused_with_its_limit() {
    let limit = 1024 * 1024;
    let node = Node::builder().limits(|limits| limits.openapi_bytes = limit);
    let node = TestNode::start(node).await;
    let small = call(node.address(), "GET /openapi.json", &[], "").await;
    assert_eq!(small.status, 200);
    let _worker = RawWorker::connect(node.address(), many()).await;
    let asked = (0..20).map(|_| call(node.address(), "GET /openapi.json", &[], ""));
    for answer in join_all(asked).await {
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (429, "MESSAGE_TOO_LARGE")
        );
        let info = &answer.json()["info"];
        assert_eq!(info["openapi_bytes"], limit.to_string().into());
    }
    // Calls go on, and what others may call is described once it is less.
    let worker = Worker::builder().service("other.task", async || {});
    let worker = worker.connect(&node.address().to_string()).await.unwrap();
    node.handle.invoke("other.task", ()).await.unwrap();
    worker.stop().await;
}
