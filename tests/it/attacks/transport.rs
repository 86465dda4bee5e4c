//! Attacks on the transport: methods, content types, origins, half-sent requests, many connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Definition, Node, NodeBuilder};
use http::{HeaderMap, Method, Request};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::raw::{Raw, framed};
use crate::support::raw_worker::hello;
use crate::support::{PATIENCE, TestNode, any_port};

/// A request that does something if it is executed: for each of the services of a node.
fn targets() -> [(&'static str, Bytes); 7] {
    let invoke = v1::InvokeAsyncRequest {
        service: "cidery.ping".to_owned(),
        ..v1::InvokeAsyncRequest::default()
    };
    let invoke = framed(&invoke.encode_to_vec());
    let hello = v1::ServeRequest {
        message: Some(Message::Hello(hello("from.a.page"))),
        ..v1::ServeRequest::default()
    };
    let forget = v1::ForgetServiceRequest {
        service: "raw.service".to_owned(),
    };
    [
        (
            "/cidery.v1.InvocationService/InvokeAsync",
            Bytes::clone(&invoke),
        ),
        (
            "/cidery.v1.AdminService/ForgetService",
            framed(&forget.encode_to_vec()),
        ),
        ("/cidery.v1.DiscoveryService/ListServices", framed(&[])),
        (
            "/cidery.v1.WorkerService/Serve",
            framed(&hello.encode_to_vec()),
        ),
        ("/customer.Service/GetAsync", framed(&[])),
        ("/grpc.health.v1.Health/Check", framed(&[])),
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            framed(&[]),
        ),
    ]
}

/// What a node has accepted: its services, and the number of stored invocations.
async fn accepted(node: &TestNode) -> (Vec<String>, usize) {
    let services = node.client.services("").await.unwrap();
    let names = services.into_iter().map(|service| service.name);
    let all = v1::InvocationFilter::default();
    let stored = node.client.invocations(all, 100).await.unwrap();
    (names.collect(), stored.len())
}

/// Sends a request over HTTP/1.1, and reads the answer to its end: its status line and headers, and its body.
async fn http1(address: SocketAddr, head: &str, body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!("{head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer));
    read.await.expect("the request hangs").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

fn content_type_line(content_type: Option<&str>) -> String {
    content_type
        .map(|content_type| format!("\r\ncontent-type: {content_type}"))
        .unwrap_or_default()
}

const OTHER_METHODS: [&str; 5] = ["GET", "PUT", "BREW", "OPTIONS", "DELETE"];
const OTHER_TYPES: [Option<&str>; 7] = [
    Some("text/plain"),
    Some("application/grpcfoo"),
    Some("application/grpc+json"),
    Some("application/grpc-web+json"),
    Some("application/x-www-form-urlencoded"),
    Some("text/plain; application/grpc"),
    None,
];

#[tokio::test]
async fn no_other_content_type_is_executed_over_http1() {
    let node = TestNode::demo().await;
    let before = accepted(&node).await;
    for (path, body) in targets() {
        for method in OTHER_METHODS {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc"
            );
            let (head, _) = http1(node.address(), &request, &body).await;
            assert_eq!(status(&head), 405, "{method} {path}: {head}");
            assert!(head.contains("\r\nallow: post"), "{head}");
        }
        for content_type in OTHER_TYPES {
            let line = content_type_line(content_type);
            let request = format!("POST {path} HTTP/1.1\r\nhost: localhost{line}");
            let (head, text) = http1(node.address(), &request, &body).await;
            assert_eq!(status(&head), 415, "{content_type:?} {path}: {head}");
            assert!(text.contains("over HTTP/2, `application/grpc`"), "{text}");
        }
        for content_type in ["application/grpc", "application/grpc+proto; a=b"] {
            let line = content_type_line(Some(content_type));
            let request = format!("POST {path} HTTP/1.1\r\nhost: localhost{line}");
            let (head, text) = http1(node.address(), &request, &body).await;
            assert_eq!(status(&head), 505, "{path}: {head}");
            assert!(text.contains("gRPC requires HTTP/2"), "{text}");
        }
    }
    assert_eq!(accepted(&node).await, before);
    node.assert_healthy().await;
}

#[tokio::test]
async fn no_other_content_type_is_executed_over_http2() {
    let node = TestNode::demo().await;
    let before = accepted(&node).await;
    let mut raw = Raw::connect(node.address()).await;
    for (path, body) in targets() {
        let uri = format!("http://localhost{path}");
        for method in OTHER_METHODS {
            let request = Request::builder()
                .method(Method::from_bytes(method.as_bytes()).unwrap())
                .uri(&uri)
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            let answer = raw.send(request, Bytes::clone(&body)).await;
            assert_eq!(answer.http_status, 405, "{method} {path}: {answer:?}");
            assert_eq!(answer.get("allow"), Some("POST"));
        }
        for content_type in OTHER_TYPES {
            let mut request = Request::post(&uri);
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let request = request.body(()).unwrap();
            let answer = raw.send(request, Bytes::clone(&body)).await;
            assert_eq!(answer.http_status, 415, "{content_type:?} {path}");
        }
    }
    assert_eq!(accepted(&node).await, before);
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC;a=b",
    ] {
        let request = Request::post("http://any.example/cidery.v1.DiscoveryService/ListServices")
            .header("content-type", content_type)
            .body(())
            .unwrap();
        let answer = raw.send(request, framed(&[])).await;
        assert_eq!(answer.get("grpc-status"), Some("0"), "{answer:?}");
    }
}

