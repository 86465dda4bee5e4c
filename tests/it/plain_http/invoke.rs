//! `POST /invoke/{service}`.

use std::sync::Arc;
use std::time::Duration;

use cidery::{Cid, Context, Error, Node, Reply, Value, dict};
use tokio::sync::Notify;

use super::client::{Answer, Client, call, text};
use crate::support::{PATIENCE, TestNode, ended, until};

const JSON: &str = "content-type: application/json";

#[tokio::test]
async fn a_service_is_invoked_with_json() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let answer = client
        .call("POST /invoke/customer.get", &[JSON], r#"{"cust_id":1}"#)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body, r#"{"cust_id":1,"cust_name":"Alexis Smith"}"#);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let cid = answer.header("cidery-cid").unwrap();
    assert!(Cid::parse(cid).is_ok());
    // Without a body it is the empty dict, and a name may be escaped.
    for (request, headers) in [
        ("POST /invoke/cidery.ping", &[][..]),
        ("POST /invoke/cidery%2Eping", &[JSON]),
    ] {
        let answer = client.call(request, headers, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let own = Cid::new();
    let header = format!("cidery-cid: {own}");
    let answer = client
        .call("POST /invoke/cidery.ping", &[&header], "")
        .await;
    assert_eq!(answer.header("cidery-cid"), Some(own.to_string().as_str()));
}

#[tokio::test]
async fn documents_are_answered_in_their_own_format_or_as_asked() {
    let node = Node::builder().service("rows", async |input: Value| input);
    let node = node.service("word", async || "a word");
    let node = TestNode::start(node).await;
    let mut client = Client::connect(node.address()).await;
    let csv = "content-type: text/csv; charset=utf-8";
    let answer = client
        .call("POST /invoke/rows", &[csv], "a,b\r\n1,2\r\n")
        .await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "a,b\r\n1,2\r\n")
    );
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/csv")
    );
    let answer = client
        .call(
            "POST /invoke/rows",
            &[csv, "accept: application/json"],
            "a\n1\n",
        )
        .await;
    assert_eq!(answer.body, r#"[{"a":"1"}]"#);
    let answer = client
        .call(
            "POST /invoke/rows",
            &[JSON, "accept: text/csv"],
            r#"[{"a":1}]"#,
        )
        .await;
    assert_eq!(answer.body, "a\r\n1\r\n");
    let plain = "content-type: text/plain";
    let answer = client.call("POST /invoke/word", &[plain], "x").await;
    assert_eq!(answer.body, "a word");
    let answer = client
        .call("POST /invoke/word", &["accept: text/plain, */*;q=0.1"], "")
        .await;
    assert_eq!(answer.body, "a word");
    // What cannot be written as asked.
    let answer = client
        .call(
            "POST /invoke/rows",
            &[JSON, "accept: text/plain"],
            r#"{"a":1,"b":2}"#,
        )
        .await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (400, "FORMAT_INVALID")
    );
}

#[tokio::test]
async fn failures_are_problems_with_the_reasons_of_grpc() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let mut call = async |request: &str, body: &str| client.call(request, &[JSON], body).await;
    let answer = call("POST /invoke/customer.get", r#"{"cust_id":"x"}"#).await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (400, "INPUT_INVALID")
    );
    assert_eq!(answer.paths(), ["/cust_id"]);
    let answer = call("POST /invoke/customer.got", "{}").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (404, "SERVICE_UNKNOWN")
    );
    assert!(answer.body.contains("customer.get"), "{answer:?}");
    let answer = call("POST /invoke/customer.get", "{\"cust_id\":").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (400, "DOCUMENT_MALFORMED")
    );
    let fail = r#"{"code":"UNAVAILABLE","message":"no answer","retryable":true}"#;
    let answer = call("POST /invoke/demo.fail", fail).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["retryable"], true.into());
    let answer = call("POST /invoke/demo.sleep?timeout=1ms", r#"{"seconds":60}"#).await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (504, "DEADLINE_EXCEEDED")
    );
}

#[tokio::test]
async fn all_options_that_are_wrong_are_told_at_once() {
    let node = TestNode::demo().await;
    let request =
        "POST /invoke/cidery.ping?timeuot=1s&delay=soon&async&cid=x&callbacks=a&on_exhausted=later";
    let headers = [
        "cidery-timeout: now",
        "cidery-other: 1",
        "idempotency-key: \"a",
    ];
    let answer = call(node.address(), request, &headers, "").await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (400, "REQUEST_INVALID")
    );
    let mut paths = answer.paths();
    paths.sort_unstable();
    let expected = [
        "/cid",
        "/cidery-other",
        "/cidery-timeout",
        "/delay",
        "/idempotency-key",
        "/on_exhausted",
        "/timeuot",
    ];
    assert_eq!(paths, expected, "{answer:?}");
    assert!(
        answer.body.contains("did you mean `timeout`?"),
        "{answer:?}"
    );
}

/// The CID in an answer 202, which it also names elsewhere.
fn accepted(answer: &Answer) -> Cid {
    assert_eq!(answer.status, 202, "{answer:?}");
    let cid = text(&answer.json()["cid"]);
    assert_eq!(
        answer.header("location"),
        Some(format!("/invocations/{cid}").as_str())
    );
    assert_eq!(answer.header("cidery-cid"), Some(cid.as_str()));
    Cid::parse(&cid).unwrap()
}

