//! What a refused call tells its caller: a reason, the CID of the call in its details, and what to do.

use bytes::Bytes;
use cidery::codec::proto::v1::stream_results_response::Event;
use cidery::codec::proto::{health, v1};
use cidery::codec::struct_pb;
use cidery::model::call::Call;
use cidery::sio::{Int, Sio};
use cidery::{Definition, Dict, Error, Node, dict};
use prost::Message;
use tonic_types::pb;

use crate::support::raw::{Answer, Raw, framed};
use crate::support::{PATIENCE, TestNode, failure, follow};

const INVOCATION: &str = "/cidery.v1.InvocationService";

/// A call that is refused, and the reason.
#[derive(Clone)]
struct Refused {
    path: String,
    headers: &'static [(&'static str, &'static str)],
    body: Bytes,
    reason: &'static str,
}

fn refused(path: impl Into<String>, message: &impl Message, reason: &'static str) -> Refused {
    Refused {
        path: path.into(),
        headers: &[],
        body: framed(&message.encode_to_vec()),
        reason,
    }
}

fn with(headers: &'static [(&'static str, &'static str)], call: Refused) -> Refused {
    Refused { headers, ..call }
}

fn invoke(
    service: &str,
    change: impl FnOnce(&mut v1::InvokeRequest),
    reason: &'static str,
) -> Refused {
    let mut message = v1::InvokeRequest {
        service: service.to_owned(),
        ..v1::InvokeRequest::default()
    };
    change(&mut message);
    refused(format!("{INVOCATION}/Invoke"), &message, reason)
}

fn invoke_async(
    service: &str,
    change: impl FnOnce(&mut v1::InvokeAsyncRequest),
    reason: &'static str,
) -> Refused {
    let mut message = v1::InvokeAsyncRequest {
        service: service.to_owned(),
        ..v1::InvokeAsyncRequest::default()
    };
    change(&mut message);
    refused(format!("{INVOCATION}/InvokeAsync"), &message, reason)
}

fn payload(dict: &Dict) -> Option<v1::invoke_request::Input> {
    let bytes = struct_pb::encode_dict(dict).unwrap();
    Some(v1::invoke_request::Input::Payload(bytes))
}

fn document(text: &'static str) -> Option<v1::invoke_request::Input> {
    Some(v1::invoke_request::Input::Document(Bytes::from_static(
        text.as_bytes(),
    )))
}

/// Calls of `Invoke` that are invalid.
fn invalid_calls() -> Vec<Refused> {
    let some_seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    vec![
        invoke("no.such", |_| {}, "SERVICE_UNKNOWN"),
        invoke("", |_| {}, "REQUEST_INVALID"),
        invoke("cidery.ping", |m| m.cid = "x".to_owned(), "CID_INVALID"),
        invoke(
            "cidery.ping",
            |m| m.timeout = some_seconds(-1),
            "REQUEST_INVALID",
        ),
        invoke("cidery.ping", |m| m.on_deadline = 99, "REQUEST_INVALID"),
        invoke("cidery.ping", |m| m.data_format = 99, "FORMAT_INVALID"),
        invoke(
            "cidery.ping",
            |m| m.idempotency_key = "k".repeat(256),
            "REQUEST_INVALID",
        ),
        invoke(
            "cidery.ping",
            |m| drop(m.metadata.insert("k".to_owned(), "v".repeat(9_000))),
            "METADATA_TOO_LARGE",
        ),
        invoke("customer.get", |_| {}, "INPUT_INVALID"),
        invoke(
            "customer.get",
            |m| m.input = document("{"),
            "DOCUMENT_MALFORMED",
        ),
        invoke(
            "customer.get",
            |m| m.input = Some(v1::invoke_request::Input::Value(Bytes::new())),
            "VALUE_INVALID",
        ),
    ]
}

