//! `Invoke` through a worker of the Python SDK. The baseline is a minimal bidirectional echo with grpcio. Both are
//! bounded by the interpreter.
//!
//! `CIDERY_SDK` is the `bin` folder of a virtual environment with grpcio: `eval "$(scripts/tools sdk)"`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::uri::PathAndQuery;
use prost_types::Struct;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

use crate::CALLERS;
use crate::contest::{Comparison, Contender, Goals, compete};
use crate::load::{self, Load, Round};
use crate::server::Server;
use crate::settings::settings;

const CALLS: usize = 5_000;

fn python() -> Command {
    let sdk = std::env::var_os("CIDERY_SDK").expect("CIDERY_SDK: eval \"$(scripts/tools sdk)\"");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(PathBuf::from(sdk).join("python"));
    command.env("PYTHONPATH", root.join("python/src"));
    command.current_dir(root.join("benches/python"));
    command
}

/// Keeps as many messages on one stream as there are callers.
async fn echo(address: &str, server: &Server, calls: usize) -> Round {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let mut grpc = Grpc::new(endpoint.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let (outbox, outgoing) = mpsc::unbounded_channel();
    let request = tonic::Request::new(UnboundedReceiverStream::new(outgoing));
    let path = PathAndQuery::from_static("/bench.Echo/Serve");
    let codec = ProstCodec::<Struct, Struct>::default();
    let (cpu, begun) = (server.cpu(), Instant::now());
    let (message, mut sent) = (load::customer(), VecDeque::new());
    for _ in 0..CALLERS.min(calls) {
        outbox.send(message.clone()).unwrap();
        sent.push_back(Instant::now());
    }
    let answers = grpc.streaming(request, path, codec).await.unwrap();
    let (mut answers, mut left) = (answers.into_inner(), calls - sent.len());
    let mut latencies = Vec::with_capacity(calls);
    while let Some(began) = sent.pop_front() {
        answers.message().await.unwrap().unwrap();
        latencies.push(began.elapsed());
        if left > 0 {
            left -= 1;
            outbox.send(message.clone()).unwrap();
            sent.push_back(Instant::now());
        }
    }
    Round::of(latencies, begun.elapsed(), server.cpu() - cpu)
}

/// Compares handlers in threads and in the event loop with the faster of grpcio's two servers.
pub(crate) fn compare() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let node = Server::start("node");
    let worker = Server::spawn(python().arg("worker.py").arg(&node.address));
    let baselines = [[].as_slice(), &["aio"]].map(|arguments: &[&str]| {
        let mut echo = python();
        Server::spawn(echo.arg("bidi_echo.py").args(arguments))
    });
    runtime.block_on(async {
        let mut fastest = Vec::new();
        for baseline in &baselines {
            echo(&baseline.address, baseline, CALLS).await;
            let round = echo(&baseline.address, baseline, CALLS).await;
            fastest.push(round.per_second);
        }
        let aio_is_faster = fastest[1] > fastest[0];
        let baseline = &baselines[usize::from(aio_is_faster)];
        let name = if aio_is_faster { "grpc.aio" } else { "grpcio" };
        for (row, service, title) in [
            (
                "python-threads",
                "echo",
                "Invoke through a Python worker, handler in threads",
            ),
            (
                "python-coroutine",
                "echo-aio",
                "Invoke through a Python worker, handler a coroutine",
            ),
        ] {
            let services = [service.to_owned()];
            let load = Load::of_services(&node.address, load::INVOKE, CALLERS, &services).await;
            let contenders = [
                Contender::new("cidery", |calls| load.run(&worker, calls)),
                Contender::new(name, |calls| echo(&baseline.address, baseline, calls)),
            ];
            let all = compete(&contenders, settings().part_of(CALLS)).await;
            let comparison = Comparison {
                row,
                title,
                callers: CALLERS,
                done: "calls",
                whose: "Python",
            };
            comparison.show(&all[0], &all[1], Goals::rate_at_least(0.8));
        }
    });
}
