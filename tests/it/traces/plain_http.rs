//! Requests of plain HTTP are part of traces as gRPC calls are.

use cidery::codec::proto::otlp::trace::v1::span::SpanKind;

use super::collector::Collector;
use super::{CALLER, Seen, TRACE, Traced, has, named, recorded};
use crate::plain_http::client::call;

const INVOKE: &str = "POST /invoke/{service}";

#[tokio::test]
async fn a_request_of_plain_http_has_a_span_below_which_its_attempt_is() {
    let collector = Collector::start().await;
    let node = Traced::start(&collector).await;
    let address = node.server.address.parse().unwrap();
    let json = "content-type: application/json";
    // The trace of this one is not recorded.
    call(
        address,
        "POST /invoke/customer.get",
        &[json],
        "{\"cust_id\":1}",
    )
    .await;
    let traceparent = format!("traceparent: {}", recorded());
    let headers = [json, traceparent.as_str()];
    let request = "POST /invoke/customer.get";
    let answer = call(address, request, &headers, "{\"cust_id\":1}").await;
    let spans = collector.until("the request", |spans| has(spans, INVOKE));
    let spans = spans.await;
    let invoke = named(&spans, INVOKE);
    assert_eq!(
        (invoke.kind, invoke.trace.as_str(), invoke.parent.as_str()),
        (SpanKind::Server, TRACE, CALLER)
    );
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/invoke/{service}"),
        ("http.response.status_code", "200"),
        ("cidery.cid", answer.header("cidery-cid").unwrap()),
        ("cidery.service", "customer.get"),
    ] {
        assert_eq!(invoke.attributes[key], value, "{invoke:?}");
    }
    assert_eq!(named(&spans, "attempt customer.get").parent, invoke.id);

    let answer = call(address, "POST /invoke/customer.get", &headers, "{}").await;
    assert_eq!(answer.status, 400);
    // What the caller did wrong is no error of the node.
    let status = |span: &Seen| span.attributes.get("http.response.status_code").cloned();
    let is_refused = |span: &Seen| status(span).as_deref() == Some("400");
    let spans = collector.until("the refused request", |spans| spans.iter().any(is_refused));
    let spans = spans.await;
    let refused = spans.iter().find(|span| is_refused(span)).unwrap();
    for (key, value) in [
        ("cidery.reason", "INPUT_INVALID"),
        ("cidery.cid", answer.header("cidery-cid").unwrap()),
        ("cidery.service", "customer.get"),
    ] {
        assert_eq!(refused.attributes[key], value, "{refused:?}");
    }
    assert!(!refused.is_error, "{refused:?}");
}