/// Calls of `Invoke` that fail, and headers that are invalid.
fn failing_calls() -> Vec<Refused> {
    vec![
        invoke(
            "demo.fail",
            |m| m.input = payload(&dict! { "code": "ABORTED" }),
            "DEMO_FAILED",
        ),
        invoke(
            "demo.sleep",
            |m| {
                m.input = payload(&dict! { "seconds": 60 });
                m.timeout = Some(prost_types::Duration {
                    seconds: 0,
                    nanos: 1_000_000,
                });
            },
            "DEADLINE_EXCEEDED",
        ),
        invoke("panics", |_| {}, "HANDLER_PANICKED"),
        invoke("wrong.output", |_| {}, "OUTPUT_INVALID"),
        invoke("large.output", |_| {}, "MESSAGE_TOO_LARGE"),
        with(
            &[("cidery-dispatch", "x")],
            invoke("cidery.ping", |_| {}, "DISPATCH_VOID"),
        ),
        with(
            &[("grpc-timeout", "x")],
            invoke("cidery.ping", |_| {}, "REQUEST_INVALID"),
        ),
        with(
            &[("grpc-encoding", "gzip")],
            invoke("cidery.ping", |_| {}, "NOT_SUPPORTED"),
        ),
    ]
}

/// Calls about stored invocations.
fn stored_calls() -> Vec<Refused> {
    vec![
        invoke_async("no.such", |_| {}, "SERVICE_UNKNOWN"),
        invoke_async("customer.get", |_| {}, "INPUT_INVALID"),
        invoke_async("cidery.ping", |m| m.cid = "x".to_owned(), "CID_INVALID"),
        invoke_async("cidery.ping", |m| m.on_exhausted = 99, "REQUEST_INVALID"),
        invoke_async(
            "cidery.ping",
            |m| m.callbacks = vec!["no.such".to_owned()],
            "SERVICE_UNKNOWN",
        ),
        refused(
            format!("{INVOCATION}/InvokeBatch"),
            &batch("no.such"),
            "REQUEST_INVALID",
        ),
        refused(
            format!("{INVOCATION}/StreamResults"),
            &v1::StreamResultsRequest::default(),
            "REQUEST_INVALID",
        ),
        refused(
            format!("{INVOCATION}/GetInvocation"),
            &v1::GetInvocationRequest::default(),
            "REQUEST_INVALID",
        ),
        refused(
            format!("{INVOCATION}/GetInvocation"),
            &v1::GetInvocationRequest {
                cid: cidery::Cid::new().to_string(),
                ..Default::default()
            },
            "CID_UNKNOWN",
        ),
        refused(
            format!("{INVOCATION}/ListInvocations"),
            &v1::ListInvocationsRequest {
                page_size: 1_000_000,
                ..Default::default()
            },
            "REQUEST_INVALID",
        ),
        refused(
            format!("{INVOCATION}/CancelInvocations"),
            &v1::CancelInvocationsRequest::default(),
            "REQUEST_INVALID",
        ),
    ]
}

/// Calls of other services.
fn other_calls() -> Vec<Refused> {
    vec![
        refused(
            format!("{INVOCATION}/PurgeInvocations"),
            &v1::PurgeInvocationsRequest {
                cids: vec!["x".to_owned()],
                ..Default::default()
            },
            "CID_INVALID",
        ),
        refused(
            format!("{INVOCATION}/CompleteInvocation"),
            &v1::CompleteInvocationRequest::default(),
            "REQUEST_INVALID",
        ),
        refused(
            "/cidery.v1.DiscoveryService/GetService",
            &v1::GetServiceRequest {
                service: "no.such".to_owned(),
            },
            "SERVICE_UNKNOWN",
        ),
        refused(
            "/cidery.v1.AdminService/PauseService",
            &v1::PauseServiceRequest {
                service: "no.such".to_owned(),
                ..v1::PauseServiceRequest::default()
            },
            "SERVICE_UNKNOWN",
        ),
        refused(
            "/cidery.v1.AdminService/ForgetService",
            &v1::ForgetServiceRequest {
                service: "no.such".to_owned(),
            },
            "SERVICE_UNKNOWN",
        ),
        refused(
            "/grpc.health.v1.Health/Check",
            &health::HealthCheckRequest {
                service: "no.such".to_owned(),
            },
            "SERVICE_UNKNOWN",
        ),
    ]
}