#[tokio::test]
async fn other_paths_are_not_found() {
    let node = TestNode::demo().await;
    for path in [
        "/",
        "/favicon.ico",
        "/customer.Service/Nothing",
        "/cidery.v1.InvocationService/",
        "/cidery.v1.InvocationService",
        "/nothing/at/all",
    ] {
        for method in ["GET", "POST"] {
            let request = format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:1");
            let (head, body) = http1(node.address(), &request, b"").await;
            assert_eq!(status(&head), 404, "{method} {path}: {head}");
            assert!(body.contains("\"PATH_UNKNOWN\""), "{body}");
        }
    }
}

/// A node with a route that counts its requests.
fn with_route(hits: &Arc<AtomicUsize>) -> NodeBuilder {
    let hits = Arc::clone(hits);
    let count = get(async move || {
        hits.fetch_add(1, Ordering::Relaxed);
        "from the host"
    });
    Node::builder().routes(Router::new().route("/hello", count))
}

#[tokio::test]
async fn web_pages_of_other_hosts_are_refused() {
    let hits = Arc::default();
    let builder = with_route(&hits).allow_host("node.example");
    let node = TestNode::start(builder).await;
    let address = node.address();
    let refused = [
        (421, "host: evil.example".to_owned()),
        (421, format!("host: evil.example:{}", address.port())),
        (421, "host: ".to_owned()),
        (421, "host: localhost\r\nhost: evil.example".to_owned()),
        (421, "host: 127.0.0.2.evil.example".to_owned()),
        (
            403,
            "host: 127.0.0.2:80\r\norigin: http://127.0.0.3:80".to_owned(),
        ),
        (
            403,
            "host: localhost\r\norigin: https://evil.example".to_owned(),
        ),
        (403, "host: localhost\r\norigin: null".to_owned()),
        (
            403,
            "host: node.example\r\norigin: http://node.example.evil.example".to_owned(),
        ),
        (
            403,
            "host: localhost\r\nsec-fetch-site: cross-site".to_owned(),
        ),
    ];
    for (expected, headers) in refused {
        for path in ["/hello", "/", "/customer.Service/Get"] {
            let request = format!("GET {path} HTTP/1.1\r\n{headers}");
            let (head, body) = http1(address, &request, b"").await;
            assert_eq!(status(&head), expected, "{headers}: {head}");
            // What is wrong with the request, or what would allow it.
            let says = ["names no host", "--allow-host", "--allow-origin"];
            assert!(says.iter().any(|text| body.contains(text)), "{body}");
        }
    }
    let absolute = "GET http://evil.example/hello HTTP/1.1\r\nhost: localhost";
    let (head, _) = http1(address, absolute, b"").await;
    assert_eq!(status(&head), 421, "{head}");
    assert_eq!(hits.load(Ordering::Relaxed), 0);
    for headers in [
        format!("host: {address}"),
        "host: localhost:1234".to_owned(),
        "host: [::1]".to_owned(),
        // Of a port that is mapped, with a page that was read there.
        "host: 192.0.2.7:8080\r\norigin: http://192.0.2.7:8080".to_owned(),
        "host: node.example:443\r\norigin: https://node.example\r\nsec-fetch-site: same-origin"
            .to_owned(),
        "host: localhost\r\norigin: http://localhost:3000\r\nsec-fetch-site: same-site".to_owned(),
    ] {
        let request = format!("GET /hello HTTP/1.1\r\n{headers}");
        let (head, body) = http1(address, &request, b"").await;
        assert_eq!(
            (status(&head), body.as_str()),
            (200, "from the host"),
            "{headers}"
        );
    }
}

