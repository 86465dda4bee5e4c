//! A node embedded in a program: routes of the host, drain, connection timeouts.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use cidery::engine::clock::Clock;
use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::{Context, Kind, Node, Result, dict};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::raw::spawn;
use crate::support::{PATIENCE, TestNode, any_port, until};

#[tokio::test]
async fn routes_of_the_host_share_the_port() {
    let routes = Router::new().route("/hello", get(async || "from the host"));
    let node = TestNode::start(Node::builder().demo().routes(routes)).await;
    let mut stream = tokio::net::TcpStream::connect(node.address())
        .await
        .unwrap();
    let request = "GET /hello HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("from the host"), "{answer}");
    node.assert_healthy().await;
    node.client.services("").await.unwrap();
}

#[tokio::test]
async fn a_public_address_requires_insecure() {
    let error = Node::builder().listen("no address").start().await;
    assert_eq!(error.unwrap_err().reason(), "REQUEST_INVALID");
    let outside = "0.0.0.0:0";
    let error = Node::builder().listen(outside).start().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::FailedPrecondition, "INSECURE_ADDRESS")
    );
    assert!(error.message().contains("`NodeBuilder::insecure`"));
    let node = Node::builder()
        .listen(outside)
        .insecure()
        .start()
        .await
        .unwrap();
    node.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let taken = tokio::net::TcpListener::bind(any_port()).await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = Node::builder().listen(address).start().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "BIND_FAILED")
    );
}

#[tokio::test]
async fn a_draining_node_finishes_calls_and_refuses_new_ones() {
    let release = std::sync::Arc::new(tokio::sync::Notify::new());
    let gate = std::sync::Arc::clone(&release);
    let slow = move || {
        let gate = std::sync::Arc::clone(&gate);
        async move {
            gate.notified().await;
            "done"
        }
    };
    let node = TestNode::start(Node::builder().service("slow", slow)).await;
    let engine = node.handle.invoker().clone();
    let client = node.client.clone();
    let calling = spawn(async move { client.invoke(Call::new("slow", ())).await });
    until("it runs", || engine.running_handlers() == 1).await;
    let stopping = spawn(node.handle.stop());
    let refused = async {
        loop {
            let refused = engine
                .invoke(cidery::Cid::new(), Call::new("cidery.ping", ()))
                .await;
            if let Err(error) = refused {
                return error;
            }
            tokio::task::yield_now().await;
        }
    };
    let error = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "NODE_STOPPING")
    );
    assert!(error.has_no_side_effects());
    release.notify_one();
    calling.await.unwrap().unwrap();
    stopping.await.unwrap();
}

/// An asynchronous invocation that still runs after the drain timeout returns to the store, not counted as an attempt.
#[tokio::test(start_paused = true)]
async fn unfinished_invocations_return_to_the_store_after_the_drain() {
    async fn stubborn(ctx: Context) -> Result<()> {
        ctx.cancelled().await;
        std::future::pending().await
    }
    let node = Node::builder()
        .clock(Clock::steady())
        .service("stubborn", stubborn)
        .no_listener()
        .start()
        .await
        .unwrap();
    let cid = node.invoke_async("stubborn", ()).await.unwrap();
    let engine = node.invoker().clone();
    until("it runs", || engine.running_handlers() == 1).await;
    let start = tokio::time::Instant::now();
    node.stop().await;
    assert!(start.elapsed() >= Duration::from_secs(30));
    let found = engine.find(cid, Duration::ZERO).await.unwrap().invocation;
    assert_eq!(
        (found.state, found.attempts),
        (State::Pending { started: true }, 0)
    );
}

#[tokio::test]
async fn a_node_without_a_listener_is_invoked_through_its_handle() {
    let node = Node::builder().demo().no_listener().start().await.unwrap();
    assert_eq!(node.address(), None);
    let response = node
        .invoke("customer.get", dict! { "cust_id": 1 })
        .await
        .unwrap();
    assert_eq!(response["cust_name"].as_text(), Some("Alexis Smith"));
    node.stop().await;
}

