//! `grpc.health.v1`: Check, Watch and List, of the node and of each service.

use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::codec::proto::health::{HealthCheckRequest, HealthListRequest};
use cidery::{Definition, Kind};
use tonic::transport::Channel;

use crate::support::{PATIENCE, TestNode, error_of};

async fn client(node: &TestNode) -> HealthClient<Channel> {
    HealthClient::connect(format!("http://{}", node.address()))
        .await
        .unwrap()
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn the_node_and_each_service_have_a_status() {
    let node = TestNode::demo().await;
    let mut health = client(&node).await;
    for name in ["", "customer.get"] {
        let status = health.check(of(name)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{name}");
    }
    let error = error_of(&health.check(of("nothing")).await.unwrap_err());
    assert_eq!(error.kind(), Kind::NotFound);
    let all = health
        .list(HealthListRequest {})
        .await
        .unwrap()
        .into_inner()
        .statuses;
    assert!(all.contains_key("") && all.contains_key("customer.get"));
}

/// Health and discovery agree: a service that no worker serves is known and not serving.
#[tokio::test]
async fn a_service_serves_only_while_a_worker_is_connected() {
    let node = TestNode::demo().await;
    let mut health = client(&node).await;
    let mut watch = health.watch(of("a.task")).await.unwrap().into_inner();
    let mut next = async || {
        let next = tokio::time::timeout(PATIENCE, watch.message()).await;
        let next = next.expect("no change of the status");
        next.unwrap().unwrap().status()
    };
    assert_eq!(next().await, ServingStatus::ServiceUnknown);
    for _ in 0..2 {
        let builder = cidery::Worker::builder().service("a.task", async || {});
        let worker = builder.connect(&node.address().to_string()).await.unwrap();
        assert_eq!(next().await, ServingStatus::Serving);
        worker.stop().await;
        assert_eq!(next().await, ServingStatus::NotServing);
        let status = health.check(of("a.task")).await.unwrap().into_inner();
        assert_eq!(status.status(), ServingStatus::NotServing);
        let all = health
            .list(HealthListRequest {})
            .await
            .unwrap()
            .into_inner();
        let status = &all.statuses["a.task"];
        assert_eq!(status.status(), ServingStatus::NotServing);
    }
    let whole = health.check(of("")).await.unwrap().into_inner();
    assert_eq!(whole.status(), ServingStatus::Serving);
}

#[tokio::test]
async fn a_watch_reports_added_services_and_the_shutdown() {
    let node = TestNode::demo().await;
    let mut health = client(&node).await;
    let mut service = health.watch(of("later")).await.unwrap().into_inner();
    let mut whole = health.watch(of("")).await.unwrap().into_inner();
    let mut next = async || service.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::ServiceUnknown);
    let later = Definition::new("later", async || "here").unwrap();
    node.handle.invoker().add_service(later).unwrap();
    assert_eq!(next().await, ServingStatus::Serving);
    assert_eq!(
        whole.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    let stopping = crate::support::raw::spawn(node.handle.stop());
    assert_eq!(
        whole.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    drop((whole, service));
    stopping.await.unwrap();
}
