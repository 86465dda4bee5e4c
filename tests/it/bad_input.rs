//! Invalid input: the status has the right code, a reason and a CID, and the node stays healthy.

use bytes::{Bytes, BytesMut};
use cidery::codec::proto::v1;
use cidery::{Cid, Kind, Node};
use prost::Message as _;

use crate::support::raw::{Answer, INVOKE, Raw, answer, framed};
use crate::support::{TestNode, ended, error_of, paths};

async fn node() -> TestNode {
    async fn panics() {
        panic!("on purpose");
    }
    let builder = Node::builder().demo().service("panics", panics);
    TestNode::start(builder.service("nan", async || f64::NAN)).await
}

/// A request with these bytes as its payload.
fn with_payload(service: &str, payload: Vec<u8>) -> Bytes {
    let request = v1::InvokeRequest {
        service: service.to_owned(),
        input: Some(v1::invoke_request::Input::Payload(payload.into())),
        ..v1::InvokeRequest::default()
    };
    framed(&request.encode_to_vec())
}

fn to_service(service: &str) -> Bytes {
    with_payload(service, Vec::new())
}

#[track_caller]
fn assert_refused(answer: &Answer, kind: Kind, reason: &str) {
    let error = answer.error();
    assert_eq!((error.kind(), error.reason()), (kind, reason), "{answer:?}");
    assert_eq!(answer.http_status, 200, "{answer:?}");
    Cid::parse(answer.get("cidery-cid").expect("no CID")).unwrap();
}

/// A struct nested this deep: `{"": {"": ..}}`.
fn nested(levels: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 1..levels {
        for tag in [0x2a, 0x12, 0x0a] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.extend(bytes);
            bytes = outer;
        }
    }
    bytes
}

/// `{"a": x}` with this encoded value.
fn one_entry(value: &[u8]) -> Vec<u8> {
    let mut entry = vec![0x0a, 1, b'a', 0x12, u8::try_from(value.len()).unwrap()];
    entry.extend_from_slice(value);
    let mut bytes = vec![0x0a, u8::try_from(entry.len()).unwrap()];
    bytes.extend(entry);
    bytes
}

#[tokio::test]
async fn invalid_payloads_are_refused() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let mut nan = vec![0x11];
    nan.extend(f64::NAN.to_le_bytes());
    let payloads = [
        (one_entry(&nan), "NOT_FINITE"),
        (nested(10_000), "TOO_DEEP"),
        (b"no protobuf at all".to_vec(), "MALFORMED"),
        (one_entry(&[0x1a, 2, 0xff, 0xfe]), "NOT_UTF8"),
        (one_entry(&[]), "NO_KIND"),
    ];
    // For a service that decodes its input, and for one that only forwards it.
    for service in ["customer.get", "cidery.echo"] {
        for (payload, code) in &payloads {
            let answer = raw
                .call(INVOKE, &[], with_payload(service, payload.clone()))
                .await;
            assert_refused(&answer, Kind::InvalidArgument, "VALUE_INVALID");
            assert_eq!(
                answer.error().field_violations()[0].code,
                *code,
                "{service}"
            );
        }
    }
    node.assert_healthy().await;
}

#[tokio::test]
async fn invalid_payloads_are_not_accepted_asynchronously() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let path = "/cidery.v1.InvocationService/InvokeAsync";
    let answer = raw
        .call(path, &[], with_payload("cidery.echo", nested(40)))
        .await;
    assert_refused(&answer, Kind::InvalidArgument, "VALUE_INVALID");
}

