//! Refused calls of typed methods: all invalid options and all malformed fields at once.

use cidery::Node;
use cidery::sio::{DateTime, DictList, List, Sio, Text};
use serde_json::json;

use crate::support::dynamic::Dynamic;
use crate::support::raw::{Raw, framed};
use crate::support::{TestNode, echo, error_of, paths};

/// The violations of a refused call: path, code and message.
fn violations(status: &tonic::Status) -> Vec<(String, String, String)> {
    let error = error_of(status);
    assert_eq!(error.reason(), "REQUEST_INVALID");
    let violations = error.field_violations().iter();
    let parts = violations.map(|it| (it.path.clone(), it.code.to_string(), it.message.clone()));
    let mut parts: Vec<_> = parts.collect();
    parts.sort();
    parts
}

#[tokio::test]
async fn all_invalid_options_are_reported_and_the_valid_ones_listed() {
    let node = TestNode::demo().await;
    let client = Dynamic::discover(node.address(), "customer.Service").await;
    let call = async |path: &str, metadata: &[(&'static str, &str)]| {
        let refused = client
            .call_with(path, json!({ "cust_id": 1 }), metadata)
            .await;
        violations(&refused.unwrap_err())
    };
    let metadata = [
        ("cidery-cid", "x"),
        ("cidery-delay", "1s"),
        ("cidery-idempotency-key", ""),
        ("cidery-on-deadline", "never"),
        ("cidery-tiemout", "5s"),
        ("cidery-timeout", "5"),
    ];
    let found = call("customer.Service/Get", &metadata).await;
    let codes: Vec<_> = found
        .iter()
        .map(|(path, code, _)| (path.as_str(), code.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            ("/cidery-cid", "CID_INVALID"),
            ("/cidery-delay", "NOT_ALLOWED"),
            ("/cidery-idempotency-key", "MALFORMED"),
            ("/cidery-on-deadline", "MALFORMED"),
            ("/cidery-tiemout", "UNKNOWN_KEY"),
            ("/cidery-timeout", "MALFORMED"),
        ]
    );
    let all = "`cidery-cid`, `cidery-timeout`, `cidery-idempotency-key`";
    assert_eq!(
        found[4].2,
        format!("is not an option of a synchronous call, which has {all}, `cidery-on-deadline`")
    );
    assert!(
        found[1]
            .2
            .ends_with("; for it, use the method whose name ends with `Async`")
    );
    let metadata = [("cidery-on-deadline", "cancel"), ("cidery-tiemout", "5s")];
    let found = call("customer.Service/GetAsync", &metadata).await;
    assert_eq!(
        found[1].2,
        format!("is not an option of an asynchronous call, which has {all}, `cidery-delay`")
    );
    assert!(
        found[0]
            .2
            .ends_with("; for it, use the method whose name has no `Async`")
    );
}

#[tokio::test]
async fn an_option_that_is_sent_twice_or_too_long_is_refused_by_its_name() {
    let node = TestNode::demo().await;
    let mut raw = Raw::connect(node.address()).await;
    let long = "k".repeat(256);
    for (name, values, code) in [
        ("cidery-timeout", ["1s", "2s"].as_slice(), "DUPLICATE"),
        ("cidery-cid", &["", ""], "DUPLICATE"),
        ("cidery-on-deadline", &["cancel", "cancel"], "DUPLICATE"),
        ("cidery-idempotency-key", &["a", "b"], "DUPLICATE"),
        ("cidery-idempotency-key", &[&long], "TOO_LARGE"),
    ] {
        let headers: Vec<_> = values.iter().map(|value| (name, *value)).collect();
        let answer = raw
            .call("/customer.Service/Get", &headers, framed(&[]))
            .await;
        let error = answer.error();
        let found = &error.field_violations()[0];
        assert_eq!(
            (found.path.as_str(), &*found.code),
            (format!("/{name}").as_str(), code)
        );
    }
}

#[tokio::test]
async fn all_malformed_fields_of_a_message_are_reported() {
    let sio = Sio::new()
        .input(Text("a"))
        .input(DateTime("at"))
        .input(List("any"))
        .input(DictList("rows").with([Text("name")]));
    let builder = Node::builder().register(echo("see.all", sio));
    let node = TestNode::start(builder).await;
    let client = Dynamic::discover(node.address(), "see.Service").await;
    let input = json!({
        "a": "BAD",
        "at": "2026-01-31T12:00:00Z",
        "any": ["BAD", 1],
        "rows": [{ "name": "y" }, { "name": "BAD" }],
    });
    let mut message = client.encoded("see.Service/All", input);
    while let Some(at) = message.windows(3).position(|window| window == b"BAD") {
        // No UTF-8.
        message[at] = 0xff;
    }
    let mut raw = Raw::connect(node.address()).await;
    let answer = raw.call("/see.Service/All", &[], framed(&message)).await;
    let error = answer.error();
    assert_eq!(error.reason(), "VALUE_INVALID");
    let mut found = paths(&error);
    found.sort_unstable();
    assert_eq!(found, ["/a", "/any/0", "/rows/1/name"]);
}
