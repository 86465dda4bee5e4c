//! What spans say: batches, retries, queues, failures; and what they do not say.

use std::time::Duration;

use cidery::codec::proto::otlp::trace::v1::span::SpanKind;
use cidery::model::call::{Call, DurableOptions};
use cidery::remote::client::ContractClient;
use cidery::{Batch, RetryPolicy, dict};

use super::collector::Collector;
use super::{CALLER, TRACE, Traced, has, named};
use crate::support::PATIENCE;
use crate::support::binary::Server;

const SECRET: &str = "swordfish";

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_has_a_span_with_its_own_outcome() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let client = node.recording();
    let policy = RetryPolicy {
        initial_interval: Duration::from_millis(1),
        ..RetryPolicy::default()
    };
    let call = client.invoke_async("demo.flaky", dict! { "failures": 1 });
    let cid = call.retry_policy(policy).await.unwrap();
    client.wait(cid).await.unwrap();
    let is_over = |spans: &[super::Seen]| {
        let attempts = spans
            .iter()
            .filter(|span| span.name == "process demo.flaky");
        attempts.count() == 2
    };
    let spans = collector.until("two attempts", is_over).await;
    let publish = named(&spans, "publish demo.flaky");
    let outcomes = ["1", "2"].map(|attempt| {
        let mut attempts = spans
            .iter()
            .filter(|span| span.name == "process demo.flaky");
        let span = attempts
            .find(|span| span.attributes["cidery.attempt"] == attempt)
            .unwrap();
        assert_eq!(span.parent, publish.id);
        (span.attributes["cidery.outcome"].as_str(), span.is_error)
    });
    assert_eq!(outcomes, [("failed", true), ("succeeded", false)]);
    // The second one begins when it is due.
    let queued = spans.iter().filter(|span| span.name == "queue demo.flaky");
    assert_eq!(queued.count(), 2);
    // The acceptance, the failure that is retried, and the outcome are on disk before anyone hears of them.
    let is_over =
        |spans: &[super::Seen]| spans.iter().filter(|it| it.name == "commit").count() == 3;
    let spans = collector.until("three commits", is_over).await;
    for commit in spans.iter().filter(|span| span.name == "commit") {
        assert_eq!(commit.parent, publish.id);
        assert_eq!(commit.attributes["cidery.cid"], cid.to_string());
        assert_eq!(commit.attributes["cidery.service"], "demo.flaky");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_published_once_and_its_callbacks_are_in_the_same_trace() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let client = node.recording();
    let members = (1..=3).map(|to| ("demo.count", dict! { "to": to }));
    let mut batch = Batch::of(members).unwrap();
    batch.on_final = vec!["cidery.ping".to_owned()];
    let group = client.invoke_batch(batch).await.unwrap();
    client.join(&group).await.unwrap();
    let (callback, last) = (
        "process cidery.ping",
        [
            "publish batch",
            "publish cidery.ping",
            "process cidery.ping",
        ],
    );
    let is_over = |spans: &[super::Seen]| last.iter().all(|name| has(spans, name));
    let spans = collector.until("the callback", is_over).await;
    let publish = named(&spans, "publish batch");
    assert_eq!(publish.kind, SpanKind::Producer);
    assert_eq!(publish.attributes["messaging.batch.message_count"], "3");
    let members = spans
        .iter()
        .filter(|span| span.name == "process demo.count");
    let parents: Vec<&str> = members.map(|span| span.parent.as_str()).collect();
    assert_eq!(parents, [publish.id.as_str(); 3]);
    let published = named(&spans, "publish cidery.ping");
    assert_eq!(published.parent, publish.id);
    let group_cid = group.cid.to_string();
    let is_of_group =
        |span: &&super::Seen| span.name == "commit" && span.attributes["cidery.cid"] == group_cid;
    let commit = spans.iter().find(is_of_group).unwrap();
    assert_eq!(commit.parent, publish.id);
    assert_eq!(named(&spans, callback).parent, published.id);
    assert!(spans.iter().all(|span| span.trace == TRACE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_its_turn_has_a_span_of_the_wait() {
    let collector = Collector::start().await;
    let options = [
        "--trace-sample",
        "0",
        "--service-limit",
        "demo.sleep concurrency=1",
    ];
    let node = Traced::start_with(&collector, &options, &[]).await;
    let client = node.recording();
    let sleep = || client.invoke("demo.sleep", dict! { "seconds": 0.1 });
    let (one, other) = tokio::join!(sleep().into_future(), sleep().into_future());
    one.unwrap();
    other.unwrap();
    let is_over = |spans: &[super::Seen]| {
        spans
            .iter()
            .filter(|span| span.name == "attempt demo.sleep")
            .count()
            == 2
    };
    let spans = collector.until("both calls", is_over).await;
    let waited = named(&spans, "queue demo.sleep");
    let attempt = spans
        .iter()
        .find(|span| span.name == "attempt demo.sleep" && span.parent == waited.parent);
    assert!(attempt.unwrap().start >= waited.end);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_did_wrong_is_no_error_of_the_server() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let client = node.recording();
    let refused = client.invoke("no.such.service", dict! {}).await;
    assert_eq!(refused.unwrap_err().reason(), "SERVICE_UNKNOWN");
    let name = "cidery.v1.InvocationService/Invoke";
    let spans = collector.until("the call", |spans| has(spans, name)).await;
    let refused = named(&spans, name);
    assert_eq!(refused.parent, CALLER);
    assert!(
        !refused.is_error && refused.events.is_empty(),
        "{refused:?}"
    );
    assert_eq!(refused.attributes["rpc.grpc.status_code"], "5");
    assert_eq!(refused.attributes["cidery.reason"], "SERVICE_UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_cancels_its_spans() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let client = node.recording();
    let call = client.invoke("demo.sleep", dict! { "seconds": 600 });
    let left = tokio::time::timeout(Duration::from_millis(200), call.into_future()).await;
    assert!(left.is_err());
    let name = "cidery.v1.InvocationService/Invoke";
    let is_over = |spans: &[super::Seen]| has(spans, name) && has(spans, "attempt demo.sleep");
    let spans = collector.until("the call", is_over).await;
    assert_eq!(named(&spans, name).attributes["rpc.grpc.status_code"], "1");
    let attempt = named(&spans, "attempt demo.sleep");
    assert_eq!(
        attempt.attributes["cidery.outcome"], "cancelled",
        "{attempt:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_caller_sends_is_in_a_span() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let client = node.recording();
    let secret = || dict! { "seconds": SECRET, "to": SECRET, "message": SECRET, "code": SECRET };
    let fail = dict! { "message": SECRET, "code": "INTERNAL" };
    let _ = client
        .invoke("demo.fail", fail.clone())
        .metadata("x-key", SECRET)
        .await;
    let _ = client.invoke("demo.sleep", secret()).await;
    let _ = client.invoke(SECRET, secret()).await;
    let cid = client.invoke_async("demo.count", dict! { "to": 1 });
    let cid = cid
        .idempotency_key(SECRET)
        .concurrency_key(SECRET)
        .await
        .unwrap();
    client.outcome(cid, PATIENCE).await.unwrap();
    let failing = client
        .invoke_async("demo.fail", fail)
        .callback("demo.count");
    let failing = failing.failure_callback("demo.count").await.unwrap();
    let _ = client.cancel(failing).await;
    let name = "process demo.count";
    collector
        .until("the last one", |spans| has(spans, name))
        .await;
    // A bad credential, and a path that is no method.
    let bad = node
        .client
        .clone()
        .credential(cidery::ClientCredential::provider(|| Ok(SECRET.to_owned())));
    let _ = bad
        .trace_context(|| Some(super::recorded()))
        .invoke("cidery.ping", dict! {})
        .await;
    let requests = format!("{:?}", collector.requests());
    assert!(requests.contains("demo.fail"));
    assert!(!requests.contains(SECRET), "{requests}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_line_of_a_failed_attempt_carries_its_trace() {
    let collector = Collector::start().await;
    let url = collector.url();
    // Whose call an error is about is said with every filter.
    let options = ["--log-format", "json", "--log", "warn"];
    let mut server = Server::start(&[&["--otlp-endpoint", &url], &options[..]].concat());
    let client = ContractClient::connect(&server.address).await.unwrap();
    let client = client.trace_context(|| Some(super::recorded()));
    let mut call = Call::new("demo.fail", dict! {});
    call.durable = Some(Box::new(DurableOptions {
        retry_policy: Some(RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        }),
        ..DurableOptions::default()
    }));
    let cid = client.invoke_async(call).await.unwrap().cid.to_string();
    let name = "process demo.fail";
    let spans = collector.until("the call", |spans| has(spans, name)).await;
    let (log, _) = server.terminate();
    let mut lines = log.lines().filter(|line| line.contains(&cid));
    let line = lines.next().unwrap_or_else(|| panic!("{log}"));
    let line = cidery::codec::json::read(line.as_bytes()).unwrap();
    let span = named(&spans, name).id.as_str();
    for (key, expected) in [
        ("cid", cid.as_str()),
        ("service", "demo.fail"),
        ("trace_id", TRACE),
        ("span_id", span),
    ] {
        assert_eq!(line[key].as_text(), Some(expected), "{line:?}");
    }
    assert!(lines.next().is_none(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_of_a_handler_carry_its_trace() {
    let collector = Collector::start().await;
    let url = collector.url();
    let mut server = Server::start(&["--otlp-endpoint", &url, "--log-format", "json"]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let client = client.trace_context(|| Some(super::recorded()));
    let call = Call::new("invoking.my-service2", dict! { "customer_id": 7 });
    client.invoke(call).await.unwrap();
    let name = "attempt invoking.my-service2";
    let spans = collector.until("the call", |spans| has(spans, name)).await;
    let (log, _) = server.terminate();
    let line = log
        .lines()
        .find(|line| line.contains("\"invoked\""))
        .unwrap();
    let line = cidery::codec::json::read(line.as_bytes()).unwrap();
    assert_eq!(line["trace_id"].as_text(), Some(TRACE));
    assert_eq!(
        line["span_id"].as_text(),
        Some(named(&spans, name).id.as_str())
    );
    assert_eq!(line["service"].as_text(), Some("invoking.my-service2"));
    assert_eq!(
        line["cid"].as_text(),
        Some(named(&spans, name).attributes["cidery.cid"].as_str())
    );
}
