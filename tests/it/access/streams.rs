//! Streams end with the key that opened them.

use std::time::Duration;

use cidery::codec::convert::duration_to_proto;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::engine::clock::{Clock, ManualClock};
use cidery::model::call::{Call, Start};
use cidery::{Cid, Node, Worker};
use http::Request;
use prost::Message as _;
use tonic::Code;

use super::{Guarded, admin, user, user_for};
use crate::support::raw::{Raw, answer, framed};
use crate::support::{PATIENCE, error_of, until};

const GET_INVOCATION: &str = "/cidery.v1.InvocationService/GetInvocation";

fn with_key<T>(message: T, key: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// A stream that waits for an invocation which nobody accepts.
async fn waiting_stream(node: &Guarded, key: &str) -> tonic::Streaming<v1::StreamResultsResponse> {
    let address = format!("http://{}", node.address());
    let mut stub = InvocationServiceClient::connect(address).await.unwrap();
    let request = v1::StreamResultsRequest {
        cids: vec![Cid::new().to_string()],
        wait_for_accept: true,
        ..v1::StreamResultsRequest::default()
    };
    let stream = stub.stream_results(with_key(request, key)).await.unwrap();
    stream.into_inner()
}

async fn end_of(mut stream: tonic::Streaming<v1::StreamResultsResponse>) -> tonic::Status {
    let end = tokio::time::timeout(PATIENCE, stream.message()).await;
    end.unwrap().unwrap_err()
}

fn id_of(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams_and_no_others() {
    let (node, [root, key]) = Guarded::start([admin("root"), user("crm")]).await;
    let ended = waiting_stream(&node, key.expose()).await;
    let mut goes_on = waiting_stream(&node, root.expose()).await;
    let worker = Worker::builder().service("crm.seven", async || 7_u32);
    let worker = worker.api_key(key.expose());
    let worker = worker.connect(&node.address()).await.unwrap();
    let root = node.client(root.expose()).await;
    root.revoke_api_key(id_of(key.expose())).await.unwrap();
    let status = end_of(ended).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(error_of(&status).reason(), "CREDENTIAL_INVALID");
    // The worker has lost its stream, and gets no new one.
    tokio::time::timeout(PATIENCE, async {
        loop {
            let workers = root.workers_of("").await.unwrap();
            if workers.iter().all(|worker| worker.away) {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(futures_util::poll!(std::pin::pin!(goes_on.message())).is_pending());
    worker.stop().await;
}

#[tokio::test]
async fn an_expired_key_ends_its_streams() {
    let time = ManualClock::new();
    let hour = Duration::from_hours(1);
    let clock = Clock::Manual(time.clone());
    let keys = [user_for("crm", hour)];
    let (node, [key]) = Guarded::start_with(Node::builder(), keys, clock).await;
    let stream = waiting_stream(&node, key.expose()).await;
    time.advance(hour);
    let status = end_of(stream).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().ends_with("has expired"), "{status:?}");
    until("the node is idle", || true).await;
}

/// A caller that waits for an outcome has read nothing yet: its wait ends with the key, in each protocol.
#[tokio::test]
async fn a_revoked_key_ends_its_waits() {
    let (node, [root, key]) = Guarded::start([admin("root"), user("crm")]).await;
    let root = node.client(root.expose()).await;
    let mut call = Call::new("cidery.ping", ());
    call.durable().start = Some(Start::After(Duration::from_hours(1)));
    let cid = root.invoke_async(call).await.unwrap().cid;
    let key_header = format!("Bearer {}", key.expose());
    let send = |request: http::request::Builder, body: Vec<u8>, raw: &mut Raw| {
        let request = request.header("authorization", &key_header);
        raw.start(request.body(()).unwrap(), body.into())
    };
    let mut raw = Raw::connect(node.node.address().unwrap()).await;
    let message = v1::GetInvocationRequest {
        cid: cid.to_string(),
        wait: Some(duration_to_proto(Duration::from_hours(1))),
        ..v1::GetInvocationRequest::default()
    };
    let rpc = || Request::post(format!("http://localhost{GET_INVOCATION}"));
    let grpc = rpc().header("content-type", "application/grpc");
    let grpc = send(grpc, framed(&message.encode_to_vec()).to_vec(), &mut raw);
    let connect = rpc().header("content-type", "application/json");
    let json = format!(r#"{{"cid":"{cid}","wait":"3600s"}}"#);
    let connect = send(connect, json.into_bytes(), &mut raw);
    let plain = Request::get(format!("http://localhost/invocations/{cid}?wait=1h"));
    let plain = send(plain, Vec::new(), &mut raw);
    // The requests of a connection are taken in turn: once this one is answered, the others wait.
    let last = send(
        Request::get("http://localhost/services"),
        Vec::new(),
        &mut raw,
    );
    assert_eq!(answer(last).await.http_status, 200);
    root.revoke_api_key(id_of(key.expose())).await.unwrap();
    let ended = async {
        (
            answer(grpc).await,
            answer(connect).await,
            answer(plain).await,
        )
    };
    let (grpc, connect, plain) = tokio::time::timeout(PATIENCE, ended).await.unwrap();
    let error = grpc.error();
    assert_eq!(error.reason(), "CREDENTIAL_INVALID");
    assert!(error.message().ends_with("was revoked"), "{error:?}");
    assert_eq!((connect.http_status, plain.http_status), (401, 401));
}
