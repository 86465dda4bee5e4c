//! By the number of registered services: `Invoke`, and accept and run on the embedded store, of ten of them and of all
//! of them in turn; what the start of the node costs.

use bytes::Bytes;
use cidery::NodeBuilder;
use prost::Message as _;

use super::calls::{Calls, accept, dict, invoke};
use super::curve::{Curve, Growth, Sample};
use super::rounds::{Scale, alternate};
use super::served::{self, Subject, echo};
use crate::CALLERS;
use crate::contest::micros;
use crate::durable::ACCEPT;
use crate::load::INVOKE;

const SIZES: [usize; 5] = [10, 100, 1_000, 10_000, 100_000];
const QUICK: usize = 10_000;
/// How many of the services are called.
const FEW: usize = 10;
/// How often a node is started, to measure its start.
const STARTS: usize = 3;
const INVOKES: usize = 5_000;
const ACCEPTS: usize = 2_000;

fn name(n: usize) -> String {
    format!("module-{}.service-{n}", n % 100)
}

pub(super) fn serve(folder: &str, count: usize) {
    let add = |node: NodeBuilder, n| node.service(&name(n), echo);
    served::serve(folder, |node| (0..count).fold(node, add), async |_| {});
}

async fn start(size: usize) -> Subject {
    Subject::start(size, &["services", &size.to_string()]).await
}

pub(super) fn measure(scale: Scale) -> Vec<Curve> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure_in(scale))
}

async fn measure_in(scale: Scale) -> Vec<Curve> {
    let sizes = scale.sizes(&SIZES, QUICK);
    let [starts, memory] = alternate(&sizes, STARTS, async |size| {
        let subject = start(*size).await;
        [Sample::cost(micros(subject.server.cpu())), subject.memory()]
    })
    .await;
    let mut subjects = Vec::new();
    for size in &sizes {
        subjects.push(start(*size).await);
    }
    let mut curves = Vec::new();
    for (whose, most) in [("ten services", FEW), ("all services in turn", usize::MAX)] {
        let mut calls = Vec::new();
        for subject in &subjects {
            // Spread over all of them.
            let called = subject.size.min(most);
            let names = (0..called).map(|n| name(n * (subject.size / called)));
            let (invokes, accepts): (Vec<Bytes>, Vec<Bytes>) = names
                .map(|name| {
                    (
                        invoke(&name, dict()),
                        Bytes::from(accept(&name, dict()).encode_to_vec()),
                    )
                })
                .unzip();
            let invokes = Calls::new(&subject.server, INVOKE, invokes, CALLERS).await;
            let accepts = Calls::new(&subject.server, ACCEPT, accepts, CALLERS).await;
            calls.push((subject, invokes, accepts));
        }
        let [invoked, accepted] = alternate(
            &calls,
            scale.rounds(),
            async |(subject, invokes, accepts)| {
                let server = &subject.server;
                subject.ask(INVOKES + ACCEPTS);
                [
                    invokes.run(server, INVOKES).await,
                    Box::pin(accepts.run_until(server, ACCEPTS, subject.idle())).await,
                ]
            },
        )
        .await;
        let curve = |title, samples| {
            Curve::new(
                format!("{title} of {whose}"),
                "us of CPU",
                Growth::Flat,
                &sizes,
                samples,
            )
        };
        curves.push(curve("Invoke", invoked));
        curves.push(curve("Accept and run", accepted));
    }
    let linear = |title, unit, samples| Curve::new(title, unit, Growth::Linear, &sizes, samples);
    curves.push(linear("Start of the node", "us of CPU", starts));
    curves.push(linear("Resident memory after the start", "KiB", memory));
    curves
}
