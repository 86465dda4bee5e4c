//! Unary calls of Connect, with JSON and protobuf.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use cidery::codec::json;
use cidery::codec::proto::v1;
use cidery::sio::{Int, Sio, Text, UnknownKeys};
use cidery::{Definition, Dict, Node, Value, Worker, dict};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use prost::Message as _;
use prost_reflect::MethodDescriptor;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::{Answer, call, enveloped, messages, post};
use crate::support::dynamic::{Dynamic, reflect};
use crate::support::{TestNode, echo};

const INVOKE: &str = "cidery.v1.InvocationService/Invoke";

/// All that reflection lists: unary methods take a message, those with a stream of responses take it in an envelope,
/// and those with a stream of requests, which a request of HTTP/1.1 cannot be, say so.
#[tokio::test]
async fn every_method_takes_json() {
    let node = TestNode::demo().await;
    let methods = all_methods(node.address()).await;
    assert!(methods.len() > 60, "{}", methods.len());
    for method in methods {
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        // Some streams end with the deadline of their caller.
        let (media_type, body, timeout) = match method.is_server_streaming() {
            true => ("application/connect+json", enveloped(0, b"{}"), "200"),
            false => ("application/json", b"{}".to_vec(), "60000"),
        };
        let headers = [
            ("content-type", media_type),
            ("connect-timeout-ms", timeout),
        ];
        let answer = post(node.address(), &path, &headers, &body).await;
        let unary = || (answer.status, answer.reason());
        if method.is_server_streaming() {
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            assert_eq!(answer.get("content-type"), media_type);
            let (flags, end) = messages(&answer.body).pop().unwrap();
            assert_eq!(flags, 2, "{path}");
            let end = json::read(&end).unwrap();
            let is_unimplemented = end["error"]["code"] == "unimplemented".into();
            assert_eq!(
                is_unimplemented,
                method.is_client_streaming(),
                "{path}: {end:?}"
            );
        } else if answer.status == 200 {
            drop(answer.json());
        } else if path == "/demo.Service/Fail" {
            // It always fails.
            assert_eq!(unary(), (500, "DEMO_FAILED".to_owned()));
        } else {
            // What lacks something says what it is.
            assert!([400, 404].contains(&answer.status), "{path}: {:?}", unary());
            assert_ne!(unary().1, "METHOD_UNKNOWN", "{path}");
        }
    }
}

async fn all_methods(address: SocketAddr) -> Vec<MethodDescriptor> {
    let MessageResponse::ListServicesResponse(listed) =
        reflect(address, MessageRequest::ListServices(String::new())).await
    else {
        panic!("no list of services");
    };
    let mut methods = Vec::new();
    for service in listed.service {
        let found = Dynamic::discover(address, &service.name).await;
        let service = found.pool().get_service_by_name(&service.name).unwrap();
        methods.extend(service.methods());
    }
    methods
}

