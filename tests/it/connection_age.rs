//! Old connections are replaced: their clients open others, and no call fails.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Node, NodeBuilder, dict};
use tokio_stream::StreamExt as _;

use crate::support::proxy::Proxy;
use crate::support::raw::spawn;
use crate::support::raw_worker::{RawWorker, hello};
use crate::support::{PATIENCE, TestNode};

/// How often a connection is replaced before a test ends.
const REPLACED: usize = 5;

fn short_lived(grace: Duration) -> NodeBuilder {
    Node::builder().demo().limits(|limits| {
        limits.connection_age = Duration::from_millis(30);
        limits.connection_age_grace = grace;
    })
}

#[tokio::test]
async fn no_call_fails_while_connections_are_replaced() {
    let node = TestNode::start(short_lived(PATIENCE)).await;
    let proxy = Proxy::to(node.address()).await;
    let client = ContractClient::connect(&proxy.address.to_string())
        .await
        .unwrap();
    let calls = async {
        while proxy.forwarded() < REPLACED {
            let calls = (0..8).map(|_| {
                let client = client.clone();
                spawn(async move { client.invoke(Call::new("cidery.ping", ())).await })
            });
            for call in calls.collect::<Vec<_>>() {
                call.await.unwrap().unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, calls).await.unwrap();
}

/// A stream outlives the age of its connection by the grace, then it ends.
#[tokio::test]
async fn what_is_open_has_the_grace() {
    let node = TestNode::start(short_lived(Duration::from_millis(50))).await;
    let input = dict! { "seconds": 600.0 };
    let accepted = node.client.invoke_async(Call::new("demo.sleep", input));
    let request = v1::StreamResultsRequest {
        cids: vec![accepted.await.unwrap().cid.to_string()],
        ..v1::StreamResultsRequest::default()
    };
    let stream = node.stub.clone().stream_results(request).await.unwrap();
    let mut stream = stream.into_inner();
    let ended = async { while let Some(Ok(_)) = stream.next().await {} };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn the_connection_of_a_worker_is_left_alone() {
    let node = TestNode::start(short_lived(Duration::ZERO)).await;
    let proxy = Proxy::to(node.address()).await;
    let mut worker = RawWorker::connect(proxy.address, hello("a.task")).await;
    let client = ContractClient::connect(&proxy.address.to_string())
        .await
        .unwrap();
    // Connections of callers come and go meanwhile.
    let calls = async {
        while proxy.forwarded() < REPLACED {
            // The grace is nothing: a call may be cut off.
            let _ = client.invoke(Call::new("cidery.ping", ())).await;
        }
    };
    tokio::time::timeout(PATIENCE, calls).await.unwrap();
    let call = crate::worker_stream::call(&node, dict! { "n": 1 });
    let dispatch = worker.dispatch().await;
    worker.answer(&dispatch.token, &dict! { "a": 1 });
    call.await.unwrap().unwrap();
}
