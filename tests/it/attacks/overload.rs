//! Overload: more calls than a service can answer in time. As many as it can answer are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::engine::Invoker;
use cidery::model::call::Call;
use cidery::{Cid, Context, Definition, Node, NodeHandle, Reply, Result, Value, Worker};
use futures_util::future::{join, join_all};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::any_port;

const HANDLER_TIME: Duration = Duration::from_millis(500);
const CONCURRENCY: usize = 64;
/// How long calls arrive.
const ARRIVALS: Duration = Duration::from_secs(10);
/// How far a share may be below the one in `docs/reliability.md`: one round of equal handlers of the twenty.
const MARGIN: f64 = 0.05;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// How long handlers take: one time after the other.
#[derive(Clone)]
struct Times(Arc<(Vec<Duration>, AtomicUsize)>);

impl Times {
    fn new(times: &[Duration]) -> Self {
        Self(Arc::new((times.to_vec(), AtomicUsize::new(0))))
    }

    fn mean(&self) -> Duration {
        let (times, _) = &*self.0;
        times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap()
    }

    fn started(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    async fn work(&self) {
        let (times, started) = &*self.0;
        let number = started.fetch_add(1, Ordering::Relaxed);
        sleep(times[number % times.len()]).await;
    }
}

/// Ten times, from one to ten tenths of the longest, in no order.
fn varying() -> Times {
    let tenths = [3, 9, 1, 7, 10, 5, 2, 8, 4, 6];
    Times::new(&tenths.map(|tenths| HANDLER_TIME * tenths / 10))
}

async fn node(concurrency: usize, times: &Times) -> NodeHandle {
    let times = times.clone();
    let works = move || {
        let times = times.clone();
        async move { times.work().await }
    };
    let node = Node::builder().service("a.works", works);
    let node = node.limits(|limits| limits.concurrency = concurrency);
    node.listen(any_port()).start().await.unwrap()
}

async fn call(invoker: &Invoker, service: &'static str, timeout: Duration) -> Result<Reply> {
    let mut call = Call::new(service, ());
    call.timeout = Some(timeout);
    let answer = invoker.invoke(Cid::new(), call).await;
    answer.map(|(_, reply)| reply)
}

/// Which share of the capacity is answered in time, where calls arrive at `load` times the capacity, with a deadline of
/// `factor` times the mean time of a handler.
async fn goodput(node: &NodeHandle, handler_time: Duration, load: u32, factor: u32) -> f64 {
    let capacity = CONCURRENCY as f64 / handler_time.as_secs_f64();
    let interval = Duration::from_secs_f64(1.0 / capacity / f64::from(load));
    let mut calls = JoinSet::new();
    let start = Instant::now();
    let timeout = handler_time * factor;
    let mut due = start;
    while due < start + ARRIVALS {
        tokio::time::sleep_until(due).await;
        due += interval;
        let invoker = node.invoker().clone();
        calls.spawn(async move {
            let called = Instant::now();
            let answer = call(&invoker, "a.works", timeout).await;
            (answer, called.elapsed(), start.elapsed())
        });
    }
    let mut answered = 0_u32;
    while let Some(call) = calls.join_next().await {
        match call.unwrap() {
            (Ok(_), wait, when) => {
                assert!(
                    wait <= timeout,
                    "answered after {wait:?}, its deadline is {timeout:?}"
                );
                answered += u32::from(when <= ARRIVALS);
            }
            (Err(error), ..) => {
                let expected = ["OVERLOADED", "QUEUE_FULL", "DEADLINE_EXCEEDED"];
                assert!(expected.contains(&error.reason()), "{error}");
            }
        }
    }
    f64::from(answered) / capacity / ARRIVALS.as_secs_f64()
}

#[expect(clippy::print_stdout, reason = "the table of `docs/reliability.md`")]
fn assert_goodput(what: &str, (load, factor): (u32, u32), goodput: f64, documented: f64) {
    let row = format!("{what}, load {load}, deadline {factor} x: {goodput:.3}");
    println!("{row}");
    assert!(goodput >= documented - MARGIN, "{row}, not {documented}");
}

#[tokio::test(start_paused = true)]
async fn a_service_under_overload_answers_what_it_can() {
    for load in [2, 5, 10] {
        for factor in [2, 20] {
            let varying_share = if factor == 2 { 0.97 } else { 0.98 };
            for (what, times, documented) in [
                ("equal handlers", Times::new(&[HANDLER_TIME]), 0.95),
                ("varying handlers", varying(), varying_share),
            ] {
                let node = node(CONCURRENCY, &times).await;
                let goodput = goodput(&node, times.mean(), load, factor).await;
                assert_goodput(what, (load, factor), goodput, documented);
            }
        }
    }
}

/// The handlers of a worker: its credit is the limit.
#[tokio::test(start_paused = true)]
async fn a_worker_under_overload_answers_what_it_can() {
    for load in [2, 5, 10] {
        for factor in [2, 20] {
            let node = Node::builder().listen(any_port()).start().await.unwrap();
            let works = async |_: Value| sleep(HANDLER_TIME).await;
            let worker = Worker::builder().service("a.works", works);
            let worker = worker.max_in_flight(u32::try_from(CONCURRENCY).unwrap());
            let address = node.address().unwrap().to_string();
            let _worker = worker.connect(&address).await.unwrap();
            let goodput = goodput(&node, HANDLER_TIME, load, factor).await;
            let documented = if (load, factor) == (2, 2) { 0.9 } else { 0.95 };
            assert_goodput("a worker", (load, factor), goodput, documented);
        }
    }
}

/// Calls have seven turns of eight while they wait, background work one. Its handlers have all permits in the first
/// 500 ms.
#[tokio::test(start_paused = true)]
async fn calls_come_before_background_work_which_does_not_starve() {
    for (load, factor, documented) in [(2, 2, 0.74), (10, 20, 0.84)] {
        let times = Times::new(&[HANDLER_TIME]);
        let node = node(CONCURRENCY, &times).await;
        for _ in 0..4_000 {
            let call = Call::new("a.works", ());
            node.invoker().invoke_async(call).await.unwrap();
        }
        let before = times.started();
        let started = async {
            sleep(ARRIVALS).await;
            times.started() - before
        };
        let (answered, started) = join(goodput(&node, HANDLER_TIME, load, factor), started).await;
        assert_goodput("a backlog", (load, factor), answered, documented);
        let capacity = CONCURRENCY as f64 * ARRIVALS.as_secs_f64() / HANDLER_TIME.as_secs_f64();
        let others = started as f64 / capacity - answered;
        assert!(others >= 0.1, "background work gets {others:.3}");
    }
}

/// Calls without hope, while others wait: they are refused without a wait, in either order of the queue.
#[tokio::test(start_paused = true)]
async fn a_hopeless_call_is_refused_at_once() {
    for busy_for in [ms(1), ms(7_000)] {
        let node = node(2, &Times::new(&[ms(2_000)])).await;
        let patient = || call(node.invoker(), "a.works", ms(60_000));
        join_all([patient(), patient()]).await;
        let waiting: Vec<_> = (0..20).map(|_| patient()).collect();
        let hopeless = async {
            sleep(busy_for).await;
            let start = Instant::now();
            let refused = call(node.invoker(), "a.works", ms(400)).await.unwrap_err();
            (refused, start.elapsed())
        };
        let (answers, (refused, waited)) = join(join_all(waiting), hopeless).await;
        assert_eq!((refused.reason(), waited), ("OVERLOADED", Duration::ZERO));
        assert!(refused.retry_after() >= Some(ms(2_000)), "{refused:?}");
        assert!(answers.iter().all(Result::is_ok));
    }
}

/// Lets calls arrive at a fixed interval; returns how many fail, and with which reasons.
async fn failures(
    node: &NodeHandle,
    count: u32,
    interval: Duration,
    timeout: Duration,
) -> Vec<String> {
    let calls = (0..count).map(|number| async move {
        sleep(interval * number).await;
        call(node.invoker(), "a.works", timeout).await
    });
    let failed = join_all(calls).await.into_iter().filter_map(Result::err);
    failed.map(|error| error.reason().to_owned()).collect()
}

/// A service that becomes faster: once a few calls have shown that, none is refused.
#[tokio::test(start_paused = true)]
async fn calls_of_a_service_that_has_become_faster_are_not_refused() {
    let slow_ones = std::iter::repeat_n(ms(3_000), 256);
    let times: Vec<_> = slow_ones.chain(std::iter::repeat_n(ms(50), 600)).collect();
    let node = node(32, &Times::new(&times)).await;
    let none: [String; 0] = [];
    assert_eq!(failures(&node, 256, ms(1), ms(60_000)).await, none);
    assert_eq!(failures(&node, 20, ms(0), ms(2_000)).await, none);
    // More than are answered, so that calls wait.
    assert_eq!(failures(&node, 580, ms(1), ms(2_000)).await, none);
}

/// A service where one call of four takes sixty times as long as the others: the mean says nothing about either.
#[tokio::test(start_paused = true)]
async fn calls_of_a_service_with_two_kinds_of_calls_are_not_refused() {
    let times = Times::new(&[ms(50), ms(50), ms(50), ms(3_000)]);
    let node = node(8, &times).await;
    let none: [String; 0] = [];
    // 95 % of the capacity.
    assert_eq!(
        failures(&node, 400, times.mean() / 8 * 100 / 95, ms(5_000)).await,
        none
    );
}

/// A handler that waits for a nested call gives its permits away: the queue moves faster than its handlers end.
#[tokio::test(start_paused = true)]
async fn the_time_of_nested_calls_is_no_time_of_the_queue() {
    let outer = async |ctx: Context| -> Result<()> {
        sleep(ms(100)).await;
        ctx.invoke("a.inner", ()).await?;
        Ok(())
    };
    let outer = Definition::new("a.works", outer).unwrap().concurrency(1);
    let builder = Node::builder().service("a.inner", async || sleep(ms(9_900)).await);
    let node = builder.register(outer).listen(any_port());
    let node = node.start().await.unwrap();
    let none: [String; 0] = [];
    assert_eq!(failures(&node, 2, ms(0), ms(13_000)).await, none);
    // The last one starts after 2 s. If permits were held during nested calls, it would start after 200 s.
    assert_eq!(failures(&node, 20, ms(0), ms(13_000)).await, none);
}

/// Where the permits of the node are used up by other services, few handlers of a service run; that says nothing about
/// how long its calls wait.
#[tokio::test(start_paused = true)]
async fn an_exhausted_node_does_not_make_the_queue_of_a_service_look_slow() {
    let builder = Node::builder().service("a.works", async || sleep(ms(1_000)).await);
    let builder = builder.service("b.works", async || sleep(ms(10)).await);
    let node = builder.limits(|limits| {
        limits.concurrency = 2;
        limits.node_concurrency = 2;
    });
    let node = node.listen(any_port()).start().await.unwrap();
    let none: [String; 0] = [];
    assert_eq!(failures(&node, 2, ms(0), ms(5_000)).await, none);
    let others = join_all((0..2).map(|_| call(node.invoker(), "b.works", ms(5_000))));
    let (others, failed) = join(others, failures(&node, 6, ms(0), ms(5_000))).await;
    assert!(others.iter().all(Result::is_ok));
    assert_eq!(failed, none);
}
