//! Overload by real clients over TCP: ten times the measured capacity of a service is offered, whoever is refused.
//!
//! `CIDERY_OVERLOAD_SECONDS` is how long it lasts (default: 5 s).

use std::time::Duration;

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Error, dict};
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::memory::{cpu_time, resident_mib};
use crate::support::binary::Server;

const HANDLER_TIME: Duration = Duration::from_millis(50);
const CONCURRENCY: u32 = 4;
/// The deadline of each call.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long the capacity is measured.
const MEASURED: Duration = Duration::from_secs(1);
const OVERLOAD: u32 = 10;
/// How far memory may rise during the overload, in MiB.
const MAX_RISE_MIB: usize = 48;

fn seconds() -> u64 {
    let seconds = std::env::var("CIDERY_OVERLOAD_SECONDS");
    seconds.map_or(5, |seconds| seconds.parse().unwrap())
}

fn call() -> Call {
    let mut call = Call::new(
        "demo.sleep",
        dict! { "seconds": HANDLER_TIME.as_secs_f64() },
    );
    call.timeout = Some(TIMEOUT);
    call
}

/// How many calls a second are answered where as many callers as permits each call again and again.
async fn capacity(client: &ContractClient) -> f64 {
    let start = Instant::now();
    let callers = (0..CONCURRENCY).map(async |_| {
        let mut answered = 0_u32;
        while start.elapsed() < MEASURED {
            client.invoke(call()).await.unwrap();
            answered += 1;
        }
        answered
    });
    let answered: u32 = join_all(callers).await.into_iter().sum();
    f64::from(answered) / start.elapsed().as_secs_f64()
}

/// What became of the calls of an overload.
#[derive(Debug, Default)]
struct Answers {
    answered: u32,
    /// The longest wait of an answered call, but for one of a hundred.
    p99: Duration,
    /// Calls that waited in the queue until their deadlines: others came after them, and first.
    given_up: u32,
    /// The longest wait of one of them, but for one of a hundred.
    given_up_p99: Duration,
    refused: u32,
}

/// Whether a call ended at its deadline: the client may notice it before the answer of the node arrives.
fn has_passed(error: &Error) -> bool {
    error.reason() == "DEADLINE_EXCEEDED" || error.message() == "Timeout expired"
}

fn p99(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    let longest = waits.get(waits.len() * 99 / 100);
    longest.copied().unwrap_or_default()
}

/// Offers calls at a rate, whether the ones before are answered or not.
async fn offer(clients: &[ContractClient], rate: f64, lasts: Duration) -> (Answers, Duration) {
    let start = Instant::now();
    let mut calls = JoinSet::new();
    let mut due = start;
    for client in clients.iter().cycle() {
        if due >= start + lasts {
            break;
        }
        sleep_until(due).await;
        due += Duration::from_secs_f64(rate.recip());
        let client = client.clone();
        calls.spawn(async move {
            let start = Instant::now();
            let answer = client.invoke(call()).await;
            (answer, start.elapsed())
        });
    }
    let mut answers = Answers::default();
    let (mut waits, mut given_up) = (Vec::new(), Vec::new());
    while let Some(answer) = calls.join_next().await {
        let (answer, wait) = answer.unwrap();
        match answer {
            Ok(_) => waits.push(wait),
            Err(error) if has_passed(&error) => given_up.push(wait),
            Err(error) => {
                let expected = ["OVERLOADED", "QUEUE_FULL"];
                assert!(expected.contains(&error.reason()), "{error:?}");
                answers.refused += 1;
            }
        }
    }
    answers.answered = u32::try_from(waits.len()).unwrap();
    answers.given_up = u32::try_from(given_up.len()).unwrap();
    (answers.p99, answers.given_up_p99) = (p99(waits), p99(given_up));
    (answers, start.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the table of `docs/reliability.md`")]
async fn ten_times_the_capacity_takes_nothing_from_it() {
    let limit = format!("demo.sleep concurrency={CONCURRENCY}");
    let server = Server::start(&["--service-limit", &limit]);
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(ContractClient::connect(&server.address).await.unwrap());
    }
    let cpu = cpu_time(&server);
    let before = capacity(&clients[0]).await;
    let (cpu_before, resident) = (cpu_time(&server) - cpu, resident_mib(&server));
    let cpu = cpu_time(&server);
    let lasts = Duration::from_secs(seconds());
    let (answers, took) = offer(&clients, before * f64::from(OVERLOAD), lasts).await;
    let cpu_during = cpu_time(&server) - cpu;
    // The last calls are answered after the load has ended.
    let goodput = f64::from(answers.answered) / took.as_secs_f64() / before;
    let after = capacity(&clients[0]).await / before;
    let rise = resident_mib(&server).saturating_sub(resident);
    println!(
        "capacity {before:.0}/s; {OVERLOAD} x for {lasts:?}: goodput {goodput:.3}, {answers:?}, {rise} MiB; CPU \
         {cpu_before:?} before, {cpu_during:?} during; recovered to {after:.3}"
    );
    assert!(goodput >= 0.9, "goodput {goodput:.3}");
    // The node answers no call after its deadline. What the client sees later is the way, which is as long for the
    // calls that end at their deadlines.
    assert!(answers.p99 <= answers.given_up_p99, "{answers:?}");
    assert!(rise <= MAX_RISE_MIB, "{rise} MiB");
    assert!(after >= 0.9, "recovered to {after:.3}");
}
