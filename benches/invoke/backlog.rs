//! A backlog of a million pending invocations of one service: memory, disk, acceptance rate, recovery time after a
//! kill, drain rate, and the latency of another service meanwhile.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cidery::codec::proto::v1;
use cidery::dict;
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::store::SqliteStore;
use prost::Message as _;

use crate::contest::micros;
use crate::durable::{ACCEPT, folder};
use crate::load::{self, Calls, Load, Round};
use crate::outcome::accepted_and_followed;
use crate::server::{Server, serve_echo};

const CALLERS: usize = 64;
/// How many acceptances are measured at each size of the backlog.
const SAMPLE_SIZE: usize = 20_000;
/// Lower bound of the acceptance rate per second: invocations become due only after all are accepted.
const MIN_ACCEPT_RATE: u64 = 8_000;
/// Upper bound of the duration of the measurements between acceptance and drain.
const MEASURING_TIME: Duration = Duration::from_secs(25);
/// How long to wait afterwards for free pages to return to the disk.
const VACUUM_TIME: Duration = Duration::from_secs(120);
/// Retention of the outcomes.
const RETENTION: Duration = Duration::from_secs(20);

/// A node with two services on a store in a folder.
pub(crate) fn serve(folder: &str) {
    let store = SqliteStore::open(Path::new(folder)).unwrap();
    serve_echo(|node| {
        node.store(store)
            .service("other", async |input: cidery::Dict| input)
    });
}

/// Measures with this many pending invocations.
pub(crate) fn measure(pending: usize) {
    let folder = folder("backlog", std::process::id());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let filled = Duration::from_secs(pending as u64 / MIN_ACCEPT_RATE);
    let due = SystemTime::now() + filled + MEASURING_TIME;
    println!("{pending} pending invocations of one service, {CALLERS} callers");
    let server = start(&folder);
    runtime.block_on(async {
        measure_other_service("before", &server).await;
        fill(&server, pending, due).await;
        show("resident memory, MB", server.resident_mb());
        show(
            "bytes of disk per invocation",
            bytes_per_invocation(&folder, pending),
        );
        measure_other_service("with all pending", &server).await;
    });
    let begun = Instant::now();
    drop(server);
    let server = start(&folder);
    runtime.block_on(async {
        let client = ContractClient::connect(&server.address).await.unwrap();
        let ping = Call::new("other", dict! { "a": 1 });
        client.invoke(ping).await.unwrap();
        show(
            "SIGKILL to an answer, ms",
            begun.elapsed().as_secs_f64() * 1e3,
        );
        show("resident memory afterwards, MB", server.resident_mb());
        drain(&server, &client, pending, due).await;
        show("resident memory afterwards, MB", server.resident_mb());
        show(
            "bytes of disk per invocation",
            bytes_per_invocation(&folder, pending),
        );
        removed(&client).await;
        show(
            "bytes of disk after retention",
            bytes_per_invocation(&folder, pending),
        );
        // Free pages return to the disk in small steps.
        tokio::time::sleep(VACUUM_TIME).await;
        let left = bytes_per_invocation(&folder, pending);
        show("bytes of disk two minutes later", left);
    });
    drop(server);
    fs::remove_dir_all(&folder).unwrap();
}

fn start(folder: &Path) -> Server {
    Server::start_with(&["--serve", "backlog", folder.to_str().unwrap()])
}

fn show(what: &str, number: f64) {
    println!("  {what:<34} {number:>10.1}");
}

async fn fill(server: &Server, pending: usize, due: SystemTime) {
    let body = request("echo", Some(due));
    let load = Load::with_bodies(&server.address, ACCEPT, CALLERS, vec![body]).await;
    let mut accepted = 0;
    for size in [1_000, pending / 10, pending] {
        load.run(server, size.saturating_sub(accepted + SAMPLE_SIZE))
            .await;
        accepted = accepted.max(size.saturating_sub(SAMPLE_SIZE));
        let Round {
            per_second, cpu, ..
        } = load.run(server, (size - accepted).max(1_000)).await;
        accepted = size.max(accepted + 1_000);
        show(&format!("accepts per second up to {size}"), per_second);
        show("  server CPU, us for each", cpu.as_secs_f64() * 1e6);
    }
}

/// Measures the latency of another service, with one caller.
async fn measure_other_service(when: &str, server: &Server) {
    let load = Load::with_bodies(
        &server.address,
        load::INVOKE,
        1,
        vec![request("other", None)],
    )
    .await;
    let invoked = load.run(server, 2_000).await;
    let calls = Calls::connect(&server.address, 1).await;
    let body = request("other", None);
    let run = |channel| accepted_and_followed(channel, body.clone());
    let awaited = calls.run(server, 200, run).await;
    for (what, round) in [("Invoke", invoked), ("to outcome", awaited)] {
        let (p50, p99) = (micros(round.p50), micros(round.p99));
        println!("  other service, {what}, {when}: p50 {p50:.0} us, p99 {p99:.0} us");
    }
}

async fn drain(server: &Server, client: &ContractClient, pending: usize, due: SystemTime) {
    let until = due.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(until).await;
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(1)).await;
    measure_other_service("while the backlog drains", server).await;
    while left(client).await > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    #[expect(clippy::cast_precision_loss, reason = "a million is a small number")]
    let rate = pending as f64 / begun.elapsed().as_secs_f64();
    show("outcomes per second", rate);
}

async fn left(client: &ContractClient) -> u64 {
    let service = client.describe("echo").await.unwrap();
    service.pending + service.running
}

/// Waits until the outcomes have been removed.
async fn removed(client: &ContractClient) {
    let states = vec![i32::from(v1::State::Succeeded)];
    let filter = v1::InvocationFilter {
        services: vec!["echo".to_owned()],
        states,
        ..v1::InvocationFilter::default()
    };
    while !client
        .invocations(filter.clone(), 1)
        .await
        .unwrap()
        .is_empty()
    {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn request(service: &str, due: Option<SystemTime>) -> Bytes {
    let start = due.map(|due| {
        let seconds = due.duration_since(UNIX_EPOCH).unwrap().as_secs();
        v1::invoke_async_request::Start::StartTime(prost_types::Timestamp {
            seconds: i64::try_from(seconds).unwrap(),
            nanos: 0,
        })
    });
    let request = v1::InvokeAsyncRequest {
        service: service.to_owned(),
        input: Some(v1::invoke_async_request::Input::Payload(
            load::customer().encode_to_vec().into(),
        )),
        start,
        retention: due.map(|_| RETENTION.try_into().unwrap()),
        ..v1::InvokeAsyncRequest::default()
    };
    request.encode_to_vec().into()
}

fn bytes_per_invocation(folder: &Path, count: usize) -> f64 {
    let size = |file: &str| fs::metadata(folder.join(file)).map_or(0, |file| file.len());
    #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
    let bytes = (size("cidery.db") + size("cidery.db-wal")) as f64 / count as f64;
    bytes
}
