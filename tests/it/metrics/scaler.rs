//! The external scaler of KEDA.

use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::externalscaler as keda;
use cidery::codec::proto::externalscaler::external_scaler_client::ExternalScalerClient;
use cidery::model::call::{Call, Start};
use cidery::{Node, Worker};
use tokio::sync::Semaphore;
use tonic::Request;
use tonic::transport::Channel;

use super::{eventually, guarded};
use crate::support::{PATIENCE, TestNode, error_of};

fn object(metadata: &[(&str, &str)]) -> keda::ScaledObjectRef {
    let pairs = metadata.iter();
    keda::ScaledObjectRef {
        name: "workers".to_owned(),
        namespace: "default".to_owned(),
        scaler_metadata: pairs
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect(),
    }
}

async fn client(address: impl std::fmt::Display) -> ExternalScalerClient<Channel> {
    let address = format!("http://{address}");
    ExternalScalerClient::connect(address).await.unwrap()
}

async fn is_active(client: &ExternalScalerClient<Channel>, service: &str) -> bool {
    let object = object(&[("service", service)]);
    let answer = client.clone().is_active(object).await.unwrap();
    answer.into_inner().result
}

async fn metric(client: &ExternalScalerClient<Channel>, metadata: &[(&str, &str)]) -> f64 {
    let request = keda::GetMetricsRequest {
        scaled_object_ref: Some(object(metadata)),
        metric_name: String::new(),
    };
    let answer = client
        .clone()
        .get_metrics(request)
        .await
        .unwrap()
        .into_inner();
    answer.metric_values[0].metric_value_float
}

/// A node that knows `a.task`, which nobody serves.
async fn unserved() -> TestNode {
    let node = TestNode::start(Node::builder().demo()).await;
    let builder = Worker::builder().service("a.task", async || {});
    let worker = builder.connect(&node.address().to_string()).await.unwrap();
    worker.stop().await;
    node
}

#[tokio::test]
async fn the_work_of_a_service_that_nobody_serves_counts() {
    let node = unserved().await;
    let scaler = client(node.address()).await;
    assert!(!is_active(&scaler, "a.task").await);
    let mut later = Call::new("a.task", ());
    later.durable().start = Some(Start::After(Duration::from_hours(1)));
    node.client.invoke_async(later).await.unwrap();
    // What is due later needs no worker yet.
    assert!(!is_active(&scaler, "a.task").await);
    for _ in 0..3 {
        node.client
            .invoke_async(Call::new("a.task", ()))
            .await
            .unwrap();
    }
    assert!(is_active(&scaler, "a.task").await && is_active(&scaler, "a.*").await);
    assert!(!is_active(&scaler, "demo.*").await && !is_active(&scaler, "nobody").await);
    let backlog = [("service", "a.*")];
    assert_eq!(metric(&scaler, &backlog).await, 3.0);
    let age = [("service", "a.task"), ("metric", "age_seconds")];
    assert!(metric(&scaler, &age).await > 0.0);
    let busy = [("service", "a.task"), ("metric", "busy_permits")];
    assert_eq!(metric(&scaler, &busy).await, 0.0);
}

#[tokio::test]
async fn running_handlers_are_busy_permits() {
    let node = TestNode::start(Node::builder()).await;
    let gate = Arc::new(Semaphore::new(0));
    let wait = Arc::clone(&gate);
    let handler = move || {
        let wait = Arc::clone(&wait);
        async move { wait.acquire().await.unwrap().forget() }
    };
    let builder = Worker::builder().service("a.task", handler);
    let worker = builder.connect(&node.address().to_string()).await.unwrap();
    let scaler = client(node.address()).await;
    let busy = [("service", "a.*"), ("metric", "busy_permits")];
    for _ in 0..2 {
        node.client
            .invoke_async(Call::new("a.task", ()))
            .await
            .unwrap();
    }
    eventually("two handlers run", async || {
        metric(&scaler, &busy).await == 2.0
    })
    .await;
    gate.add_permits(1);
    eventually("one is left", async || metric(&scaler, &busy).await == 1.0).await;
    gate.add_permits(1);
    eventually("none is left", async || metric(&scaler, &busy).await == 0.0).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_metric_has_its_target() {
    let node = TestNode::demo().await;
    let mut scaler = client(node.address()).await;
    let mut spec = async |metadata: &[(&str, &str)]| {
        let answer = scaler.get_metric_spec(object(metadata)).await.unwrap();
        answer.into_inner().metric_specs.remove(0)
    };
    let found = spec(&[("service", "demo.*"), ("target", "2.5")]).await;
    assert_eq!(
        (&*found.metric_name, found.target_size),
        ("cidery-backlog", 3)
    );
    assert_eq!(found.target_size_float, 2.5);
    let found = spec(&[("service", "demo.*"), ("metric", "age_seconds")]).await;
    assert_eq!(
        (&*found.metric_name, found.target_size),
        ("cidery-age-seconds", 60)
    );
    let refused = scaler
        .is_active(object(&[("metric", "cpu")]))
        .await
        .unwrap_err();
    let error = error_of(&refused);
    let paths: Vec<_> = error
        .field_violations()
        .iter()
        .map(|it| &*it.path)
        .collect();
    assert_eq!(paths, ["/scalerMetadata/service", "/scalerMetadata/metric"]);
}

#[tokio::test]
async fn a_stream_tells_when_work_comes_and_goes() {
    let node = unserved().await;
    node.client
        .invoke_async(Call::new("a.task", ()))
        .await
        .unwrap();
    let mut scaler = client(node.address()).await;
    let stream = scaler.stream_is_active(object(&[("service", "a.task")]));
    let mut stream = stream.await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().unwrap().result);
    let builder = Worker::builder().service("a.task", async || {});
    let worker = builder.connect(&node.address().to_string()).await.unwrap();
    let scaler = client(node.address()).await;
    eventually("the work is done", async || {
        !is_active(&scaler, "a.task").await
    })
    .await;
    let next = tokio::time::timeout(PATIENCE, stream.message()).await;
    assert!(!next.unwrap().unwrap().unwrap().result);
    worker.stop().await;
}

#[tokio::test]
async fn with_authentication_only_who_reads_all_scales() {
    let (node, [own, all, _]) = guarded().await;
    let scaler = client(node.address().unwrap()).await;
    let call = async |key: Option<&str>| {
        let mut request = Request::new(object(&[("service", "demo.*")]));
        if let Some(key) = key {
            let bearer = format!("Bearer {key}").parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        let answer = scaler.clone().is_active(request).await;
        answer
            .map(|_| ())
            .map_err(|status| error_of(&status).reason().to_owned())
    };
    assert_eq!(call(None).await, Err("CREDENTIAL_REQUIRED".to_owned()));
    assert_eq!(call(Some(&own)).await, Err("NOT_PERMITTED".to_owned()));
    assert_eq!(call(Some(&all)).await, Ok(()));
}
