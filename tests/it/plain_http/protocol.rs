//! The protocol: methods, media types, sizes, and the ways in which a request may arrive.

use axum::Router;
use axum::routing::{any, get};
use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::{Node, Value};
use http::Request;

use super::client::{Client, call};
use crate::support::TestNode;
use crate::support::raw::Raw;

const JSON: &str = "content-type: application/json";

async fn node() -> TestNode {
    let builder = Node::builder()
        .service("echo", async |input: Value| input)
        .limits(|limits| limits.message_bytes = 4_096);
    TestNode::start(builder).await
}

#[tokio::test]
async fn a_path_says_which_methods_it_has() {
    let node = node().await;
    let mut client = Client::connect(node.address()).await;
    for (path, allowed) in [
        ("/invoke/echo", "POST, OPTIONS"),
        ("/invocations", "GET, HEAD, OPTIONS"),
        ("/invocations/x", "GET, HEAD, DELETE, OPTIONS"),
        ("/invocations/x/events", "GET, HEAD, OPTIONS"),
        ("/invocations/x/complete", "POST, OPTIONS"),
        ("/services", "GET, HEAD, OPTIONS"),
        ("/services/x", "GET, HEAD, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/readyz", "GET, HEAD, OPTIONS"),
    ] {
        let answer = client.call(&format!("OPTIONS {path}"), &[], "").await;
        assert_eq!(
            (answer.status, answer.header("allow")),
            (204, Some(allowed)),
            "{path}"
        );
        for method in ["PUT", "PATCH", "BREW", "GET", "POST"] {
            if allowed.contains(method) {
                continue;
            }
            let answer = client.call(&format!("{method} {path}"), &[], "").await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some(allowed)),
                "{method} {path}"
            );
            assert_eq!(answer.reason(), "METHOD_NOT_ALLOWED");
        }
    }
}

#[tokio::test]
async fn an_unknown_path_names_the_nearest_one() {
    let node = node().await;
    let mut client = Client::connect(node.address()).await;
    for (path, meant) in [
        ("/invoke", "/invoke/{service}"),
        ("/invocation/x/events", "/invocations/{cid}/events"),
        ("/helthz", "/healthz"),
        ("/invoke/a/b", "/invoke/{service}"),
        ("/", "/docs"),
    ] {
        let answer = client.call(&format!("GET {path}"), &[], "").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (404, "PATH_UNKNOWN")
        );
        assert!(answer.body.contains(meant), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn media_types_that_are_not_supported_are_refused() {
    let node = node().await;
    let mut client = Client::connect(node.address()).await;
    for (headers, status, reason) in [
        (
            &["content-type: application/xml"][..],
            415,
            "MEDIA_TYPE_UNSUPPORTED",
        ),
        (&[], 415, "MEDIA_TYPE_UNSUPPORTED"),
        (
            &["content-type: text/plain; charset=latin1"],
            415,
            "MEDIA_TYPE_UNSUPPORTED",
        ),
        (
            &[JSON, "content-encoding: gzip"],
            415,
            "MEDIA_TYPE_UNSUPPORTED",
        ),
        (&[JSON, "accept: text/html"], 406, "NOT_ACCEPTABLE"),
        (
            &[JSON, "accept: application/json;q=0"],
            406,
            "NOT_ACCEPTABLE",
        ),
    ] {
        let answer = client.call("POST /invoke/echo", headers, "{}").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (status, reason),
            "{headers:?}"
        );
    }
    let answer = client
        .call("POST /invoke/echo", &[JSON, "content-encoding: gzip"], "{}")
        .await;
    assert_eq!(answer.header("accept-encoding"), Some("identity"));
    assert!(answer.header("accept-post").unwrap().contains("text/csv"));
}

#[tokio::test]
async fn a_body_has_a_largest_size_however_it_arrives() {
    let node = node().await;
    let large = format!("\"{}\"", "x".repeat(5_000));
    let answer = call(node.address(), "POST /invoke/echo", &[JSON], &large).await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (413, "MESSAGE_TOO_LARGE")
    );
    assert_eq!(answer.json()["info"]["message_bytes"], "4096".into());
    let mut client = Client::connect(node.address()).await;
    let head = format!(
        "POST /invoke/echo HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    client
        .send(format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len()))
        .await;
    assert_eq!(client.answer("POST").await.status, 413);
    // In chunks, with trailers.
    let mut client = Client::connect(node.address()).await;
    client
        .send(format!(
            "{head}3\r\n[1,\r\n2\r\n2]\r\n0\r\nx-trailer: 1\r\n\r\n"
        ))
        .await;
    let answer = client.answer("POST").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "[1,2]"));
    let value = format!("\"{}\"", "x".repeat(3_000));
    let answer = client.call("POST /invoke/echo", &[JSON], &value).await;
    assert_eq!((answer.status, answer.body), (200, value));
}

/// A client that waits for `100 Continue` sends nothing that would be refused.
#[tokio::test]
async fn a_body_is_asked_for_once_its_head_is_accepted() {
    let node = node().await;
    let expect = "expect: 100-continue";
    for (path, head, status) in [
        ("/invoke/echo", JSON, 100),
        ("/invoke/echo?x=1", JSON, 400),
        ("/invoke/echo", "content-type: image/png", 415),
    ] {
        let mut client = Client::connect(node.address()).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\n{head}\r\n{expect}\r\ncontent-length: 2\r\n\r\n"
        );
        client.send(request).await;
        let answer = client.head().await;
        assert_eq!(answer.status, status, "{path} {head}");
        if status == 100 {
            client.send("[]").await;
            assert_eq!(client.answer("POST").await.body, "[]");
        }
    }
    let mut client = Client::connect(node.address()).await;
    let head = format!("POST /invoke/echo HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\n{expect}");
    client
        .send(format!("{head}\r\ncontent-length: 5000\r\n\r\n"))
        .await;
    assert_eq!(client.head().await.status, 413);
}

