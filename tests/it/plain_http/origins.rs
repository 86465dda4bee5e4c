//! Web pages: those of other hosts call nothing, unless their origin is allowed.

use std::net::SocketAddr;

use cidery::{AccessOptions, CertificateRule, Node};

use super::client::{Answer, call};
use crate::support::{TestNode, any_port};

const PAGE: &str = "origin: https://app.example";

/// A request for each path, as a page can send it without asking first where a page can.
const REQUESTS: [(&str, &[&str], &str); 9] = [
    (
        "POST /invoke/cidery.ping?async",
        &["content-type: text/plain"],
        "{}",
    ),
    ("POST /invoke/cidery.ping?async", &[], ""),
    (
        "POST /invoke/cidery.ping?async",
        &["content-type: application/x-www-form-urlencoded"],
        "a=1",
    ),
    ("GET /invocations", &[], ""),
    ("GET /invocations/x/events", &[], ""),
    (
        "POST /invocations/x/complete?token=1",
        &["content-type: text/plain"],
        "x",
    ),
    ("DELETE /invocations/x", &[], ""),
    ("GET /services", &[], ""),
    ("GET /readyz", &[], ""),
];

/// The last `host` counts as well: `Client` sends its own first.
async fn from(address: SocketAddr, headers: &[&str]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (request, own, body) in REQUESTS {
        let all = [own, headers].concat();
        answers.push(call(address, request, &all, body).await);
    }
    answers
}

async fn stored(node: &TestNode) -> usize {
    let all = cidery::codec::proto::v1::InvocationFilter::default();
    node.client.invocations(all, 10).await.unwrap().len()
}

#[tokio::test]
async fn pages_of_other_hosts_call_nothing() {
    let node = TestNode::demo().await;
    for (status, headers) in [
        (403, vec![PAGE]),
        (403, vec!["origin: null"]),
        (403, vec!["sec-fetch-site: cross-site"]),
        // DNS rebinding: the name of the page resolves to the node.
        (421, vec!["host: app.example"]),
        (421, vec!["host: app.example", "origin: http://app.example"]),
    ] {
        for answer in from(node.address(), &headers).await {
            assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(stored(&node).await, 0);
    let preflight = [PAGE, "access-control-request-method: POST"];
    let answer = call(
        node.address(),
        "OPTIONS /invoke/cidery.ping",
        &preflight,
        "",
    )
    .await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn pages_of_an_allowed_origin_call_and_read() {
    let builder = Node::builder().demo().allow_origin("https://app.example");
    let node = TestNode::start(builder.allow_origin("http://other.example:8080")).await;
    let cross = "sec-fetch-site: cross-site";
    let ping = call(
        node.address(),
        "POST /invoke/cidery.ping",
        &[PAGE, cross],
        "",
    )
    .await;
    assert_eq!(ping.status, 200, "{ping:?}");
    let origin = "access-control-allow-origin";
    assert_eq!(ping.header(origin), Some("https://app.example"));
    assert_eq!(
        ping.header("access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(
        ping.header("access-control-expose-headers"),
        Some("content-type, cidery-cid, content-length, vary")
    );
    assert_eq!(ping.header("vary"), Some("origin"));
    // Failures are read as well.
    let unknown = call(
        node.address(),
        "POST /invoke/none",
        &["origin: http://other.example:8080"],
        "",
    )
    .await;
    assert_eq!(
        (unknown.status, unknown.header(origin)),
        (404, Some("http://other.example:8080"))
    );
    for other in [
        "origin: http://app.example",
        "origin: https://app.example.evil.example",
        "origin: null",
    ] {
        let answer = call(node.address(), "POST /invoke/cidery.ping", &[other], "").await;
        assert_eq!(
            (answer.status, answer.header(origin)),
            (403, None),
            "{other}"
        );
    }
    // A program, which has no origin, and a page of the node are told nothing.
    for own in [&[][..], &["origin: http://localhost:3000"]] {
        let answer = call(node.address(), "GET /services", own, "").await;
        assert_eq!(
            (answer.status, answer.header(origin)),
            (200, None),
            "{own:?}"
        );
    }
    // The host is checked all the same.
    let rebound = call(
        node.address(),
        "GET /services",
        &[PAGE, "host: app.example"],
        "",
    )
    .await;
    assert_eq!(rebound.status, 421);
}

#[tokio::test]
async fn a_browser_asks_first() {
    let node = TestNode::start(Node::builder().demo().allow_origin("https://app.example")).await;
    let asked = [
        PAGE,
        "access-control-request-method: DELETE",
        "access-control-request-headers: authorization,content-type",
        "access-control-request-private-network: true",
    ];
    for path in [
        "/invocations/x",
        "/cidery.v1.InvocationService/Invoke",
        "/any",
    ] {
        let answer = call(node.address(), &format!("OPTIONS {path}"), &asked, "").await;
        assert_eq!(answer.status, 204, "{answer:?}");
        let header = |name: &str| answer.header(&format!("access-control-{name}"));
        assert_eq!(header("allow-origin"), Some("https://app.example"));
        assert_eq!(header("allow-headers"), Some("authorization,content-type"));
        assert!(header("allow-methods").unwrap().contains("DELETE"));
        assert_eq!(header("allow-private-network"), Some("true"));
        assert_eq!(header("max-age"), Some("7200"));
        assert!(answer.header("vary").unwrap().contains("origin"));
    }
    let refused = [
        "origin: https://evil.example",
        "access-control-request-method: POST",
    ];
    let answer = call(node.address(), "OPTIONS /invoke/cidery.ping", &refused, "").await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn every_origin_may_call_without_credentials_of_the_browser() {
    let node = TestNode::start(Node::builder().demo().allow_origin("*")).await;
    let ping = call(node.address(), "POST /invoke/cidery.ping", &[PAGE], "").await;
    assert_eq!(ping.header("access-control-allow-origin"), Some("*"));
    assert_eq!(ping.header("access-control-allow-credentials"), None);
    let certificates = vec![CertificateRule::new("spiffe://example.org/*")];
    let mut access = AccessOptions::default();
    access.certificates = certificates;
    let builder = Node::builder()
        .allow_origin("*")
        .access(access)
        .listen(any_port());
    let error = builder.start().await.unwrap_err();
    assert_eq!(error.reason(), "ORIGIN_INVALID");
    let builder = Node::builder()
        .allow_origin("app.example")
        .listen(any_port());
    assert_eq!(
        builder.start().await.unwrap_err().reason(),
        "ORIGIN_INVALID"
    );
}