#[tokio::test]
async fn transport_failures_have_a_reason_and_a_cid() {
    let node =
        TestNode::start(Node::builder().limits(|limits| limits.message_bytes = 10_000)).await;
    let mut raw = Raw::connect(node.address()).await;
    let malformed = raw.call(INVOKE, &[], framed(&[0xff, 0xff, 0xff])).await;
    assert_refused(&malformed, Kind::InvalidArgument, "MALFORMED_MESSAGE");
    let not_text = raw.call(INVOKE, &[], framed(&[0x0a, 2, 0xff, 0xfe])).await;
    assert_refused(&not_text, Kind::InvalidArgument, "MALFORMED_MESSAGE");
    let too_large = raw.call(INVOKE, &[], framed(&vec![0; 20_000])).await;
    assert_refused(&too_large, Kind::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert!(too_large.error().message().contains("10000"));
    let batch = "/cidery.v1.InvocationService/InvokeBatch";
    let too_large = raw.call(batch, &[], framed(&vec![0; 20_000])).await;
    assert_refused(&too_large, Kind::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert!(too_large.error().message().contains("several batches"));
    let nothing = raw.call(INVOKE, &[], Bytes::new()).await;
    assert_refused(&nothing, Kind::InvalidArgument, "MALFORMED_MESSAGE");
    let compressed = raw
        .call(
            INVOKE,
            &[("grpc-encoding", "gzip")],
            to_service("cidery.ping"),
        )
        .await;
    assert_refused(&compressed, Kind::Unimplemented, "NOT_SUPPORTED");
    for path in [
        "/cidery.v1.InvocationService/Nothing",
        "/no.such.Service/Get",
        "/x",
    ] {
        let unknown = raw.call(path, &[], to_service("cidery.ping")).await;
        assert_refused(&unknown, Kind::Unimplemented, "METHOD_UNKNOWN");
        let service = path.split('/').nth(1).unwrap();
        assert!(unknown.error().message().contains(service));
    }
    let cut_short = raw.call(INVOKE, &[], framed(&[0; 100]).slice(..50)).await;
    assert_refused(&cut_short, Kind::InvalidArgument, "MALFORMED_MESSAGE");
    node.assert_healthy().await;
}

#[tokio::test]
async fn metadata_size_is_limited() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let large = v1::InvokeRequest {
        service: "cidery.ping".to_owned(),
        metadata: [("k".to_owned(), "x".repeat(9_000))].into(),
        ..v1::InvokeRequest::default()
    };
    let answer = raw.call(INVOKE, &[], framed(&large.encode_to_vec())).await;
    assert_refused(&answer, Kind::InvalidArgument, "METADATA_TOO_LARGE");
    node.assert_healthy().await;
}

fn ping() -> v1::InvokeRequest {
    v1::InvokeRequest {
        service: "cidery.ping".to_owned(),
        ..v1::InvokeRequest::default()
    }
}

fn document(bytes: &'static [u8]) -> Option<v1::invoke_request::Input> {
    Some(v1::invoke_request::Input::Document(Bytes::from_static(
        bytes,
    )))
}

/// Makes a valid request invalid.
type Corrupt = fn(&mut v1::InvokeRequest);

async fn check_corrupted(cases: &[(Corrupt, Kind, &str)]) {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    for (corrupt, kind, reason) in cases {
        let mut request = ping();
        corrupt(&mut request);
        let answer = raw
            .call(INVOKE, &[], framed(&request.encode_to_vec()))
            .await;
        assert_refused(&answer, *kind, reason);
    }
    node.assert_healthy().await;
}

#[tokio::test]
async fn unknown_services_options_and_names_are_refused() {
    check_corrupted(&[
        (
            |r| r.service = "no.such".to_owned(),
            Kind::NotFound,
            "SERVICE_UNKNOWN",
        ),
        (
            |r| r.service = String::new(),
            Kind::InvalidArgument,
            "REQUEST_INVALID",
        ),
        (
            |r| r.cid = "x".to_owned(),
            Kind::InvalidArgument,
            "CID_INVALID",
        ),
        (
            |r| {
                r.timeout = Some(prost_types::Duration {
                    seconds: -1,
                    nanos: 0,
                })
            },
            Kind::InvalidArgument,
            "REQUEST_INVALID",
        ),
        (
            |r| r.on_deadline = 99,
            Kind::InvalidArgument,
            "REQUEST_INVALID",
        ),
        (
            |r| r.idempotency_key = "k".repeat(256),
            Kind::InvalidArgument,
            "REQUEST_INVALID",
        ),
    ])
    .await;
}

#[tokio::test]
async fn unknown_or_mismatched_formats_are_refused() {
    check_corrupted(&[
        (
            |r| r.data_format = 99,
            Kind::InvalidArgument,
            "FORMAT_INVALID",
        ),
        (
            |r| r.response_format = 99,
            Kind::InvalidArgument,
            "FORMAT_INVALID",
        ),
        (
            |r| r.data_format = v1::DataFormat::Csv.into(),
            Kind::InvalidArgument,
            "FORMAT_INVALID",
        ),
        (
            |r| {
                r.input = document(b"{}");
                r.data_format = v1::DataFormat::Dict.into();
            },
            Kind::InvalidArgument,
            "FORMAT_INVALID",
        ),
        (
            |r| {
                r.input = document(b"a,b\n1,\"x");
                r.data_format = v1::DataFormat::Csv.into();
            },
            Kind::InvalidArgument,
            "DOCUMENT_MALFORMED",
        ),
        (
            |r| {
                r.service = "customer.get".to_owned();
                r.input = document(b"{\"a\":");
            },
            Kind::InvalidArgument,
            "DOCUMENT_MALFORMED",
        ),
    ])
    .await;
}

/// Protobuf would merge them; the codec must not silently drop the first.
#[tokio::test]
async fn a_duplicate_input_is_refused() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let mut request = ping();
    request.input = Some(v1::invoke_request::Input::Payload(
        one_entry(&[0x20, 1]).into(),
    ));
    let twice = [request.encode_to_vec(), request.encode_to_vec()].concat();
    let answer = raw.call(INVOKE, &[], framed(&twice)).await;
    assert_refused(&answer, Kind::InvalidArgument, "MALFORMED_MESSAGE");
}

