//! `Invoke` of an in-process service beside tonic's echo, and beside an echo that makes and answers an identifier as
//! every call of a node has one; each with 64 and with 256 callers.

use tonic::codegen::BoxFuture;
use tonic::metadata::MetadataValue;
use tonic::server::{NamedService, UnaryService};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::load::{self, Load, Round};
use crate::server::Server;
use crate::{baseline, median, median_of};

/// Calls per round, rounds, and concurrent callers.
const CALLS: usize = 30_000;
const ROUNDS: usize = 7;
const CALLERS: [usize; 2] = [64, 256];
/// The servers, and the paths of their methods.
const SERVERS: [(&str, &str); 3] = [
    ("cidery", load::INVOKE),
    ("tonic", baseline::PATH),
    ("tonic-cid", baseline::PATH),
];

/// A request with an identifier, as `cidery.v1.InvokeResponse` has one.
#[derive(Clone, PartialEq, prost::Message)]
struct WithCid {
    #[prost(string, tag = "1")]
    cid: String,
    #[prost(message, optional, tag = "2")]
    payload: Option<prost_types::Struct>,
}

#[derive(Clone)]
struct Echo;

impl UnaryService<baseline::Message> for Echo {
    type Response = WithCid;
    type Future = BoxFuture<Response<WithCid>, Status>;

    fn call(&mut self, request: Request<baseline::Message>) -> Self::Future {
        Box::pin(async move {
            let cid = Uuid::now_v7().to_string();
            let header = MetadataValue::try_from(&cid).unwrap();
            let payload = request.into_inner().payload;
            let mut response = Response::new(WithCid { cid, payload });
            response.metadata_mut().insert("bench-cid", header);
            Ok(response)
        })
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

/// Serves the echo with an identifier.
pub(crate) fn serve() {
    baseline::serve_unary(Echo);
}

pub(crate) fn compare() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let servers = SERVERS.map(|(kind, _)| Server::start(kind));
    // The rounds of each server with each number of callers.
    let mut rounds = SERVERS.map(|_| CALLERS.map(|_| Vec::new()));
    runtime.block_on(async {
        let mut loads = Vec::new();
        for (s, (_, path)) in SERVERS.into_iter().enumerate() {
            for (c, callers) in CALLERS.into_iter().enumerate() {
                let load = Load::new(&servers[s].address, path, callers).await;
                // A warm-up.
                load.run(&servers[s], CALLS / 4).await;
                loads.push((s, c, load));
            }
        }
        for _ in 0..ROUNDS {
            for (s, c, load) in &loads {
                rounds[*s][*c].push(load.run(&servers[*s], CALLS).await);
            }
        }
    });
    show(&rounds);
}

fn show(rounds: &[[Vec<Round>; 2]; 3]) {
    println!("Invoke, dict of 6 fields in and out, {ROUNDS} x {CALLS} calls each");
    println!(
        "{:<12} {:>8} {:>12} {:>10} {:>10} {:>10}",
        "server", "callers", "calls/s", "CPU, us", "p50, us", "p99, us"
    );
    for (s, (kind, _)) in SERVERS.into_iter().enumerate() {
        for (c, callers) in CALLERS.into_iter().enumerate() {
            let of = |value: fn(&Round) -> f64| median(&rounds[s][c], value);
            println!(
                "{kind:<12} {callers:>8} {:>12.0} {:>10.2} {:>10.0} {:>10.0}",
                of(rate),
                of(cpu),
                of(|round| round.p50.as_secs_f64() * 1e6),
                of(|round| round.p99.as_secs_f64() * 1e6),
            );
        }
    }
    for (c, callers) in CALLERS.into_iter().enumerate() {
        for (other, goals) in [(1, "0.97, 1.05"), (2, "1.0, 1.0")] {
            // Of neighbouring rounds, so that what disturbs one disturbs the other.
            let ratio = |of: fn(&Round) -> f64| {
                let pairs = rounds[0][c].iter().zip(&rounds[other][c]);
                median_of(pairs.map(|(ours, its)| of(ours) / of(its)))
            };
            println!(
                "beside {:<10} {callers:>4} callers: {:>5.2} of its calls/s, {:>5.2} of its CPU (goals {goals})",
                SERVERS[other].0,
                ratio(rate),
                ratio(cpu)
            );
        }
    }
    for (s, (kind, _)) in SERVERS.into_iter().enumerate() {
        let pairs = rounds[s][0].iter().zip(&rounds[s][1]);
        let ratio = median_of(pairs.map(|(few, many)| many.per_second / few.per_second));
        println!("{kind}: 256 callers have {ratio:.2} of the calls/s of 64 (goal 0.95)");
    }
    println!();
}

fn rate(round: &Round) -> f64 {
    round.per_second
}

fn cpu(round: &Round) -> f64 {
    round.cpu.as_secs_f64() * 1e6
}

/// Calls a server that runs already, for a profile of it.
pub(crate) fn call(kind: &str, address: &str, [callers, calls]: [&str; 2]) {
    let (_, path) = SERVERS
        .into_iter()
        .find(|(known, _)| *known == kind)
        .unwrap();
    let (callers, calls): (usize, usize) = (callers.parse().unwrap(), calls.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let load = Load::new(address, path, callers).await;
        let begun = tokio::time::Instant::now();
        load.call(calls).await;
        println!(
            "{:.0} calls/s",
            calls as f64 / begun.elapsed().as_secs_f64()
        );
    });
}