#[tokio::test]
async fn work_in_the_background_is_accepted_with_its_cid() {
    let node = TestNode::demo().await;
    let mut client = Client::connect(node.address()).await;
    let key = "idempotency-key: \"order-7\"";
    let request = "POST /invoke/customer.get?async&concurrency_key=7&retention=1h";
    let body = r#"{"cust_id":1}"#;
    let first = client.call(request, &[JSON, key], body).await;
    let cid = accepted(&first);
    assert_eq!(first.json()["already_accepted"], false.into());
    let again = client
        .call(request, &[JSON, "cidery-idempotency-key: order-7"], body)
        .await;
    assert_eq!(accepted(&again), cid);
    assert_eq!(again.json()["already_accepted"], true.into());
    assert_eq!(again.header("cidery-already-accepted"), Some("true"));
    let other = client.call(request, &[JSON, key], r#"{"cust_id":2}"#).await;
    assert_eq!(
        (other.status, other.reason().as_str()),
        (409, "IDEMPOTENCY_MISMATCH")
    );
    let found = ended(&node.client, cid).await;
    assert_eq!(found.concurrency_key, "7");
    let later = client
        .call(
            "POST /invoke/cidery.ping?delay=1h",
            &["prefer: respond-async"],
            "",
        )
        .await;
    assert_eq!(later.header("preference-applied"), Some("respond-async"));
    let found = node
        .client
        .invocation(accepted(&later), Duration::ZERO)
        .await
        .unwrap();
    assert!(found.end_time.is_none());
}

#[tokio::test]
async fn a_caller_waits_as_long_as_it_prefers() {
    let gate = Arc::new(Notify::new());
    let open = Arc::clone(&gate);
    let builder = Node::builder().service("gated", move || {
        let open = Arc::clone(&open);
        async move {
            open.notified().await;
            dict! { "n": 1 }
        }
    });
    let node = TestNode::start(builder).await;
    let mut client = Client::connect(node.address()).await;
    let answer = client
        .call("POST /invoke/gated", &["prefer: wait=0"], "")
        .await;
    let cid = accepted(&answer);
    assert_eq!(answer.header("preference-applied"), Some("wait=0"));
    gate.notify_one();
    assert!(ended(&node.client, cid).await.outcome.is_some());
    // One that ends in time is answered.
    gate.notify_one();
    let answer = client
        .call("POST /invoke/gated", &["prefer: wait=60"], "")
        .await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"n":1}"#));
}

#[tokio::test]
async fn a_repeated_call_gets_the_first_outcome() {
    let builder =
        Node::builder().service("once", async |context: Context| context.cid().to_string());
    let node = TestNode::start(builder).await;
    let mut client = Client::connect(node.address()).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(
            client
                .call("POST /invoke/once", &["idempotency-key: a"], "")
                .await,
        );
    }
    assert_eq!(answers[0].body, answers[1].body);
    assert_eq!(answers[0].header("cidery-already-accepted"), None);
    assert_eq!(answers[1].header("cidery-already-accepted"), Some("true"));
}

#[tokio::test]
async fn metadata_is_sent_and_answered_in_headers() {
    let builder = Node::builder().service("echo", async |context: Context| {
        let metadata = context.metadata();
        let all: Vec<String> = metadata
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut reply = Reply::from(cidery::Payload::from(Value::from(all.join(" "))));
        reply.metadata.insert("set-cookie", "a=b");
        reply.metadata.insert("order", "7");
        reply.metadata.insert("bad name", "x");
        Ok::<_, Error>(reply)
    });
    let node = TestNode::start(builder).await;
    let headers = [
        "x-request-id: 9",
        "cookie: secret=1",
        "x-api-key: secret",
        "accept-language: en",
        "referer: http://localhost/",
    ];
    let answer = call(node.address(), "POST /invoke/echo", &headers, "").await;
    assert_eq!(answer.body, "\"x-request-id=9\"", "{answer:?}");
    assert_eq!(answer.header("cidery-metadata-order"), Some("7"));
    assert_eq!(answer.header("set-cookie"), None);
}

/// A caller that goes away cancels its call.
#[tokio::test]
async fn a_caller_that_disconnects_cancels_its_call() {
    let (started, cancelled) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (has_started, was_cancelled) = (Arc::clone(&started), Arc::clone(&cancelled));
    let builder = Node::builder().service("waits", move |context: Context| {
        let (has_started, was_cancelled) = (Arc::clone(&has_started), Arc::clone(&was_cancelled));
        async move {
            has_started.notify_one();
            context.cancelled().await;
            was_cancelled.notify_one();
        }
    });
    let node = TestNode::start(builder).await;
    let mut client = Client::connect(node.address()).await;
    client
        .send("POST /invoke/waits HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await;
    tokio::time::timeout(PATIENCE, started.notified())
        .await
        .unwrap();
    drop(client);
    tokio::time::timeout(PATIENCE, cancelled.notified())
        .await
        .unwrap();
    until("the handler ends", || {
        node.handle.invoker().running_handlers() == 0
    })
    .await;
}