/// The size is checked before the keys, so that many keys cost no more than few.
#[tokio::test]
async fn a_million_metadata_keys_are_refused() {
    let node = node().await;
    let mut request = ping();
    request.metadata = (0..1_000_000)
        .map(|n| (n.to_string(), String::new()))
        .collect();
    let mut raw = Raw::connect(node.address()).await;
    let answer = raw
        .call(INVOKE, &[], framed(&request.encode_to_vec()))
        .await;
    assert_refused(&answer, Kind::InvalidArgument, "METADATA_TOO_LARGE");
    node.assert_healthy().await;
}

/// A client with default limits receives a failure of any size.
#[tokio::test]
async fn a_failure_with_many_details_is_truncated_to_fit() {
    async fn verbose() -> cidery::Result<()> {
        let error = cidery::Error::aborted("R".repeat(10_000), "m".repeat(10_000));
        Err((0..1_000).fold(error, |error, n| {
            error.with_info(format!("k{n}"), "v".repeat(100))
        }))
    }
    let node = TestNode::start(Node::builder().service("verbose", verbose)).await;
    let mut raw = Raw::connect(node.address()).await;
    let answer = raw.call(INVOKE, &[], to_service("verbose")).await;
    let bytes: usize = answer
        .headers
        .iter()
        .map(|(k, v)| k.as_str().len() + v.len() + 32)
        .sum();
    assert!(bytes < 8 * 1024, "{bytes}");
}

#[tokio::test]
async fn panics_and_invalid_outputs_are_failures() {
    let node = node().await;
    let mut raw = Raw::connect(node.address()).await;
    let panicked = raw.call(INVOKE, &[], to_service("panics")).await;
    assert_refused(&panicked, Kind::Internal, "HANDLER_PANICKED");
    assert!(!panicked.error().message().contains("told"));
    let nan = raw.call(INVOKE, &[], to_service("nan")).await;
    assert_refused(&nan, Kind::Internal, "OUTPUT_INVALID");
    node.assert_healthy().await;
}

#[tokio::test]
async fn an_oversized_response_is_refused_before_it_is_sent() {
    let builder = Node::builder()
        .service("large", async || "x".repeat(20_000))
        .limits(|limits| limits.message_bytes = 10_000);
    let node = TestNode::start(builder).await;
    let mut raw = Raw::connect(node.address()).await;
    let answer = raw.call(INVOKE, &[], to_service("large")).await;
    assert_refused(&answer, Kind::ResourceExhausted, "MESSAGE_TOO_LARGE");
    assert_eq!(answer.error().fact("message_bytes"), Some("10000"));
}

/// The request timeout runs in real time here, so the test sets a short one.
#[tokio::test]
async fn an_incomplete_request_times_out() {
    let builder = Node::builder().limits(|limits| {
        limits.request_timeout = std::time::Duration::from_millis(50);
    });
    let node = TestNode::start(builder).await;
    let mut raw = Raw::connect(node.address()).await;
    let (response, mut send) = raw.begin(INVOKE, &[]);
    let whole = to_service("cidery.ping");
    send.send_data(whole.slice(..whole.len() / 2), false)
        .unwrap();
    let silent = answer(response).await;
    assert_refused(&silent, Kind::DeadlineExceeded, "REQUEST_INCOMPLETE");
    node.assert_healthy().await;
}

/// A request that is not gRPC gets an HTTP response.
#[tokio::test]
async fn plain_http_gets_an_http_response() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let node = node().await;
    let mut stream = tokio::net::TcpStream::connect(node.address())
        .await
        .unwrap();
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let mut stream = tokio::net::TcpStream::connect(node.address())
        .await
        .unwrap();
    let mut noise = BytesMut::zeroed(4_096);
    noise.fill(0xa5);
    let _ = stream.write_all(&noise).await;
    node.assert_healthy().await;
}

#[tokio::test]
async fn malformed_times_are_refused() {
    let node = node().await;
    let duration = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let time = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
    let request = |deadline, expiration, timeout| v1::InvokeAsyncRequest {
        service: "cidery.ping".to_owned(),
        deadline,
        expiration,
        timeout,
        ..v1::InvokeAsyncRequest::default()
    };
    for (path, request) in [
        ("/deadline", request(time(0, -1), None, None)),
        ("/deadline", request(time(0, 1_000_000_000), None, None)),
        ("/deadline", request(time(-62_135_596_801, 0), None, None)),
        ("/expiration", request(None, duration(1, -1), None)),
        (
            "/expiration",
            request(None, duration(315_576_000_001, 0), None),
        ),
        ("/timeout", request(None, None, duration(0, 1_000_000_000))),
        ("/timeout", request(None, None, duration(-1, 0))),
    ] {
        let status = node.stub.clone().invoke_async(request).await.unwrap_err();
        let error = error_of(&status);
        assert_eq!(error.reason(), "REQUEST_INVALID", "{error}");
        assert_eq!(paths(&error), [path]);
    }
    let deadline = time(-2, 500_000_000);
    let mut stub = node.stub.clone();
    let accepted = stub.invoke_async(request(deadline, None, None)).await;
    let cid = Cid::parse(&accepted.unwrap().into_inner().cid).unwrap();
    assert_eq!(ended(&node.client, cid).await.deadline, deadline);
}