#[tokio::test]
async fn handlers_can_list_the_services() {
    let node = Node::builder().demo().no_listener().start().await.unwrap();
    let own = node.invoke("cidery.service.get-list", ()).await.unwrap();
    let names: Vec<&str> = own
        .value()
        .as_list()
        .unwrap()
        .iter()
        .filter_map(|service| service["name"].as_text())
        .collect();
    assert!(names.contains(&"customer.get"));
    let zato = node
        .invoke("zato.service.get-list", dict! { "cluster_id": 1 })
        .await
        .unwrap();
    let first = &zato["zato_service_get_list_response"][0];
    for key in [
        "id",
        "name",
        "is_active",
        "impl_name",
        "is_internal",
        "may_be_deleted",
    ] {
        assert!(!first[key].is_null(), "{key}");
    }
    let ping = node.invoke("zato.ping", ()).await.unwrap();
    assert_eq!(
        ping.at::<String>("zato_ping_response.pong").unwrap(),
        "zato"
    );
}

/// Idle streams do not delay the shutdown.
#[tokio::test]
async fn open_streams_end_with_the_node() {
    use cidery::codec::proto::health::HealthCheckRequest;
    use cidery::codec::proto::health::health_client::HealthClient;
    let node = TestNode::start(Node::builder().demo().drain(Duration::from_secs(3_600))).await;
    let mut health = HealthClient::connect(format!("http://{}", node.address()))
        .await
        .unwrap();
    let request = HealthCheckRequest::default();
    let mut watch = health.watch(request).await.unwrap().into_inner();
    let waiting = cidery::codec::proto::v1::StreamResultsRequest {
        wait_for_accept: true,
        ..crate::support::follow(cidery::Cid::new())
    };
    let mut results = node
        .stub
        .clone()
        .stream_results(waiting)
        .await
        .unwrap()
        .into_inner();
    let stopping = spawn(node.handle.stop());
    while watch.message().await.unwrap().is_some() {}
    let error = crate::support::error_of(&results.message().await.unwrap_err());
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::Unavailable, "NODE_STOPPING")
    );
    tokio::time::timeout(PATIENCE, stopping)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn the_host_wraps_the_whole_port_grpc_included() {
    use axum::http::HeaderValue;
    let wrap = |router: Router| {
        router.layer(axum::middleware::map_response(
            async |mut response: axum::response::Response| {
                response
                    .headers_mut()
                    .insert("x-host", HeaderValue::from_static("here"));
                response
            },
        ))
    };
    let node = TestNode::start(Node::builder().demo().wrap(wrap)).await;
    let request = cidery::codec::proto::v1::InvokeRequest {
        service: "cidery.ping".to_owned(),
        ..Default::default()
    };
    let response = node.stub.clone().invoke(request).await.unwrap();
    assert_eq!(response.metadata().get("x-host").unwrap(), "here");
    assert!(response.metadata().contains_key("cidery-cid"));
}

/// A connection without any bytes is closed, and one with half an HTTP/2 preface.
#[tokio::test(start_paused = true)]
async fn silent_connections_are_closed() {
    let node = Node::builder().listen(any_port()).start().await.unwrap();
    for greeting in ["", "PRI * HTTP/2.0"] {
        let mut stream = tokio::net::TcpStream::connect(node.address().unwrap())
            .await
            .unwrap();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let mut nothing = Vec::new();
        let _ = stream.read_to_end(&mut nothing).await;
        assert!(nothing.is_empty(), "{greeting:?}");
    }
}

/// A peer that does not answer an HTTP/2 PING is disconnected, even if TCP still acknowledges.
#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_pings_is_disconnected() {
    let node = Node::builder().listen(any_port()).start().await.unwrap();
    let mut stream = tokio::net::TcpStream::connect(node.address().unwrap())
        .await
        .unwrap();
    // The preface and empty SETTINGS.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let start = tokio::time::Instant::now();
    let mut sent = Vec::new();
    let _ = stream.read_to_end(&mut sent).await;
    assert!(
        start.elapsed() >= Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    // The node has sent a PING: type 6, eight bytes.
    assert!(
        sent.windows(4).any(|frame| frame == [0, 0, 8, 6]),
        "{sent:?}"
    );
}
