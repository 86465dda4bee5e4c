//! By the number of pending invocations of one service on the embedded store, without concurrency keys and with a
//! hundred of them: accept one more, claim and run one, list, look up; what the start of the node costs.
//!
//! All of them are due. They wait for a gate in their handler, which lets as many through as a round runs.

use std::sync::Arc;

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::{Dict, Input, NodeHandle, State, dict};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::sync::Semaphore;

use super::calls::{Calls, accept, dict, measured, unary};
use super::curve::{Curve, Growth, Sample};
use super::rounds::{Scale, alternate};
use super::served::{self, Folder, Ran, Subject};
use crate::CALLERS;
use crate::contest::micros;
use crate::durable::ACCEPT;

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
const QUICK: usize = 100_000;
/// Above the largest size and what a round adds to it.
const MAX_PENDING: usize = 2_000_000;
const KEYS: usize = 100;
/// Accepted and run in each round.
const CALLS: usize = 1_000;
/// Lists and look-ups in each round.
const LISTS: usize = 20;
const LOOK_UPS: usize = 200;
const PAGE: u32 = 100;
/// How many invocations are submitted at once while the store is filled.
const FILLING: usize = 256;

const LIST: &str = "/cidery.v1.InvocationService/ListInvocations";
const GET: &str = "/cidery.v1.InvocationService/GetInvocation";
const DESCRIBE: &str = "/cidery.v1.DiscoveryService/GetService";

/// The gate that invocations wait for.
#[derive(Clone, Debug)]
struct Gate(Arc<Semaphore>);

async fn work(State(gate): State<Gate>, State(ran): State<Ran>, input: Dict) -> Dict {
    gate.0.acquire().await.unwrap().forget();
    ran.count();
    input
}

async fn open(State(gate): State<Gate>, Input(permits): Input<u64>) {
    gate.0.add_permits(usize::try_from(permits).unwrap());
}

fn key(n: usize, keys: usize) -> Option<String> {
    (keys > 0).then(|| format!("customer-{}", n % keys))
}

/// A node on a store, with so many more pending invocations.
pub(super) fn serve(folder: &str, fill: usize, keys: usize) {
    let gate = Gate(Arc::new(Semaphore::new(0)));
    let services = |node: cidery::NodeBuilder| {
        let node = node.limits(|limits| limits.pending = MAX_PENDING);
        let node = node.state(gate).service("work", work);
        node.service("open", open)
    };
    served::serve(folder, services, async |node| {
        filled(&node, fill, keys).await
    });
}

async fn filled(node: &NodeHandle, count: usize, keys: usize) {
    let input = dict! {
        "cust_id": 123_456, "cust_name": "Alexis Smith", "phone_no": "123-456-789",
        "is_active": true, "balance": 10.5, "city": "Springfield",
    };
    let submit = async |n| {
        let mut call = node.invoke_async("work", input.clone());
        if let Some(key) = key(n, keys) {
            call = call.concurrency_key(key);
        }
        call.await.unwrap();
    };
    futures_util::stream::iter(0..count)
        .for_each_concurrent(FILLING, submit)
        .await;
}

pub(super) fn measure(scale: Scale) -> Vec<Curve> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure_in(scale, 0))
}

pub(super) fn measure_with_keys(scale: Scale) -> Vec<Curve> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure_in(scale, KEYS))
}

/// A node with a backlog, and what is asked of it.
struct Backlog {
    subject: Subject,
    accepts: Arc<Calls>,
    lists: Arc<Calls>,
    ended: Arc<Calls>,
    look_ups: Arc<Calls>,
    counts: Arc<Calls>,
}

impl Backlog {
    async fn of(subject: Subject, keys: usize) -> Self {
        let server = &subject.server;
        let request = |n| v1::InvokeAsyncRequest {
            concurrency_key: key(n, keys).unwrap_or_default(),
            ..accept("work", dict())
        };
        let requests = (0..keys.max(1)).map(|n| Bytes::from(request(n).encode_to_vec()));
        let accepts = Calls::new(server, ACCEPT, requests.collect(), CALLERS).await;
        let accepted = unary(accepts.channel(), ACCEPT, request(0).encode_to_vec().into()).await;
        let accepted = v1::InvokeAsyncResponse::decode(accepted).unwrap();
        let get = v1::GetInvocationRequest {
            cid: accepted.cid,
            ..v1::GetInvocationRequest::default()
        };
        let describe = v1::GetServiceRequest {
            service: "work".to_owned(),
        };
        let single =
            async |path, body: Vec<u8>| Calls::new(server, path, vec![body.into()], 1).await;
        Self {
            accepts,
            lists: single(LIST, list(v1::State::Pending).encode_to_vec()).await,
            ended: single(LIST, list(v1::State::Succeeded).encode_to_vec()).await,
            look_ups: single(GET, get.encode_to_vec()).await,
            counts: single(DESCRIBE, describe.encode_to_vec()).await,
            subject,
        }
    }

    /// Lets the oldest ones through the gate.
    async fn claim_and_run(&self) -> Sample {
        self.subject.ask(CALLS);
        let run = async {
            let permits = u64::try_from(CALLS).unwrap();
            self.subject.client().invoke("open", permits).await.unwrap();
            self.subject.idle().await;
        };
        measured(&self.subject.server, CALLS, run).await
    }
}

/// The first page of the invocations of the service in a state.
fn list(state: v1::State) -> v1::ListInvocationsRequest {
    v1::ListInvocationsRequest {
        filter: Some(v1::InvocationFilter {
            services: vec!["work".to_owned()],
            states: vec![i32::from(state)],
            ..v1::InvocationFilter::default()
        }),
        page_size: PAGE,
        ..v1::ListInvocationsRequest::default()
    }
}

async fn measure_in(scale: Scale, keys: usize) -> Vec<Curve> {
    let sizes = scale.sizes(&SIZES, QUICK);
    let (mut backlogs, mut starts, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for size in &sizes {
        let folder = Arc::new(Folder::new());
        let keys_text = keys.to_string();
        let fill = ["pending", &size.to_string(), &keys_text];
        drop(Subject::start_on(&folder, *size, &fill).await);
        let subject = Subject::start_on(&folder, *size, &["pending", "0", &keys_text]).await;
        starts.push(Sample::cost(micros(subject.server.cpu())));
        backlogs.push(Backlog::of(subject, keys).await);
    }
    let [accepted, ran, listed, ended, looked_up, counted] =
        alternate(&backlogs, scale.rounds(), async |backlog| {
            let server = &backlog.subject.server;
            [
                backlog.accepts.run(server, CALLS).await,
                // As many as were accepted: the backlog stays as long.
                backlog.claim_and_run().await,
                backlog.lists.run(server, LISTS).await,
                backlog.ended.run(server, LISTS).await,
                backlog.look_ups.run(server, LOOK_UPS).await,
                backlog.counts.run(server, LOOK_UPS).await,
            ]
        })
        .await;
    memory.extend(backlogs.iter().map(|backlog| backlog.subject.memory()));
    let flat = |title, samples| Curve::new(title, "us of CPU", Growth::Flat, &sizes, samples);
    vec![
        flat("Accept", accepted),
        flat("Claim and run", ran),
        flat("List 100 pending ones", listed),
        flat("List 100 ended ones", ended),
        flat("GetInvocation", looked_up),
        flat("GetService, with its counts", counted),
        Curve::new(
            "Start of the node",
            "us of CPU",
            Growth::Linear,
            &sizes,
            starts,
        ),
        Curve::new("Resident memory", "KiB", Growth::Linear, &sizes, memory),
    ]
}
