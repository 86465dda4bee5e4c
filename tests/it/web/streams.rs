//! Streams of Connect.

use cidery::codec::json;
use cidery::codec::proto::v1;
use cidery::{Value, dict};
use prost::Message as _;

use super::{Answer, call, enveloped, messages, post};
use crate::support::TestNode;

const STREAM: &str = "/cidery.v1.InvocationService/StreamResults";

async fn counted(node: &TestNode) -> String {
    let accepted = call(
        node.address(),
        "cidery.v1.InvocationService/InvokeAsync",
        r#"{"service":"demo.count","payload":{"to":3}}"#,
    );
    accepted.await.json()["cid"].as_text().unwrap().to_owned()
}

async fn stream(node: &TestNode, content_type: &str, message: &[u8]) -> Answer {
    let headers = [
        ("content-type", content_type),
        ("connect-protocol-version", "1"),
    ];
    post(node.address(), STREAM, &headers, &enveloped(0, message)).await
}

fn read(message: &[u8]) -> Value {
    json::read(message).unwrap()
}

#[tokio::test]
async fn events_are_messages_and_the_last_one_is_the_end() {
    let node = TestNode::demo().await;
    let cid = counted(&node).await;
    let request = format!(r#"{{"cids":["{cid}"]}}"#);
    let answer = stream(&node, "application/connect+json", request.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.get("content-type"), "application/connect+json");
    let mut events = messages(&answer.body);
    let (flags, end) = events.pop().unwrap();
    assert_eq!((flags, read(&end)), (2, dict! {}.into()));
    let last = read(&events.last().unwrap().1);
    assert_eq!(last["cid"], cid.as_str().into());
    assert!(
        last.as_dict().unwrap().contains_key("succeeded"),
        "{last:?}"
    );

    let request = v1::StreamResultsRequest {
        cids: vec![cid],
        ..v1::StreamResultsRequest::default()
    };
    let answer = stream(&node, "application/connect+proto", &request.encode_to_vec()).await;
    let of_proto = messages(&answer.body);
    let last = &of_proto[of_proto.len() - 2].1;
    let last = v1::StreamResultsResponse::decode(last.as_slice()).unwrap();
    assert_eq!(last.cid, request.cids[0]);
}

#[tokio::test]
async fn a_stream_that_fails_says_so_in_its_last_message() {
    let node = TestNode::demo().await;
    for (content_type, body) in [
        ("application/connect+json", b"{\"cids\":[]}".as_slice()),
        ("application/connect+json", b"{\"cids\":7}"),
        ("application/connect+json", b"x"),
        ("application/connect+proto", b""),
        ("application/connect+proto", b"\xff"),
    ] {
        let answer = stream(&node, content_type, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let messages = messages(&answer.body);
        let [(2, end)] = messages.as_slice() else {
            panic!("{messages:?}");
        };
        let error = &read(end)["error"];
        assert_eq!(error["code"], "invalid_argument".into(), "{error:?}");
        assert_eq!(error["details"][0]["type"], "google.rpc.ErrorInfo".into());
    }
}

#[tokio::test]
async fn the_content_type_fits_the_shape_of_the_method() {
    let node = TestNode::demo().await;
    let wrong = call(node.address(), &STREAM[1..], "{}").await;
    assert_eq!(wrong.status, 415);
    assert!(
        wrong
            .get("accept-post")
            .contains("application/connect+json")
    );
    assert!(wrong.json_text().contains("application/connect+json"));
    let headers = [("content-type", "application/connect+json")];
    let body = enveloped(0, b"{}");
    let wrong = post(node.address(), "/customer.Service/Get", &headers, &body).await;
    assert_eq!(wrong.status, 415);
    assert!(wrong.get("accept-post").contains("application/json"));
}

/// Bodies that are not one message in an envelope.
#[tokio::test]
async fn malformed_envelopes_are_refused() {
    let node = TestNode::demo().await;
    let headers = [("content-type", "application/connect+json")];
    let two = [enveloped(0, b"{}"), enveloped(0, b"{}")].concat();
    for body in [
        Vec::new(),
        vec![0, 0, 0],
        vec![0, 0xff, 0xff, 0xff, 0xff],
        vec![0, 0, 0, 0, 9, 1],
        enveloped(1, b"{}"),
        enveloped(2, b"{}"),
        two,
    ] {
        let answer = post(node.address(), STREAM, &headers, &body).await;
        let (_, end) = messages(&answer.body).pop().unwrap();
        let info = &read(&end)["error"]["details"][0]["debug"];
        assert_eq!(info["reason"], "MALFORMED_MESSAGE".into(), "{body:?}");
    }
}