/// Calls of typed methods, and of what is no method or no message.
fn typed_calls() -> Vec<Refused> {
    vec![
        refused("/customer.Service/Get", &(), "INPUT_INVALID"),
        refused("/customer.Service/GetAsync", &(), "INPUT_INVALID"),
        with(
            &[("cidery-tiemout", "1s")],
            refused("/customer.Service/Get", &(), "REQUEST_INVALID"),
        ),
        with(
            &[("cidery-cid", "x")],
            refused("/customer.Service/Get", &(), "CID_INVALID"),
        ),
        refused("/customer.Service/Nothing", &(), "METHOD_UNKNOWN"),
        refused("/nothing.Service/Get", &(), "METHOD_UNKNOWN"),
        refused("/nothing", &(), "METHOD_UNKNOWN"),
        refused(format!("{INVOCATION}/Nothing"), &(), "METHOD_UNKNOWN"),
        refused("/cidery.Service/Echo", &(), "NO_TYPED_METHOD"),
        Refused {
            body: framed(&[0xff]),
            ..invoke("", |_| {}, "MALFORMED_MESSAGE")
        },
        Refused {
            body: framed(&[0; 50_000]),
            ..invoke("", |_| {}, "MESSAGE_TOO_LARGE")
        },
    ]
}

fn batch(service: &str) -> v1::InvokeBatchRequest {
    let request = v1::InvokeAsyncRequest {
        service: service.to_owned(),
        cid: "x".to_owned(),
        ..v1::InvokeAsyncRequest::default()
    };
    v1::InvokeBatchRequest {
        requests: vec![request],
        ..v1::InvokeBatchRequest::default()
    }
}

async fn node() -> TestNode {
    async fn panics() {
        panic!("as it should");
    }
    let wrong = Definition::new("wrong.output", async || dict! { "n": "x" }).unwrap();
    let builder = Node::builder()
        .demo()
        .limits(|limits| limits.message_bytes = 20_000)
        .service("panics", panics)
        .service("large.output", async || "x".repeat(30_000))
        .register(wrong.sio(Sio::new().output(Int("n"))));
    TestNode::start(builder).await
}

/// One message of the details of a failure.
fn detail<M: Message + Default>(answer: &Answer, name: &str) -> Option<M> {
    let mut all = answer.headers.clone();
    all.extend(answer.trailers.clone());
    let status = tonic::Status::from_header_map(&all)?;
    let details = pb::Status::decode(status.details()).ok()?.details;
    let any = details.iter().find(|any| any.type_url.ends_with(name))?;
    M::decode(any.value.as_slice()).ok()
}

#[tokio::test]
async fn every_refusal_has_a_reason_the_cid_and_a_message() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    for Refused {
        path,
        headers,
        body,
        reason,
    } in [
        invalid_calls(),
        failing_calls(),
        stored_calls(),
        other_calls(),
        typed_calls(),
    ]
    .concat()
    {
        let answer = raw.call(&path, headers, body).await;
        let info: pb::ErrorInfo = detail(&answer, "/google.rpc.ErrorInfo").unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            (reason, "cidery"),
            "{path}"
        );
        let request: pb::RequestInfo = detail(&answer, "/google.rpc.RequestInfo")
            .unwrap_or_else(|| panic!("{path} {reason}: no RequestInfo"));
        assert_eq!(
            Some(request.request_id.as_str()),
            answer.get("cidery-cid"),
            "{path} {reason}"
        );
        let error: Error = answer.error();
        assert!(error.message().len() > 3, "{path} {reason}: {error}");
    }
    node.assert_healthy().await;
}