#[tokio::test]
async fn the_guard_also_holds_over_http2() {
    let hits = Arc::default();
    let node = TestNode::start(with_route(&hits)).await;
    let mut raw = Raw::connect(node.address()).await;
    for (uri, origin, expected) in [
        ("http://evil.example/hello", None, 421),
        ("http://localhost/hello", Some("http://evil.example"), 403),
        ("http://localhost/hello", Some("http://localhost"), 200),
        ("http://localhost/hello", None, 200),
    ] {
        let mut request = Request::get(uri);
        *request.headers_mut().unwrap() = origin
            .map(|origin| HeaderMap::from_iter([(http::header::ORIGIN, origin.parse().unwrap())]))
            .unwrap_or_default();
        let request = request.body(()).unwrap();
        let answer = raw.send(request, Bytes::new()).await;
        assert_eq!(answer.http_status, expected, "{uri} {origin:?}");
    }
    assert_eq!(hits.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn pages_of_the_address_of_the_connection_are_own_ones() {
    let hits = Arc::default();
    // All of 127.0.0.0/8 is loopback; only pages of 127.0.0.1 are always allowed.
    let listen = "127.0.0.2:0";
    let node = with_route(&hits).listen(listen).start().await.unwrap();
    let address = node.address().unwrap();
    for (host, expected) in [
        (address.to_string(), 200),
        ("127.0.0.2".to_owned(), 403),
        ("127.0.0.2:1".to_owned(), 403),
        (format!("127.0.0.3:{}", address.port()), 403),
    ] {
        let request = format!("GET /hello HTTP/1.1\r\nhost: localhost\r\norigin: http://{host}");
        let (head, _) = http1(address, &request, b"").await;
        assert_eq!(status(&head), expected, "{host}: {head}");
    }
    node.stop().await;
}

#[tokio::test]
async fn an_invalid_allowed_host_is_reported() {
    let builder = Node::builder().allow_host("http://node.example");
    let error = builder.listen(any_port()).start().await.unwrap_err();
    assert_eq!(error.reason(), "HOST_INVALID");
}

/// The beginnings of requests, and a whole request on a connection that is then idle.
const HALF_REQUESTS: [&[u8]; 7] = [
    b"PRI * HTTP/2.0\r\n",
    b"POST /upload HTTP/1.1\r\nhost: loc",
    b"POST /upload HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf",
    b"POST /upload HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\nha",
    b"POST /cidery.v1.AdminService/ListWorkers HTTP/1.1\r\nhost: localhost\r\n\
      content-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf",
    b"GET /hello HTTP/1.1\r\nhost: localhost\r\n\r\n",
    // The preface, empty settings, and 3 of 100 bytes of headers.
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x64\x01\x04\0\0\0\x01\x83\x86\x84",
];

/// Over HTTP/1 there is no stream to reset: the connection is closed.
#[tokio::test(flavor = "multi_thread")]
async fn responses_over_http1_that_are_not_read_do_not_lock_others_out() {
    const CONNECTIONS: usize = 4;
    // More than the sockets buffer.
    let large = Bytes::from(vec![b'x'; 64 << 20]);
    let node = Node::builder()
        .service("ping", async || 1)
        .routes(Router::new().route("/large", get(async move || large.clone())))
        .listen(any_port())
        .limits(|limits| {
            limits.connections = CONNECTIONS;
            limits.unread_timeout = Duration::from_millis(100);
        })
        .start()
        .await
        .unwrap();
    let address = node.address().unwrap();
    let mut unread = Vec::new();
    for _ in 0..2 * CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).await.unwrap();
        unread.push(stream);
    }
    let answered = async {
        let client = ContractClient::connect(&address.to_string()).await.unwrap();
        client.invoke(Call::new("ping", ())).await
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    answered.expect("the connections are held").unwrap();
    drop(unread);
    node.stop().await;
}

/// The timeouts run in real time here, so the test sets short ones.
#[tokio::test(flavor = "multi_thread")]
async fn half_requests_do_not_lock_others_out() {
    const CONNECTIONS: usize = 40;
    let routes = Router::new()
        .route("/upload", post(async |text: String| text))
        .route("/hello", get(async || "from the host"));
    let node = Node::builder()
        .register(Definition::new("ping", async || 1).unwrap())
        .routes(routes)
        .listen(any_port())
        .limits(|limits| {
            limits.connections = CONNECTIONS;
            limits.request_timeout = Duration::from_millis(100);
            limits.ping_interval = Duration::from_millis(200);
        })
        .start()
        .await
        .unwrap();
    let address = node.address().unwrap();
    let mut streams = Vec::new();
    for n in 0..5 * CONNECTIONS {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let half = HALF_REQUESTS[n % HALF_REQUESTS.len()];
        stream.write_all(half).await.unwrap();
        streams.push((n % HALF_REQUESTS.len(), stream));
    }
    for (kind, mut stream) in streams {
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        // A reset also ends the connection.
        let _ = read.unwrap_or_else(|_| panic!("request {kind} is held"));
    }
    let client = ContractClient::connect(&address.to_string()).await.unwrap();
    client.invoke(Call::new("ping", ())).await.unwrap();
    node.stop().await;
}
