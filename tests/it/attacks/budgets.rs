//! The byte budgets of connections and of the node, seen from outside: who waits, who is refused, and when.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Limits, Node, NodeBuilder, Value};
use h2::RecvStream;
use prost::Message as _;
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use crate::support::raw::{INVOKE, Raw, framed, spawn};
use crate::support::{PATIENCE, TestNode};

const KIB: usize = 1024;
const SERVE: &str = "/cidery.v1.WorkerService/Serve";
/// What a peer gets of a response before it reads.
const WINDOW: u32 = 65_535;

fn echo_node(change: impl FnOnce(&mut Limits)) -> NodeBuilder {
    let echo = async |input: Value| input;
    let node = Node::builder().service("a.echo", echo);
    node.limits(|limits| {
        // A paused clock does not wait for the replies to pings.
        limits.ping_interval = Duration::from_hours(24);
        change(limits);
    })
}

/// A call of the echo with a document of so many bytes.
fn echo(bytes: usize) -> Bytes {
    let document = format!("\"{}\"", "x".repeat(bytes));
    let request = v1::InvokeRequest {
        service: "a.echo".to_owned(),
        input: Some(v1::invoke_request::Input::Document(document.into())),
        ..v1::InvokeRequest::default()
    };
    framed(&request.encode_to_vec())
}

/// Makes a call whose response stays unread beyond the window.
async fn unread(raw: &mut Raw, bytes: usize) -> RecvStream {
    let (response, mut send) = raw.begin(INVOKE, &[]);
    send.send_data(echo(bytes), true).unwrap();
    response.await.unwrap().into_body()
}

async fn read(mut body: RecvStream) -> usize {
    let mut bytes = 0;
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        bytes += data.len();
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    bytes
}

#[tokio::test]
async fn calls_wait_until_the_responses_before_are_read() {
    let hello = axum::routing::get(async || "from the host");
    let routes = axum::Router::new().route("/hello", hello);
    let started = Arc::new(Semaphore::new(0));
    let count = {
        let started = Arc::clone(&started);
        move |_: Value| {
            started.add_permits(1);
            std::future::ready(())
        }
    };
    let node = echo_node(|limits| limits.answered_bytes = 10 * KIB);
    let node = TestNode::start(node.service("a.count", count).routes(routes)).await;
    let mut raw = Raw::connect_with_window(node.address(), WINDOW).await;
    let first = unread(&mut raw, 150 * KIB).await;
    let request = v1::InvokeRequest {
        service: "a.count".to_owned(),
        ..v1::InvokeRequest::default()
    };
    let (second, mut send) = raw.begin(INVOKE, &[]);
    send.send_data(framed(&request.encode_to_vec()), true)
        .unwrap();
    // It comes after the call, and does not wait.
    let get = http::Request::get("http://localhost/hello")
        .body(())
        .unwrap();
    assert_eq!(raw.send(get, Bytes::new()).await.http_status, 200);
    assert_eq!(started.available_permits(), 0);
    // Those of other connections do not wait either.
    node.client.invoke(Call::new("a.count", ())).await.unwrap();
    assert_eq!(started.available_permits(), 1);
    assert!(read(first).await > 150 * KIB);
    let answer = crate::support::raw::answer(second);
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap();
    assert_eq!(answer.get("grpc-status"), Some("0"));
    assert_eq!(started.available_permits(), 2);
}

/// Limits with which a call waits for 30 s before it is refused.
fn waiting(limits: &mut Limits) {
    limits.answered_bytes = 10 * KIB;
    limits.unread_timeout = Duration::from_secs(3_600);
}

