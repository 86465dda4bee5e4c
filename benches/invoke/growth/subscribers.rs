//! By the number of subscribers of result streams that wait: from acceptance to outcome beside them, and the memory
//! that they take, as streams and as CIDs on one stream; the news of one outcome to all of its subscribers; a stream
//! that reads outcomes that are there.

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::codec::wire::RawCodec;
use futures_util::future::join_all;
use http::uri::PathAndQuery;
use prost::Message as _;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use super::calls::{CONNECTIONS, accept, accept_later, connect, dict, measured, unary};
use super::curve::{Curve, Growth, Sample};
use super::rounds::{Scale, alternate};
use super::served::Subject;
use crate::durable::ACCEPT;
use crate::outcome::{STREAM, accepted_and_followed};

const SIZES: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const QUICK: usize = 1_000;
/// Invocations in a round beside the subscribers.
const CALLS: usize = 200;
/// How many requests are made at once.
const AT_ONCE: usize = 64;

pub(super) fn measure(scale: Scale) -> Vec<Curve> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sizes = scale.sizes(&SIZES, QUICK);
        let mut curves = beside(scale, &sizes, "streams").await;
        curves.extend(beside(scale, &sizes, "CIDs on one stream").await);
        curves.push(news(scale, &sizes).await);
        curves.push(past(scale, &sizes).await);
        curves
    })
}

type Results = Streaming<Bytes>;

/// A stream of the events of invocations.
async fn follow(channel: &Channel, cids: Vec<String>) -> Results {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let follow = v1::StreamResultsRequest {
        cids,
        ..v1::StreamResultsRequest::default()
    };
    let request = Request::new(Bytes::from(follow.encode_to_vec()));
    let path = PathAndQuery::from_static(STREAM);
    let stream = grpc.server_streaming(request, path, RawCodec).await;
    stream.unwrap().into_inner()
}

/// Reads so many events.
async fn read(stream: &mut Results, events: usize) {
    for _ in 0..events {
        assert!(
            stream.message().await.unwrap().is_some(),
            "the stream has ended"
        );
    }
}

async fn read_to_end(stream: &mut Results) {
    while stream.message().await.unwrap().is_some() {}
}

/// Accepts invocations; returns their CIDs.
async fn accepted(
    channels: &[Channel],
    request: &v1::InvokeAsyncRequest,
    count: usize,
) -> Vec<String> {
    let request: Bytes = request.encode_to_vec().into();
    let callers = (0..AT_ONCE.min(count)).map(async |caller| {
        let mut cids = Vec::new();
        for n in (caller..count).step_by(AT_ONCE) {
            let answer = unary(&channels[n % channels.len()], ACCEPT, request.clone()).await;
            cids.push(v1::InvokeAsyncResponse::decode(answer).unwrap().cid);
        }
        cids
    });
    join_all(callers).await.concat()
}

/// A node with waiting subscribers.
struct Waiting {
    subject: Subject,
    channels: Vec<Channel>,
    _streams: Vec<Results>,
}

impl Waiting {
    /// Subscribers of invocations that are due in an hour.
    async fn of(size: usize, cids_of_stream: usize) -> (Self, Sample) {
        let subject = Subject::start(size, &["echo"]).await;
        let idle = subject.memory().cost;
        let channels = connect(&subject.server, CONNECTIONS).await;
        let cids = accepted(&channels, &accept_later("echo", dict()), size).await;
        let before = subject.memory().cost;
        let streams = cids
            .chunks(cids_of_stream)
            .enumerate()
            .map(async |(n, cids)| {
                let mut stream = follow(&channels[n % CONNECTIONS], cids.to_vec()).await;
                read(&mut stream, cids.len()).await;
                stream
            });
        let streams = join_all(streams).await;
        // Without that of the invocations.
        let memory = Sample::cost(idle + subject.memory().cost - before);
        let it = Self {
            subject,
            channels,
            _streams: streams,
        };
        (it, memory)
    }
}

async fn beside(scale: Scale, sizes: &[usize], kind: &str) -> Vec<Curve> {
    let (mut nodes, mut memory) = (Vec::new(), Vec::new());
    for size in sizes {
        let cids_of_stream = if kind == "streams" { 1 } else { *size };
        let (node, more) = Waiting::of(*size, cids_of_stream).await;
        nodes.push(node);
        memory.push(more);
    }
    let request: Bytes = accept("echo", dict()).encode_to_vec().into();
    let [outcomes] = alternate(&nodes, scale.rounds(), async |node| {
        let all = async {
            for _ in 0..CALLS {
                accepted_and_followed(node.channels[0].clone(), request.clone()).await;
            }
        };
        [measured(&node.subject.server, CALLS, all).await]
    })
    .await;
    let title = format!("From acceptance to outcome beside {kind}");
    let memory_title = format!("Resident memory with {kind}");
    vec![
        Curve::new(title, "us of CPU", Growth::Flat, sizes, outcomes),
        Curve::new(memory_title, "KiB", Growth::Linear, sizes, memory),
    ]
}

/// The news of one outcome to subscribers with a stream each.
async fn news(scale: Scale, sizes: &[usize]) -> Curve {
    let subject = Subject::start(0, &["pending", "0", "0"]).await;
    let channels = connect(&subject.server, CONNECTIONS).await;
    let [samples] = alternate(sizes, scale.rounds(), async |size| {
        let cids = accepted(&channels, &accept("work", dict()), 1).await;
        let streams = (0..*size).map(async |n| {
            let mut stream = follow(&channels[n % CONNECTIONS], cids.clone()).await;
            // Accepted, started.
            read(&mut stream, 2).await;
            stream
        });
        let mut streams = join_all(streams).await;
        let told = async {
            subject.client().invoke("open", 1).await.unwrap();
            join_all(streams.iter_mut().map(read_to_end)).await;
        };
        [measured(&subject.server, 1, told).await]
    })
    .await;
    let title = "News of one outcome to all of its subscribers";
    Curve::new(title, "us of CPU", Growth::Linear, sizes, samples)
}

/// A stream of invocations that have ended.
async fn past(scale: Scale, sizes: &[usize]) -> Curve {
    let subject = Subject::start(0, &["echo"]).await;
    let channels = connect(&subject.server, CONNECTIONS).await;
    let most = sizes.last().copied().unwrap_or_default();
    let cids = accepted(&channels, &accept("echo", dict()), most).await;
    subject.ask(most);
    subject.idle().await;
    let [samples] = alternate(sizes, scale.rounds(), async |size| {
        let read = async {
            let mut stream = follow(&channels[0], cids[..*size].to_vec()).await;
            read_to_end(&mut stream).await;
        };
        [measured(&subject.server, 1, read).await]
    })
    .await;
    let title = "A stream of outcomes that are there";
    Curve::new(title, "us of CPU", Growth::Linear, sizes, samples)
}
