//! Latency at a fixed rate of calls, without coordinated omission: a call begins when it is due, whether or not earlier
//! ones have been answered, and its latency counts from then. The rates are parts of what the slower contender does
//! with 64 callers that wait.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hdrhistogram::Histogram;
use prost::Message as _;
use tonic::transport::Channel;

use crate::baseline::{self, Message};
use crate::contest::micros;
use crate::durable::{accept_request, remove_folders};
use crate::load::{self, Calls, INVOKE, connect, unary};
use crate::outcome::{accepted_and_followed, append_and_wait};
use crate::record::{Figure, Goal, Sheet};
use crate::server::Server;
use crate::settings::settings;

const CALLERS: usize = 64;
/// Of the capacity, in percent.
const PARTS: [f64; 2] = [50.0, 80.0];
/// Duration of a round.
const SECONDS: f64 = 5.0;
/// The longest latency that is told apart, in microseconds.
const LONGEST: u64 = 60_000_000;

type Call = Arc<dyn Fn(Channel) -> BoxFuture<'static, ()> + Send + Sync>;

/// What is called at a rate.
struct Party {
    name: &'static str,
    channels: Vec<Channel>,
    call: Call,
    /// Calls per second by callers that wait.
    capacity: f64,
}

impl Party {
    async fn new(name: &'static str, server: &Server, calls: usize, call: Call) -> Self {
        let callers = Calls::connect(&server.address, CALLERS).await;
        callers
            .run(server, calls / 4, |channel| call(channel))
            .await;
        let closed = callers.run(server, calls, |channel| call(channel)).await;
        Self {
            name,
            channels: connect(&server.address).await,
            call,
            capacity: closed.per_second,
        }
    }

    /// Latencies in microseconds.
    async fn at(&self, per_second: f64, seconds: f64) -> Histogram<u64> {
        let (channels, call) = (self.channels.clone(), Arc::clone(&self.call));
        let runtime = tokio::runtime::Handle::current();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds of calls are few and not negative"
        )]
        let calls = (per_second * seconds) as u32;
        // A thread of its own: tokio's timers have steps of a millisecond.
        let pacer = move || {
            let begun = Instant::now();
            let begin = |n: u32| {
                let due = begun + Duration::from_secs_f64(f64::from(n) / per_second);
                sleep(due.saturating_duration_since(Instant::now()));
                let called = call(channels[n as usize % channels.len()].clone());
                runtime.spawn(async move {
                    called.await;
                    due.elapsed()
                })
            };
            (0..calls).map(begin).collect::<Vec<_>>()
        };
        let begun = tokio::task::spawn_blocking(pacer).await.unwrap();
        let mut latencies = Histogram::new_with_bounds(1, LONGEST, 3).unwrap();
        for latency in begun {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a latency is not negative, and saturates"
            )]
            latencies.saturating_record(micros(latency.await.unwrap()) as u64);
        }
        latencies
    }
}

/// Measures `Invoke`, and from acceptance to the outcome.
pub(crate) fn measure() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        invoke().await;
        outcome().await;
    });
}

async fn invoke() {
    let (ours, baseline) = (Server::start("cidery"), Server::start("tonic"));
    let message = Message {
        service: "echo".to_owned(),
        payload: Some(load::customer()),
    };
    let body = Bytes::from(message.encode_to_vec());
    let call = |path: &'static str| -> Call {
        let body = body.clone();
        Arc::new(move |channel| unary(channel, path, body.clone()).boxed())
    };
    let calls = settings().part_of(30_000);
    let parties = [
        Party::new("cidery", &ours, calls, call(INVOKE)).await,
        Party::new("tonic echo", &baseline, calls, call(baseline::PATH)).await,
    ];
    show("open-invoke", "Invoke in process", &parties).await;
}

async fn outcome() {
    let (ours, baseline) = (Server::start("durable"), Server::start("log-run"));
    let request = accept_request(None);
    let our_call: Call =
        Arc::new(move |channel| accepted_and_followed(channel, request.clone()).boxed());
    let by_hand: Call = Arc::new(|channel| append_and_wait(channel, load::customer()).boxed());
    let calls = settings().part_of(8_000);
    let parties = [
        Party::new("cidery", &ours, calls, our_call).await,
        Party::new("by hand", &baseline, calls, by_hand).await,
    ];
    show(
        "open-outcome",
        "Accepted to the outcome on a stream",
        &parties,
    )
    .await;
    remove_folders([("durable", &ours), ("log", &baseline)]);
}

async fn show(row: &'static str, title: &str, parties: &[Party; 2]) {
    let capacity = f64::min(parties[0].capacity, parties[1].capacity);
    let seconds = if settings().is_quick() {
        SECONDS / 5.0
    } else {
        SECONDS
    };
    for part in PARTS {
        let rate = capacity * part / 100.0;
        let mut latencies = [Vec::new(), Vec::new()];
        for _ in 0..settings().rounds() {
            for (party, latencies) in parties.iter().zip(&mut latencies) {
                latencies.push(party.at(rate, seconds).await);
            }
        }
        let sheet = Sheet {
            row,
            title: format!("{title}, open loop at {rate:.0} per second"),
            x: "percent of capacity",
            at: part,
            who: parties[0].name,
            against: Some(parties[1].name),
        };
        sheet.head();
        for (figure, quantile, goal) in [
            ("p50, us", 0.5, None),
            ("p99, us", 0.99, Some(Goal::AtMost(1.2))),
            ("p99.9, us", 0.999, None),
        ] {
            let of = |histograms: &[Histogram<u64>]| -> Vec<f64> {
                let value = |histogram: &Histogram<u64>| histogram.value_at_quantile(quantile);
                #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
                histograms
                    .iter()
                    .map(|histogram| value(histogram) as f64)
                    .collect()
            };
            sheet.figure(&Figure {
                figure,
                values: of(&latencies[0]),
                baseline: Some(of(&latencies[1])),
                goal: goal.filter(|_| row == "open-invoke"),
            });
        }
    }
}