#[tokio::test]
async fn requests_are_pipelined() {
    let node = node().await;
    let mut client = Client::connect(node.address()).await;
    let request = |n: usize| {
        format!(
            "POST /invoke/echo HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ncontent-length: 1\r\n\r\n{n}"
        )
    };
    client.send((0..9).map(request).collect::<String>()).await;
    for n in 0..9 {
        assert_eq!(client.answer("POST").await.body, n.to_string());
    }
}

#[tokio::test]
async fn http2_has_the_same_paths() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let request = |method: &str, path: &str| {
        Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .header("content-type", "application/json")
            .body(())
            .unwrap()
    };
    let answer = raw
        .send(request("POST", "/invoke/echo"), Bytes::from_static(b"[1]"))
        .await;
    assert_eq!(
        (answer.http_status, answer.get("content-length")),
        (200, Some("3"))
    );
    assert!(answer.get("cidery-cid").is_some());
    let answer = raw.send(request("GET", "/invoke/echo"), Bytes::new()).await;
    assert_eq!(answer.http_status, 405);
}

/// A route of the host is not the node's any more, and its layers see the node's.
#[tokio::test]
async fn a_route_of_the_host_replaces_one_of_the_node() {
    let routes = Router::new()
        .route("/readyz", get(async || "the host's"))
        .route("/services/{name}", any(async || "the host's too"))
        .route("/invoke/cidery.ping", any(async || "the host's call"));
    let node = TestNode::start(Node::builder().demo().routes(routes)).await;
    let mut client = Client::connect(node.address()).await;
    assert_eq!(client.call("GET /readyz", &[], "").await.body, "the host's");
    assert_eq!(
        client.call("GET /services/x", &[], "").await.body,
        "the host's too"
    );
    let ping = client.call("POST /invoke/cidery.ping", &[], "").await;
    assert_eq!(ping.body, "the host's call");
    let echo = client.call("POST /invoke/none", &[], "").await;
    assert_eq!(echo.reason(), "SERVICE_UNKNOWN");
    assert_eq!(client.call("GET /healthz", &[], "").await.body, "ok\n");
    assert_eq!(client.call("GET /services", &[], "").await.status, 200);
    let all = v1::InvocationFilter::default();
    assert!(node.client.invocations(all, 1).await.unwrap().is_empty());
}

/// Half a body holds nothing for long.
#[tokio::test]
async fn half_a_body_is_given_up() {
    let builder = Node::builder()
        .service("echo", async |input: Value| input)
        .limits(|limits| limits.request_timeout = std::time::Duration::from_millis(50));
    let node = TestNode::start(builder).await;
    let mut client = Client::connect(node.address()).await;
    let head = format!(
        "POST /invoke/echo HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ncontent-length: 9\r\n\r\n["
    );
    client.send(head).await;
    let answer = client.answer("POST").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (504, "REQUEST_INCOMPLETE")
    );
}

/// A query has as many wrong parameters as its caller likes: so many are listed, and the others counted.
#[tokio::test]
async fn violations_of_a_query_are_listed_up_to_a_limit() {
    let node = node().await;
    let wrong: Vec<String> = (0..1_500).map(|n| format!("x{n}")).collect();
    let path = format!("POST /invoke/echo?{}", wrong.join("&"));
    let answer = call(node.address(), &path, &[], "").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (400, "REQUEST_INVALID")
    );
    let listed = answer.paths().len();
    let problem = answer.json();
    let omitted = i64::try_from(wrong.len() - listed).unwrap();
    assert!(omitted > 0, "{listed}");
    assert_eq!(problem["violations_omitted"], Value::from(omitted));
}

/// What never reaches a path is refused in the same form.
#[tokio::test]
async fn what_is_refused_before_its_path_is_a_problem() {
    let node = node().await;
    let rpc = "/cidery.v1.InvocationService/Invoke";
    for (request, header, status, reason) in [
        (
            "GET /services".to_owned(),
            "host: evil.example",
            421,
            "HOST_REFUSED",
        ),
        (
            "GET /services".to_owned(),
            "origin: https://evil.example",
            403,
            "ORIGIN_REFUSED",
        ),
        (format!("GET {rpc}"), "x: y", 405, "METHOD_NOT_ALLOWED"),
        (
            format!("POST {rpc}"),
            "content-type: text/plain",
            415,
            "MEDIA_TYPE_UNSUPPORTED",
        ),
        (
            format!("POST {rpc}"),
            "content-type: application/grpc",
            505,
            "HTTP_VERSION_UNSUPPORTED",
        ),
    ] {
        let mut client = Client::connect(node.address()).await;
        let host = if header.starts_with("host") {
            header
        } else {
            "host: localhost"
        };
        let more = if header == host { "x: y" } else { header };
        client
            .send(format!("{request} HTTP/1.1\r\n{host}\r\n{more}\r\n\r\n"))
            .await;
        let answer = client.answer("GET").await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (status, reason),
            "{request}"
        );
    }
    let title = call(node.address(), "PUT /services", &[], "").await.json()["title"].clone();
    assert_eq!(title, "Method not allowed".into());
    let mut client = Client::connect(node.address()).await;
    assert_eq!(client.call("OPTIONS *", &[], "").await.status, 204);
}