#[tokio::test]
async fn all_invalid_fields_of_a_request_are_reported() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let paths = |answer: &Answer| -> Vec<String> {
        let error = answer.error();
        assert_eq!(error.reason(), "REQUEST_INVALID");
        error
            .field_violations()
            .iter()
            .map(|it| it.path.clone())
            .collect()
    };
    let Refused { path, body, .. } = invoke(
        "cidery.ping",
        |m| {
            m.cid = "x".to_owned();
            m.on_deadline = 99;
            m.response_format = 99;
            m.timeout = Some(prost_types::Duration {
                seconds: -1,
                nanos: 0,
            });
        },
        "REQUEST_INVALID",
    );
    let answer = raw.call(&path, &[], body).await;
    assert_eq!(
        paths(&answer),
        ["/cid", "/on_deadline", "/response_format", "/timeout"]
    );
    let message = v1::CancelInvocationsRequest {
        cids: vec![
            "x".to_owned(),
            cidery::Cid::new().to_string(),
            "y".to_owned(),
        ],
        ..v1::CancelInvocationsRequest::default()
    };
    let body = framed(&message.encode_to_vec());
    let answer = raw
        .call(&format!("{INVOCATION}/CancelInvocations"), &[], body)
        .await;
    assert_eq!(paths(&answer), ["/cids/0", "/cids/2"]);
}

#[tokio::test]
async fn an_unknown_method_is_answered_with_what_there_is() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    for (path, expected) in [
        (
            "/customer.Service/Git",
            "`customer.Service` has no method `Git`; it has `Get`, `Import`, and each with `Async`",
        ),
        (
            "/custmer.Service/Get",
            "there is no gRPC service `custmer.Service`; did you mean `customer.Service`?",
        ),
        (
            "/qq/Get",
            "there is no gRPC service `qq`; `grpcurl -plaintext HOST:PORT list` lists them",
        ),
        (
            "/qq",
            "there is no method `/qq`: a path is `/PACKAGE.SERVICE/METHOD`",
        ),
        (
            "/cidery.Service/EchoAsync",
            "service `cidery.echo` has no typed method: neither its input nor its output is declared; call it with \
             `Invoke`",
        ),
        (
            "/cidery.v1.InvocationService/Nothing",
            "there is no method `/cidery.v1.InvocationService/Nothing`; `grpcurl -plaintext HOST:PORT list` lists the \
             services",
        ),
    ] {
        let answer = raw.call(path, &[], framed(&[])).await;
        assert_eq!(answer.error().message(), expected);
    }
}

/// A TLS library recognizes plain text, and says so.
#[tokio::test]
async fn a_tls_handshake_is_answered_in_plain_text() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = node().await;
    let mut stream = tokio::net::TcpStream::connect(node.address())
        .await
        .unwrap();
    // The head of a record with a ClientHello.
    stream
        .write_all(&[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0, 0, 1, 0])
        .await
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 400 "),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    node.assert_healthy().await;
}

/// Where a failure is part of a message, its details name the invocation, as those of a failed call do.
#[tokio::test]
async fn stored_failures_and_failed_events_name_their_invocation() {
    use tokio_stream::StreamExt as _;
    let node = node().await;
    let mut stub = node.stub.clone();
    let call = Call::new("demo.fail", dict! { "code": "NOT_FOUND" });
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let request = v1::GetInvocationRequest {
        cid: cid.to_string(),
        wait: prost_types::Duration::try_from(PATIENCE).ok(),
        view: v1::InvocationView::Full.into(),
        ..v1::GetInvocationRequest::default()
    };
    let response = stub.get_invocation(request).await.unwrap().into_inner();
    let invocation = response.invocation.unwrap();
    let mut failures: Vec<v1::Failure> = invocation.last_failure.clone().into_iter().collect();
    failures.extend(
        invocation
            .attempts
            .iter()
            .filter_map(|it| it.failure.clone()),
    );
    failures.push(failure(invocation));
    let events = stub.stream_results(follow(cid)).await.unwrap().into_inner();
    let events: Vec<_> = events.map(Result::unwrap).collect().await;
    let Some(Event::Failed(failed)) = events.last().unwrap().event.clone() else {
        panic!("{events:?}");
    };
    failures.extend(failed.failure);
    let change = node.client.cancel(cid, false).await.unwrap().remove(0);
    failures.extend(change.failure);
    assert!(failures.len() >= 4, "{failures:?}");
    for failure in failures {
        let mut details = failure.details.iter();
        let request = details.find(|any| any.type_url.ends_with("google.rpc.RequestInfo"));
        let request = pb::RequestInfo::decode(&*request.unwrap().value).unwrap();
        assert_eq!(request.request_id, cid.to_string());
    }
}