#[tokio::test]
async fn messages_are_json() {
    let node = TestNode::demo().await;
    let answer = call(node.address(), "customer.Service/Get", r#"{"cust_id":1}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.get("content-type"), "application/json");
    assert_eq!(answer.get("cidery-cid").len(), 36);
    let expected = dict! { "cust_id": "1", "cust_name": "Alexis Smith" };
    assert_eq!(answer.json(), expected.into());

    let body = r#"{"service":"customer.get","payload":{"cust_id":1}}"#;
    let answer = call(node.address(), INVOKE, body).await;
    let json = answer.json();
    assert_eq!(json["payload"]["cust_name"], "Alexis Smith".into());
    assert_eq!(json["cid"], answer.get("cidery-cid").into());

    let accepted = call(
        node.address(),
        "customer.Service/GetAsync",
        r#"{"cust_id":1}"#,
    )
    .await;
    let cid = accepted.json()["cid"].as_text().unwrap().to_owned();
    let get = format!(r#"{{"cid":"{cid}","wait":"30s","typed":true}}"#);
    let found = call(
        node.address(),
        "cidery.v1.InvocationService/GetInvocation",
        &get,
    )
    .await;
    let outcome = &found.json()["invocation"]["outcome"]["typed"];
    let expected = dict! {
        "@type": "type.googleapis.com/customer.GetResponse",
        "cust_id": "1",
        "cust_name": "Alexis Smith",
    };
    assert_eq!(*outcome, expected.into(), "{}", found.json_text());

    for (method, field) in [
        ("cidery.v1.DiscoveryService/ListServices", "services"),
        ("cidery.v1.AdminService/GetStatus", "version"),
        ("grpc.health.v1.Health/Check", "status"),
    ] {
        // No body is the empty message.
        let answer = call(node.address(), method, "").await;
        assert_eq!(answer.status, 200, "{method}: {answer:?}");
        let json = answer.json();
        assert!(json.as_dict().unwrap().contains_key(field), "{json:?}");
    }
}

#[tokio::test]
async fn protobuf_is_sent_without_an_envelope() {
    let node = TestNode::demo().await;
    let request = v1::ListServicesRequest {
        page_size: 2,
        ..v1::ListServicesRequest::default()
    };
    let headers = [
        ("content-type", "application/proto"),
        ("connect-protocol-version", "1"),
        ("connect-timeout-ms", "20000"),
    ];
    let path = "/cidery.v1.DiscoveryService/ListServices";
    let answer = post(node.address(), path, &headers, &request.encode_to_vec()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.get("content-type"), "application/proto");
    let response = v1::ListServicesResponse::decode(answer.body.as_slice()).unwrap();
    assert_eq!(response.services.len(), 2);
}

/// The details of an error by type, as its debug JSON.
fn debug(answer: &Answer, name: &str) -> Value {
    let details = answer.json()["details"].as_list().unwrap().to_vec();
    let mut details = details.into_iter();
    let found = details.find(|detail| detail["type"] == name.into());
    found.unwrap_or_else(|| panic!("no {name}: {}", answer.json_text()))["debug"].clone()
}

#[tokio::test]
async fn failures_have_their_details_and_the_status_of_http() {
    let node = TestNode::demo().await;
    let body = r#"{"service":"customer.get","payload":{"cust_id":"x"}}"#;
    let answer = call(node.address(), INVOKE, body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.get("content-type"), "application/json");
    assert_eq!(answer.json()["code"], "invalid_argument".into());
    assert_eq!(answer.reason(), "INPUT_INVALID");
    let violation = &debug(&answer, "google.rpc.BadRequest")["fieldViolations"][0];
    assert_eq!(violation["field"], "/cust_id".into());
    let request_id = &debug(&answer, "google.rpc.RequestInfo")["requestId"];
    assert_eq!(*request_id, answer.get("cidery-cid").into());

    for (code, status, name) in [
        ("NOT_FOUND", 404, "not_found"),
        ("CANCELLED", 499, "canceled"),
        ("ABORTED", 409, "aborted"),
        ("RESOURCE_EXHAUSTED", 429, "resource_exhausted"),
        ("UNAVAILABLE", 503, "unavailable"),
        ("DATA_LOSS", 500, "data_loss"),
    ] {
        let body =
            format!(r#"{{"service":"demo.fail","payload":{{"code":"{code}","message":"é"}}}}"#);
        let answer = call(node.address(), INVOKE, &body).await;
        assert_eq!(answer.status, status, "{code}");
        assert_eq!(answer.json()["code"], name.into());
        assert_eq!(answer.json()["message"], "é".into());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_told_at_once() {
    let node = TestNode::demo().await;
    let body = r#"{"servce":"a","timeout":7,"payload":[1],"cid":true}"#;
    let answer = call(node.address(), INVOKE, body).await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (400, "REQUEST_INVALID")
    );
    let violations = debug(&answer, "google.rpc.BadRequest")["fieldViolations"].clone();
    let paths: Vec<&str> = violations
        .as_list()
        .unwrap()
        .iter()
        .map(|violation| violation["field"].as_text().unwrap())
        .collect();
    assert_eq!(paths, ["/servce", "/timeout", "/payload", "/cid"]);
    let text = answer.json_text();
    assert!(text.contains("did you mean `service`?"), "{text}");

    for (method, body, status, reason) in [
        (INVOKE, "{", 400, "DOCUMENT_MALFORMED"),
        (INVOKE, "[]", 400, "REQUEST_INVALID"),
        (INVOKE, r#"{"service":"no.such"}"#, 404, "SERVICE_UNKNOWN"),
        (
            "customer.Service/Get",
            r#"{"cust_id":"x"}"#,
            400,
            "INPUT_INVALID",
        ),
        ("customer.Service/Got", "{}", 501, "METHOD_UNKNOWN"),
        ("no.such.Service/Get", "{}", 501, "METHOD_UNKNOWN"),
        (
            "cidery.v1.InvocationService/Nothing",
            "{}",
            501,
            "METHOD_UNKNOWN",
        ),
        ("cidery.v1.WorkerService/Serve", "{}", 501, "NOT_SUPPORTED"),
    ] {
        let answer = call(node.address(), method, body).await;
        assert_eq!(
            answer.status,
            status,
            "{method} {body}: {}",
            answer.json_text()
        );
        assert_eq!(answer.reason(), reason, "{method} {body}");
    }
}

#[tokio::test]
async fn headers_that_are_wrong_are_refused() {
    let node = TestNode::demo().await;
    for (name, value, reason) in [
        ("connect-protocol-version", "2", "REQUEST_INVALID"),
        ("connect-timeout-ms", "soon", "REQUEST_INVALID"),
        ("content-encoding", "br", "NOT_SUPPORTED"),
        ("cidery-timeout", "x", "REQUEST_INVALID"),
    ] {
        let headers = [("content-type", "application/json"), (name, value)];
        let answer = post(node.address(), "/customer.Service/Get", &headers, b"{}").await;
        assert_eq!(answer.reason(), reason, "{name}");
    }
}

#[tokio::test]
async fn the_timeout_of_the_client_is_that_of_the_call() {
    let node = TestNode::demo().await;
    let headers = [
        ("content-type", "application/json"),
        ("connect-timeout-ms", "20"),
    ];
    let body = br#"{"service":"demo.sleep","payload":{"seconds":60}}"#;
    let answer = post(node.address(), &format!("/{INVOKE}"), &headers, body).await;
    assert_eq!(answer.status, 504);
    assert_eq!(answer.reason(), "DEADLINE_EXCEEDED");
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let node = TestNode::start(Node::builder().register(echo("echo", Sio::new()))).await;
    let text = "abc".repeat(10_000);
    let body = format!(r#"{{"service":"echo","payload":{{"text":"{text}"}}}}"#);
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("accept-encoding", "gzip"),
    ];
    let path = format!("/{INVOKE}");
    let mut answer = post(node.address(), &path, &headers, &gzip(body.as_bytes())).await;
    assert_eq!(answer.get("content-encoding"), "gzip");
    assert!(answer.body.len() < 1_000);
    let mut json = Vec::new();
    GzDecoder::new(answer.body.as_slice())
        .read_to_end(&mut json)
        .unwrap();
    answer.body = json;
    assert_eq!(answer.json()["payload"]["text"], text.into());

    let answer = post(node.address(), &path, &headers, b"no gzip").await;
    assert_eq!(answer.reason(), "MALFORMED_MESSAGE");
    // The limit is that of what is decompressed.
    let bomb = gzip(&vec![b' '; 17 << 20]);
    assert!(bomb.len() < 100_000);
    let answer = post(node.address(), &path, &headers, &bomb).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.reason(), "MESSAGE_TOO_LARGE");
    let answer = post(node.address(), &path, &headers[..1], &vec![b' '; 17 << 20]).await;
    assert_eq!(answer.reason(), "MESSAGE_TOO_LARGE");
}

/// Keys that are not declared, by the policy of the service.
#[tokio::test]
async fn undeclared_keys_are_dropped_or_refused_as_declared() {
    let service = |name: &str, unknown| {
        let sio = Sio::new()
            .optional_input(Text("name"))
            .optional_output(Text("name"));
        echo(name, sio.unknown_keys(unknown))
    };
    let builder = Node::builder()
        .register(service("a.drop", UnknownKeys::Drop))
        .register(service("a.refuse", UnknownKeys::Refuse));
    let node = TestNode::start(builder).await;
    let dropped = call(
        node.address(),
        "a.Service/Drop",
        r#"{"name":"x","nmae":"y"}"#,
    )
    .await;
    assert_eq!(dropped.get("cidery-ignored"), "nmae");
    assert_eq!(dropped.json(), dict! { "name": "x" }.into());
    let refused = call(node.address(), "a.Service/Refuse", r#"{"nmae":"y"}"#).await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (400, "INPUT_INVALID")
    );
}

/// A typed method is that of the declaration as it is now.
#[tokio::test]
async fn a_new_declaration_changes_the_message() {
    let node = TestNode::start(Node::builder()).await;
    let address = node.address().to_string();
    for (sio, input, output) in [
        (
            Sio::new().input(Int("n")).output(Int("n")),
            r#"{"n":7}"#,
            dict! { "n": "7" },
        ),
        (
            Sio::new().input(Text("n")).output(Text("n")),
            r#"{"n":"seven"}"#,
            dict! { "n": "seven" },
        ),
    ] {
        let worker = Worker::builder().register(echo("shop.buy", sio));
        let worker = worker.connect(&address).await.unwrap();
        let answer = call(node.address(), "shop.Service/Buy", input).await;
        assert_eq!(answer.json(), output.into());
        worker.stop().await;
    }
}

#[tokio::test]
async fn metadata_of_a_call_is_that_of_its_headers() {
    let handler = async |ctx: cidery::Context| -> Dict {
        let names = ctx
            .metadata()
            .iter()
            .map(|(name, _)| Value::from(name))
            .collect();
        dict! { "names": Value::List(names) }
    };
    let sio = Sio::new().optional_input(Text("x"));
    let definition = Definition::new("a.meta", handler).unwrap().sio(sio);
    let node = TestNode::start(Node::builder().register(definition)).await;
    let headers = [
        ("content-type", "application/json"),
        ("accept", "*/*"),
        ("accept-language", "de"),
        ("origin", "http://localhost"),
        ("sec-fetch-site", "same-origin"),
        ("tenant", "a"),
    ];
    let answer = post(node.address(), "/a.Service/Meta", &headers, b"{}").await;
    assert_eq!(
        answer.json()["payload"]["names"],
        vec!["tenant"].into(),
        "{}",
        answer.json_text()
    );
}
