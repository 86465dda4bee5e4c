//! `grpc.health.v1`: Check, Watch and List, of the node and of each service.

use cidery::codec::proto::health::health_check_response::ServingStatus;
use cidery::codec::proto::health::health_client::HealthClient;
use cidery::codec::proto::health::{HealthCheckRequest, HealthListRequest};
use cidery::sio::{Sio, Text};
use cidery::{Definition, Kind, Node};
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

/// What gRPC clients ask for: the full name of the gRPC service that they call.
#[tokio::test]
async fn a_grpc_service_has_a_status_by_its_full_name() {
    let node = TestNode::demo().await;
    let mut health = client(&node).await;
    for name in [
        "cidery.v1.InvocationService",
        "grpc.health.v1.Health",
        "customer.Service",
    ] {
        let status = health.check(of(name)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{name}");
    }
    let all = health
        .list(HealthListRequest {})
        .await
        .unwrap()
        .into_inner()
        .statuses;
    assert!(all.contains_key("cidery.v1.WorkerService") && all.contains_key("customer.Service"));
    for unknown in [
        "Service",
        ".Service",
        "nothing.Service",
        "google.protobuf.Struct",
    ] {
        let error = error_of(&health.check(of(unknown)).await.unwrap_err());
        assert_eq!(error.kind(), Kind::NotFound, "{unknown}");
    }
    // Typed methods serve while one of their services does.
    let mut watch = health.watch(of("a.Service")).await.unwrap().into_inner();
    let mut next = async || {
        let next = tokio::time::timeout(PATIENCE, watch.message()).await;
        next.expect("no change of the status")
            .unwrap()
            .unwrap()
            .status()
    };
    assert_eq!(next().await, ServingStatus::ServiceUnknown);
    let connect = async |name: &str| {
        let sio = Sio::new().input(Text("x"));
        let service = Definition::new(name, async || {}).unwrap().sio(sio);
        let builder = cidery::Worker::builder().register(service);
        builder.connect(&node.address().to_string()).await.unwrap()
    };
    let one = connect("a.one").await;
    assert_eq!(next().await, ServingStatus::Serving);
    let two = connect("a.two").await;
    one.stop().await;
    let status = health.check(of("a.Service")).await.unwrap().into_inner();
    assert_eq!(status.status(), ServingStatus::Serving);
    two.stop().await;
    assert_eq!(next().await, ServingStatus::NotServing);
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

/// One connection does not open the streams of all.
#[tokio::test]
async fn watches_have_a_limit_for_each_connection() {
    let builder = Node::builder().demo();
    let builder = builder.limits(|limits| limits.connection_health_watches = 2);
    let node = TestNode::start(builder).await;
    let mut one = client(&node).await;
    let first = one.watch(of("")).await.unwrap();
    let _second = one.watch(of("")).await.unwrap();
    let error = error_of(&one.watch(of("")).await.unwrap_err());
    assert_eq!(error.reason(), "STREAM_LIMIT");
    assert_eq!(error.fact("connection_health_watches"), Some("2"));
    client(&node).await.watch(of("")).await.unwrap();
    drop(first);
    let again = async {
        while one.watch(of("")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.unwrap();
}

/// One request over an open HTTP/1.1 connection: the status and the body.
async fn http_get(stream: &mut tokio::net::TcpStream, path: &str) -> (u16, String) {
    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut stream = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        head.push(line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// For load balancers that do not call gRPC.
#[tokio::test]
async fn healthz_answers_ok_while_serving_and_503_while_draining() {
    let node = TestNode::demo().await;
    let mut stream = tokio::net::TcpStream::connect(node.address())
        .await
        .unwrap();
    let served = http_get(&mut stream, "/healthz").await;
    assert_eq!(served, (200, "ok\n".to_owned()));
    assert_eq!(http_get(&mut stream, "/health").await.0, 404);
    assert_eq!(http_get(&mut stream, "/").await.0, 404);
    let mut health = client(&node).await;
    let mut watch = health.watch(of("")).await.unwrap().into_inner();
    let mut next = async || watch.message().await.unwrap().unwrap().status();
    assert_eq!(next().await, ServingStatus::Serving);
    // A client that connected before the drain, and then sends its first request, is answered.
    let mut stream = tokio::net::TcpStream::connect(node.address())
        .await
        .unwrap();
    let stopping = crate::support::raw::spawn(node.handle.stop());
    assert_eq!(next().await, ServingStatus::NotServing);
    let answer = http_get(&mut stream, "/healthz").await;
    assert_eq!(answer, (503, "not serving\n".to_owned()));
    drop((watch, health));
    stopping.await.unwrap();
}

/// Health needs no credential: what a stranger can hold with it is bounded.
#[tokio::test]
async fn names_of_health_checks_are_short() {
    let node = TestNode::demo().await;
    let mut health = client(&node).await;
    let long = of(&"a".repeat(1_100));
    for refused in [
        health.check(long.clone()).await.unwrap_err(),
        health.watch(long).await.unwrap_err(),
    ] {
        let error = error_of(&refused);
        assert_eq!(error.kind(), Kind::ResourceExhausted);
        assert_eq!(error.reason(), "MESSAGE_TOO_LARGE", "{error:?}");
    }
}
