//! Whoever greets a node as a worker, with a mutated credential or hello, serves nothing without the right key.

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::proto::v1::serve_request::Message as Outbound;
use cidery::codec::proto::v1::serve_response::Message as Inbound;
use cidery::codec::wire::RawCodec;
use cidery::{AccessOptions, Clock, Node};
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

use super::engine::{duration, mutate, seed};
use crate::access::{admin, store_with};
use crate::support::raw_worker::hello;
use crate::support::{PATIENCE, any_port, error_of, secret_of};

fn first_message() -> Vec<u8> {
    let request = v1::ServeRequest {
        message: Some(Outbound::Hello(hello("fuzz.task"))),
        ..v1::ServeRequest::default()
    };
    request.encode_to_vec()
}

/// Opens a stream with a credential and a first message. Whether the node welcomes the worker, or why not.
async fn greet(
    channel: &Channel,
    credential: &[u8],
    first: Vec<u8>,
) -> Option<Result<bool, cidery::Error>> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/cidery.v1.WorkerService/Serve");
    let mut request = tonic::Request::new(tokio_stream::once(Bytes::from(first)));
    // What is no header at all is never sent.
    let value = AsciiMetadataValue::try_from(credential).ok()?;
    request.metadata_mut().insert("authorization", value);
    let opened = grpc.streaming(request, path, RawCodec).await;
    let mut stream = match opened {
        Ok(opened) => opened.into_inner(),
        Err(status) => return Some(Err(error_of(&status))),
    };
    let answer = timeout(PATIENCE, stream.next()).await.unwrap();
    Some(match answer {
        None => Ok(false),
        Some(Err(status)) => Err(error_of(&status)),
        Some(Ok(message)) => {
            let message = v1::ServeResponse::decode(message).unwrap().message;
            Ok(matches!(message, Some(Inbound::Welcome(_))))
        }
    })
}

#[tokio::test]
async fn no_worker_is_welcomed_without_the_key() {
    let (store, [key]) = store_with([admin("worker")], &Clock::System).await;
    let mut access = AccessOptions::default();
    (access.failures_per_second, access.failures_burst) = (u32::MAX, u32::MAX);
    let node = Node::builder().store(store).access(access);
    let node = node.listen(any_port()).start().await.unwrap();
    let endpoint = format!("http://{}", node.address().unwrap());
    let channel = Channel::from_shared(endpoint).unwrap();
    let channel = channel.connect().await.unwrap();
    let right = format!("Bearer {}", key.expose()).into_bytes();
    let secret = secret_of(key.expose());
    let (seed, until) = (seed(), Instant::now() + duration());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pool = vec![right.clone(), first_message()];
    let (mut rounds, mut welcomed, mut refused) = (0, 0, 0);
    while rounds < 16 || Instant::now() < until {
        rounds += 1;
        let (mut credential, mut first) = (right.clone(), first_message());
        for _ in 0..random.usize(0..3) {
            mutate(&mut credential, &pool, &mut random);
        }
        for _ in 0..random.usize(0..3) {
            mutate(&mut first, &pool, &mut random);
        }
        // The whole header block of a request has 16 KiB at most.
        credential.truncate(4_096);
        first.truncate(4_096);
        let sent = (credential.clone(), first.clone());
        let is_key = credential
            .get(..7)
            .is_some_and(|it| it.eq_ignore_ascii_case(b"Bearer "))
            && credential[7..].trim_ascii() == key.expose().as_bytes();
        match greet(&channel, &credential, first).await {
            None => continue,
            Some(Ok(is_welcome)) => {
                assert!(is_key, "{sent:?}, seed {seed}");
                welcomed += u32::from(is_welcome);
            }
            Some(Err(error)) => {
                let is_refused = error.reason() == "CREDENTIAL_INVALID";
                assert_eq!(is_refused, !is_key, "{sent:?}, seed {seed}: {error:?}");
                assert!(!format!("{error:?}").contains(secret), "{error:?}");
                refused += u32::from(is_refused);
            }
        }
        let place = random.usize(..pool.len());
        match pool.len() < 64 {
            true => pool.extend([sent.0, sent.1]),
            false => pool[place] = sent.0,
        }
    }
    assert!(welcomed > 0 && refused > 0, "{welcomed} {refused}");
    node.invoke("cidery.ping", ()).await.unwrap();
}
