//! By the number of connections: `Invoke` over four of them, by 64 callers, while the others are idle, and over all of
//! them in turn, one call at a time; the memory of the node.

use super::calls::{Calls, connect, dict, invoke};
use super::curve::{Curve, Growth};
use super::rounds::{Scale, alternate};
use super::served::Subject;
use crate::CALLERS;
use crate::load::INVOKE;

const SIZES: [usize; 5] = [1, 10, 100, 1_000, 2_000];
const QUICK: usize = 1_000;
/// Calls of a round by many callers, and by one.
const CALLS: usize = 5_000;
const SINGLE_CALLS: usize = 1_000;

pub(super) fn measure(scale: Scale) -> Vec<Curve> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure_in(scale))
}

async fn measure_in(scale: Scale) -> Vec<Curve> {
    let sizes = scale.sizes(&SIZES, QUICK);
    let body = vec![invoke("echo", dict())];
    let (mut calls, mut memory) = (Vec::new(), Vec::new());
    for size in &sizes {
        let subject = Subject::start(*size, &["echo"]).await;
        let busy = Calls::new(&subject.server, INVOKE, body.clone(), CALLERS).await;
        let channels = connect(&subject.server, *size).await;
        let all = Calls::over(channels, INVOKE, body.clone(), 1);
        // Each connection has had a call.
        all.make(*size).await;
        memory.push(subject.memory());
        calls.push((subject, busy, all));
    }
    let [beside, in_turn] = alternate(&calls, scale.rounds(), async |(subject, busy, all)| {
        [
            busy.run(&subject.server, CALLS).await,
            all.run(&subject.server, SINGLE_CALLS).await,
        ]
    })
    .await;
    let curve = |title, unit, growth, samples| Curve::new(title, unit, growth, &sizes, samples);
    vec![
        curve(
            "Invoke beside idle connections",
            "us of CPU",
            Growth::Flat,
            beside,
        ),
        curve(
            "Invoke over all connections in turn",
            "us of CPU",
            Growth::Flat,
            in_turn,
        ),
        curve("Resident memory", "KiB", Growth::Linear, memory),
    ]
}
