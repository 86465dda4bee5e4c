//! gRPC-Web.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cidery::codec::proto::v1;
use cidery::codec::struct_pb;
use cidery::dict;
use prost::Message;

use super::{Answer, enveloped, messages, post};
use crate::support::{TestNode, error_of};

const SERVICE: &str = "/cidery.v1.InvocationService";

async fn send(node: &TestNode, method: &str, message: &impl Message) -> Answer {
    let headers = [
        ("content-type", "application/grpc-web+proto"),
        ("x-grpc-web", "1"),
    ];
    let body = enveloped(0, &message.encode_to_vec());
    post(
        node.address(),
        &format!("{SERVICE}/{method}"),
        &headers,
        &body,
    )
    .await
}

/// The trailers in the last message, as a status.
fn status(trailers: &[u8]) -> tonic::Status {
    let text = str::from_utf8(trailers).unwrap();
    let mut headers = http::HeaderMap::new();
    for line in text.split_terminator("\r\n") {
        let (name, value) = line.split_once(':').unwrap();
        let name = http::HeaderName::try_from(name).unwrap();
        headers.append(name, value.trim().parse().unwrap());
    }
    tonic::Status::from_header_map(&headers).unwrap()
}

fn invoke(service: &str) -> v1::InvokeRequest {
    v1::InvokeRequest {
        service: service.to_owned(),
        ..v1::InvokeRequest::default()
    }
}

#[tokio::test]
async fn a_response_is_a_message_and_its_trailers() {
    let node = TestNode::demo().await;
    let answer = send(&node, "Invoke", &invoke("cidery.ping")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.get("content-type"), "application/grpc-web+proto");
    let [(0, message), (0x80, trailers)] = &messages(&answer.body)[..] else {
        panic!("{answer:?}");
    };
    let response = v1::InvokeResponse::decode(message.as_slice()).unwrap();
    assert_eq!(response.cid, answer.get("cidery-cid"));
    assert_eq!(status(trailers).code(), tonic::Code::Ok);
}

#[tokio::test]
async fn failures_are_in_the_body() {
    let node = TestNode::demo().await;
    let answer = send(&node, "Invoke", &invoke("no.such")).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key("grpc-status"));
    let [(0x80, trailers)] = &messages(&answer.body)[..] else {
        panic!("{answer:?}");
    };
    let error = error_of(&status(trailers));
    assert_eq!(error.reason(), "SERVICE_UNKNOWN");
    // What gRPC itself finds wrong.
    for body in [
        b"".as_slice(),
        b"\0\0\0\0\x02\xff\xff",
        b"\0\0\0\0\x09",
        b"\x01\0\0\0\0",
    ] {
        let headers = [("content-type", "application/grpc-web")];
        let path = format!("{SERVICE}/Invoke");
        let answer = post(node.address(), &path, &headers, body).await;
        let (_, trailers) = messages(&answer.body).pop().unwrap();
        assert_eq!(
            error_of(&status(&trailers)).reason(),
            "MALFORMED_MESSAGE",
            "{body:?}"
        );
    }
}

#[tokio::test]
async fn streams_and_text_are_the_same_in_base64() {
    let node = TestNode::demo().await;
    let request = v1::InvokeAsyncRequest {
        service: "demo.count".to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(
            struct_pb::encode_dict(&dict! { "to": 2 }).unwrap(),
        )),
        ..v1::InvokeAsyncRequest::default()
    };
    let accepted = send(&node, "InvokeAsync", &request).await;
    let message = &messages(&accepted.body)[0].1;
    let cid = v1::InvokeAsyncResponse::decode(message.as_slice())
        .unwrap()
        .cid;

    let request = crate::support::follow(cid);
    let text = STANDARD.encode(enveloped(0, &request.encode_to_vec()));
    let headers = [("content-type", "application/grpc-web-text")];
    let path = format!("{SERVICE}/StreamResults");
    let answer = post(node.address(), &path, &headers, text.as_bytes()).await;
    assert_eq!(
        answer.get("content-type"),
        "application/grpc-web-text+proto"
    );
    // Each part has its own padding.
    let text = String::from_utf8(answer.body.clone()).unwrap();
    let mut body = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest
            .find('=')
            .map_or(rest.len(), |at| (at + 1).next_multiple_of(4));
        body.extend(STANDARD.decode(&rest[..end]).unwrap());
        rest = &rest[end..];
    }
    let messages = messages(&body);
    let (0x80, trailers) = messages.last().unwrap() else {
        panic!("{messages:?}");
    };
    assert_eq!(status(trailers).code(), tonic::Code::Ok);
    let [.., (_, last), _] = messages.as_slice() else {
        panic!("{messages:?}");
    };
    v1::StreamResultsResponse::decode(last.as_slice()).unwrap();

    let wrong = post(node.address(), &path, &headers, b"====").await;
    let decoded = STANDARD.decode(&wrong.body).unwrap();
    let trailers = super::messages(&decoded).pop().unwrap().1;
    assert_eq!(error_of(&status(&trailers)).reason(), "MALFORMED_MESSAGE");
}
