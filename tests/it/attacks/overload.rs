//! Overload: more calls than a service can answer in time. As many as it can answer are answered.

use std::time::Duration;

use cidery::model::call::Call;
use cidery::{Cid, Node, NodeHandle, Value, Worker};
use tokio::task::JoinSet;

use crate::support::any_port;

const HANDLER_TIME: Duration = Duration::from_millis(500);
const CONCURRENCY: u32 = 64;
/// How long calls arrive.
const ARRIVALS: Duration = Duration::from_secs(10);

/// Which share of the capacity is answered in time, where calls arrive at `load` times the capacity, with a deadline of
/// `factor` times the time of a handler.
async fn goodput(node: &NodeHandle, service: &'static str, load: u32, factor: u32) -> f64 {
    let rate = f64::from(load * CONCURRENCY) / HANDLER_TIME.as_secs_f64();
    let interval = Duration::from_secs_f64(1.0 / rate);
    let mut calls = JoinSet::new();
    let start = tokio::time::Instant::now();
    let mut due = start;
    while due < start + ARRIVALS {
        tokio::time::sleep_until(due).await;
        due += interval;
        let invoker = node.invoker().clone();
        let mut call = Call::new(service, ());
        call.timeout = Some(HANDLER_TIME * factor);
        calls.spawn(async move {
            let answer = invoker.invoke(Cid::new(), call).await;
            (answer, start.elapsed())
        });
    }
    let mut answered = 0_u32;

    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            (Ok(_), when) => answered += u32::from(when <= ARRIVALS),
            (Err(error), _) => {
                let expected = ["OVERLOADED", "QUEUE_FULL", "DEADLINE_EXCEEDED"];
                assert!(expected.contains(&error.reason()), "{error}");
            }
        }
    }
    let capacity = f64::from(CONCURRENCY) * ARRIVALS.as_secs_f64() / HANDLER_TIME.as_secs_f64();
    f64::from(answered) / capacity
}

#[tokio::test(start_paused = true)]
async fn a_service_under_overload_answers_what_it_can() {
    for load in [2, 5, 10] {
        for factor in [2, 20] {
            let works = async || tokio::time::sleep(HANDLER_TIME).await;
            let node = Node::builder().service("a.works", works);
            let node = node.limits(|limits| limits.concurrency = CONCURRENCY as usize);
            let node = node.listen(any_port()).start().await.unwrap();
            let goodput = goodput(&node, "a.works", load, factor).await;
            assert!(
                goodput >= 0.9,
                "load {load}, deadline {factor} x: {goodput:.2}"
            );
        }
    }
}

/// The handlers of a worker: its credit is the limit.
#[tokio::test(start_paused = true)]
async fn a_worker_under_overload_answers_what_it_can() {
    for load in [2, 5, 10] {
        for factor in [2, 20] {
            let node = Node::builder().listen(any_port()).start().await.unwrap();
            let works = async |_: Value| tokio::time::sleep(HANDLER_TIME).await;
            let worker = Worker::builder().service("a.works", works);
            let worker = worker.max_in_flight(CONCURRENCY);
            let address = node.address().unwrap().to_string();
            let _worker = worker.connect(&address).await.unwrap();
            let goodput = goodput(&node, "a.works", load, factor).await;
            assert!(
                goodput >= 0.9,
                "load {load}, deadline {factor} x: {goodput:.2}"
            );
        }
    }
}
