//! A collector that is away, slow, or refuses: the node works on, and says what is lost.

use std::time::Duration;

use cidery::dict;
use tokio::net::TcpListener;

use super::collector::{Collector, Mood};
use super::{Traced, has};
use crate::plain_http::client::call;
use crate::support::PATIENCE;
use crate::support::binary::{Server, cidery, stderr};

const INVOKE: &str = "cidery.v1.InvocationService/Invoke";

#[tokio::test(flavor = "multi_thread")]
async fn spans_wait_for_a_collector_that_is_away() {
    let listener = TcpListener::bind(crate::support::any_port()).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = Server::start(&["--otlp-endpoint", &address.to_string()]);
    let node = Traced::of(server).await;
    node.recording()
        .invoke("cidery.ping", dict! {})
        .await
        .unwrap();
    let listener = TcpListener::bind(address).await.unwrap();
    let collector = Collector::start_on(listener, Mood::Takes);
    collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_are_refused_are_dropped_and_logged() {
    let collector = Collector::start_as(Mood::Refuses(tonic::Code::InvalidArgument)).await;
    let mut node = Traced::start(&collector).await;
    node.recording()
        .invoke("cidery.ping", dict! {})
        .await
        .unwrap();
    collector.until_requests(1).await;
    let address = node.server.address.parse().unwrap();
    let counted = async {
        let has_counted = async || {
            let metrics = call(address, "GET /metrics", &[], "").await;
            metrics.body.contains("\ncidery_spans_dropped_total 2\n")
        };
        while !has_counted().await {}
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap();
    let (log, status) = node.server.terminate();
    assert!(status.success());
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("not delivered"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(
        lines[0].contains("dropped=2") && lines[0].contains("InvalidArgument"),
        "{log}"
    );
    assert!(collector.spans().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_cannot_be_taken_now_is_sent_again() {
    let collector = Collector::start_as(Mood::Refuses(tonic::Code::Unavailable)).await;
    let node = Traced::start(&collector).await;
    node.recording()
        .invoke("cidery.ping", dict! {})
        .await
        .unwrap();
    collector.until_requests(2).await;
    collector.set_mood(Mood::Takes);
    let spans = collector
        .until("the call", |spans| has(spans, INVOKE))
        .await;
    assert_eq!(spans.len(), 2, "each span once: {spans:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_delays_no_call_and_the_stop_by_seconds() {
    let collector = Collector::start_as(Mood::Sleeps).await;
    let mut node = Traced::start(&collector).await;
    let client = node.recording();
    // More than the queue holds.
    for _ in 0..40 {
        let calls = (0..64).map(|_| client.invoke("cidery.ping", dict! {}).into_future());
        for answer in futures_util::future::join_all(calls).await {
            answer.unwrap();
        }
    }
    let stop = tokio::task::spawn_blocking(move || node.server.terminate());
    let stopped = tokio::time::timeout(Duration::from_secs(20), stop).await;
    let (log, status) = stopped.unwrap().unwrap();
    assert!(status.success());
    assert!(log.contains("did not take the last spans in time"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_when_the_node_stops() {
    let collector = Collector::start().await;
    let mut node = Traced::start(&collector).await;
    let client = node.recording();
    let calls = (0..100).map(|_| client.invoke("cidery.ping", dict! {}).into_future());
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    let (_, status) = node.server.terminate();
    assert!(status.success());
    assert_eq!(collector.spans().len(), 200);
}

#[test]
fn a_collector_that_cannot_be_one_is_refused_without_its_headers() {
    let run = |options: &[&str], headers: &str| {
        let mut command = cidery();
        command
            .args(["serve", "--in-memory", "--listen", "127.0.0.1:0"])
            .args(options);
        let output = command
            .env("CIDERY_OTLP_HEADERS", headers)
            .output()
            .unwrap();
        assert!(!output.status.success());
        stderr(&output)
    };
    let text = run(
        &["--otlp-endpoint", "http://127.0.0.1:1/v1/traces"],
        "a=swordfish",
    );
    assert!(
        text.contains("otlp-endpoint") && text.contains("HOST:PORT"),
        "{text}"
    );
    let text = run(&["--otlp-endpoint", "127.0.0.1:1"], "swordfish");
    assert!(
        text.contains("header 1: use `NAME=VALUE`") && !text.contains("swordfish"),
        "{text}"
    );
    let text = run(&[], "a=swordfish");
    assert!(
        text.contains("otlp_endpoint") && !text.contains("swordfish"),
        "{text}"
    );
}