/// Whether the next call of a connection that holds unread responses waits until it is refused.
async fn next_call_is_refused(raw: &mut Raw) -> bool {
    let start = Instant::now();
    let answer = raw.call(INVOKE, &[], echo(1)).await;
    if answer.get("grpc-status") == Some("0") {
        return false;
    }
    assert_eq!(answer.error().reason(), "MEMORY_LIMIT");
    let waited = start.elapsed().as_secs();
    assert!((30..60).contains(&waited), "{waited} s");
    true
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_too_long_for_responses_to_be_read_are_refused() {
    let node = TestNode::start(echo_node(waiting)).await;
    let mut raw = Raw::connect_with_window(node.address(), WINDOW).await;
    let unread = unread(&mut raw, 150 * KIB).await;
    assert!(next_call_is_refused(&mut raw).await);
    assert!(read(unread).await > 150 * KIB);
    assert!(!next_call_is_refused(&mut raw).await);
}

/// Nested calls use the connection of their worker, and one may wait for another. Whoever is no worker waits.
#[tokio::test(start_paused = true)]
async fn calls_on_the_connection_of_a_worker_do_not_wait() {
    let node = TestNode::start(echo_node(waiting)).await;
    let mut raw = Raw::connect_with_window(node.address(), WINDOW).await;
    let unread = unread(&mut raw, 150 * KIB).await;
    let no_hello = raw.call(SERVE, &[], framed(&[])).await;
    assert_eq!(no_hello.error().reason(), "REQUEST_INVALID");
    assert!(next_call_is_refused(&mut raw).await);
    let hello = v1::Hello {
        name: "raw".to_owned(),
        services: vec![v1::ServiceDeclaration {
            name: "a.task".to_owned(),
            ..v1::ServiceDeclaration::default()
        }],
        ..v1::Hello::default()
    };
    let hello = v1::ServeRequest {
        message: Some(v1::serve_request::Message::Hello(hello)),
        ..v1::ServeRequest::default()
    };
    let (welcome, mut worker) = raw.begin(SERVE, &[]);
    worker
        .send_data(framed(&hello.encode_to_vec()), false)
        .unwrap();
    let mut outbound = welcome.await.unwrap().into_body();
    assert!(outbound.data().await.unwrap().is_ok());
    assert!(!next_call_is_refused(&mut raw).await);
    worker.send_data(Bytes::new(), true).unwrap();
    while let Some(Ok(_)) = outbound.data().await {}
    assert!(next_call_is_refused(&mut raw).await);
    drop(unread);
}

/// A connection beyond its own budget leaves half of the node to others; large messages leave a quarter to small ones.
#[tokio::test]
async fn the_budget_of_the_node_is_shared() {
    let (held, release) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let hold = {
        let (held, release) = (Arc::clone(&held), Arc::clone(&release));
        move |_: Value| {
            let (held, release) = (Arc::clone(&held), Arc::clone(&release));
            async move {
                held.notify_one();
                release.acquire().await.unwrap().forget();
            }
        }
    };
    let node = Node::builder().service("a.hold", hold).limits(|limits| {
        limits.received_bytes = 128 * KIB;
        // A request counts twice: as it is, and as what it is decoded to.
        limits.node_received_bytes = 2 * KIB * KIB;
    });
    let node = TestNode::start(node).await;
    let mut calls = Vec::new();
    // Of the first two connections, the second call is beyond their own budget.
    for (connection, kib, is_held) in [
        (0, 500, true),
        (0, 100, false),
        (1, 100, true),
        (1, 100, false),
        (2, 100, true),
        (3, 100, false),
        (3, 50, true),
    ] {
        while calls.len() <= connection {
            let client = ContractClient::connect(&node.address().to_string()).await;
            calls.push((client.unwrap().max_attempts(1), Vec::new()));
        }
        let (client, open) = &mut calls[connection];
        let call = Call::new("a.hold", Value::from("x".repeat(kib * KIB)));
        let client = client.clone();
        let mut call = spawn(async move { client.invoke(call).await });
        tokio::select! {
            answer = &mut call => {
                assert!(!is_held, "{connection}: {kib} KiB");
                assert_eq!(answer.unwrap().unwrap_err().reason(), "MEMORY_LIMIT");
            }
            () = held.notified() => {
                assert!(is_held, "{connection}: {kib} KiB");
                open.push(call);
            }
        }
    }
    release.add_permits(10);
    for call in calls.into_iter().flat_map(|(_, open)| open) {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn large_responses_are_refused_while_others_of_the_node_are_not_read() {
    let node = echo_node(|limits| limits.node_answered_bytes = 400 * KIB);
    let node = TestNode::start(node).await;
    let mut raw = Raw::connect_with_window(node.address(), WINDOW).await;
    let unread = unread(&mut raw, 290 * KIB).await;
    let call = |kib: usize| {
        let client = node.client.clone().max_attempts(1);
        let text = "x".repeat(kib * KIB);
        async move { client.invoke(Call::new("a.echo", Value::from(text))).await }
    };
    let refused = call(150).await.unwrap_err();
    assert_eq!(refused.reason(), "MEMORY_LIMIT");
    assert!(refused.retry_after().is_some());
    call(50).await.unwrap();
    assert!(read(unread).await > 290 * KIB);
    call(150).await.unwrap();
}

/// The time after which the stream of a peer is reset that reads so many bytes of a response in each second.
async fn reset_after(bytes_a_second: usize, unread_timeout: Duration) -> Duration {
    let node = echo_node(|limits| limits.unread_timeout = unread_timeout);
    let node = TestNode::start(node).await;
    let window = u32::try_from(bytes_a_second).unwrap();
    let mut raw = Raw::connect_with_window(node.address(), window).await;
    let start = Instant::now();
    let mut unread = unread(&mut raw, 1_000 * KIB).await;
    loop {
        match unread
            .data()
            .await
            .expect("the response is not read in time")
        {
            Ok(data) => {
                tokio::time::sleep(Duration::from_secs(1)).await;
                unread.flow_control().release_capacity(data.len()).unwrap();
            }
            Err(reset) => {
                assert_eq!(reset.reason(), Some(h2::Reason::CANCEL));
                break;
            }
        }
    }
    let after = start.elapsed();
    // A status without a message needs no window: the connection goes on.
    let answer = raw.call(INVOKE, &[], framed(b"\xff")).await;
    assert_eq!(answer.error().reason(), "MALFORMED_MESSAGE");
    after
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_read_is_reset_after_a_time() {
    for timeout in [40, 400] {
        let after = reset_after(0, Duration::from_secs(timeout)).await.as_secs();
        assert!((timeout..timeout + 30).contains(&after), "{after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_read_very_slowly_is_reset_after_a_time() {
    let after = reset_after(1_000, Duration::from_secs(40)).await.as_secs();
    assert!((40..70).contains(&after), "{after} s");
}
