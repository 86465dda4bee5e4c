//! `DiscoveryService`: lists and descriptions of services; `AdminService`: lists of workers.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::discovery_service_client::DiscoveryServiceClient;
use cidery::{Definition, Kind, Node, RetryPolicy};

use crate::support::{TestNode, error_of};

#[tokio::test]
async fn services_are_listed_in_pages() {
    let node = TestNode::demo().await;
    let all = node.client.services("").await.unwrap();
    let mut names: Vec<String> = all.into_iter().map(|service| service.name).collect();
    assert!(names.is_sorted());
    let mut stub = DiscoveryServiceClient::connect(format!("http://{}", node.address()))
        .await
        .unwrap();
    let mut request = v1::ListServicesRequest {
        page_size: 3,
        ..Default::default()
    };
    loop {
        let page = stub
            .list_services(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.services.len() <= 3);
        for service in page.services {
            assert_eq!(service.name, names.remove(0));
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert!(names.is_empty());
    let demo = node.client.services("demo.").await.unwrap();
    assert_eq!(demo.len(), 4);
    request.page_size = 1_000_000;
    let error = error_of(&stub.list_services(request).await.unwrap_err());
    assert_eq!(error.field_violations()[0].path, "/page_size");
}

#[tokio::test]
async fn a_description_has_declared_and_effective_options() {
    let definition = Definition::new("described", async || "x")
        .unwrap()
        .description("Is described.")
        .idempotent()
        .timeout(Duration::from_secs(7))
        .concurrency(3)
        .retry_policy(RetryPolicy::never())
        .response_elem("elem");
    let node = TestNode::start(Node::builder().register(definition)).await;
    let service = node.client.describe("described").await.unwrap();
    let declaration = service.declaration.clone().unwrap();
    assert_eq!(declaration.description, "Is described.");
    assert_eq!(declaration.sio.unwrap().response_elem, "elem");
    let own = declaration.options.unwrap();
    assert!(own.idempotent);
    assert_eq!(
        (
            own.timeout.unwrap().seconds,
            own.concurrency,
            own.queue_length
        ),
        (7, 3, 0)
    );
    let effective = service.effective_options.unwrap();
    assert_eq!(effective.queue_length, 1_024);
    assert_eq!(effective.retry_policy.unwrap().max_attempts, 1);
    assert_eq!(service.health, i32::from(v1::ServiceHealth::Serving));
    assert!(
        service
            .examples
            .iter()
            .any(|example| example.tool == "grpcurl")
    );
    let error = node.client.describe("descibed").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("nearest")),
        (Kind::NotFound, Some("described"))
    );
}

/// A worker whose name is a prefix of another name is not skipped between pages.
#[tokio::test]
async fn workers_are_listed_in_pages() {
    use cidery::codec::proto::v1::admin_service_client::AdminServiceClient;
    let node = TestNode::start(Node::builder()).await;
    let address = node.address().to_string();
    let mut workers = Vec::new();
    for name in ["a-b", "a", "a/c"] {
        let worker = cidery::Worker::builder().service("a.task", async || {});
        workers.push(worker.name(name).connect(&address).await.unwrap());
    }
    let mut admin = AdminServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap();
    let (mut names, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListWorkersRequest {
            page_size: 1,
            page_token,
            ..v1::ListWorkersRequest::default()
        };
        let page = admin.list_workers(request).await.unwrap().into_inner();
        names.extend(page.workers.into_iter().map(|worker| worker.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "a-b", "a/c"]);
    let other = cidery::Worker::builder().service("a.other", async || {});
    workers.push(other.name("other").connect(&address).await.unwrap());
    let of = async |service: &str| {
        let workers = node.client.workers_of(service).await.unwrap();
        workers
            .into_iter()
            .map(|worker| worker.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("a.other").await, ["other"]);
    assert_eq!(of("a.task").await, ["a", "a-b", "a/c"]);
    assert!(of("a").await.is_empty());
}
