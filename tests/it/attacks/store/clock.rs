//! Steps of the clock: what is due starts, and nothing starts before.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::engine::clock::{Clock, ManualClock, SteppedClock};
use cidery::model::call::{Call, Start};
use cidery::model::invocation::State;
use cidery::store::MemoryStore;
use cidery::{Cid, Context, Node, NodeHandle};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::support::stored::NOW;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

struct Stepped {
    node: NodeHandle,
    clock: SteppedClock,
    runs: Arc<AtomicUsize>,
}

impl Stepped {
    async fn start() -> Self {
        let (clock, runs) = (SteppedClock::at(NOW), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&runs);
        let builder = Node::builder().service("counts", move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async {}
        });
        let builder = builder.service("waits", async |ctx: Context| ctx.cancelled().await);
        let builder = builder.no_listener().clock(Clock::Stepped(clock.clone()));
        let node = builder.store(MemoryStore::new()).start().await.unwrap();
        Self { node, clock, runs }
    }

    async fn accept(&self, service: &str, change: impl FnOnce(&mut Call)) -> Cid {
        let mut call = Call::new(service.to_owned(), ());
        change(&mut call);
        self.node.invoker().invoke_async(call).await.unwrap().cid
    }

    async fn after(&self, delay: Duration) -> Cid {
        let delayed = |call: &mut Call| call.durable().start = Some(Start::After(delay));
        self.accept("counts", delayed).await
    }

    /// The state after so many seconds of the runtime at most, and how many passed.
    async fn state(&self, cid: Cid, wait: u64) -> (State, Duration) {
        let start = Instant::now();
        let found = self.node.invoker().find(cid, Duration::from_secs(wait));
        (found.await.unwrap().invocation.state, start.elapsed())
    }

    /// Asserts that an invocation ends within a second.
    async fn ends_within_a_second(&self, cid: Cid, state: State) {
        let (ended, took) = self.state(cid, 7_200).await;
        assert_eq!(ended, state);
        assert!(took <= Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_due_after_a_step_forward_starts_within_a_second() {
    let node = Stepped::start().await;
    let late = node.after(Duration::from_secs(7_200)).await;
    let due = node.after(Duration::from_secs(3_600)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    node.clock.step(HOUR);
    node.ends_within_a_second(due, State::Succeeded).await;
    assert!(!node.state(late, 0).await.0.is_terminal());
}

/// The time at which the scheduler polls next has passed: new work must not wait for it.
#[tokio::test(start_paused = true)]
async fn new_work_after_a_step_forward_does_not_wait_for_delayed_work() {
    let node = Stepped::start().await;
    node.after(Duration::from_secs(600)).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    node.clock.step(HOUR);
    let new = node.after(Duration::ZERO).await;
    node.ends_within_a_second(new, State::Succeeded).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_a_step_passes_ends_what_runs() {
    let node = Stepped::start().await;
    let deadline = NOW.checked_add(HOUR).unwrap();
    let cid = node
        .accept("waits", |call| call.durable().deadline = Some(deadline))
        .await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    node.clock.step(HOUR);
    node.ends_within_a_second(cid, State::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_step_back_nothing_starts_early_or_twice_and_nothing_stalls() {
    let node = Stepped::start().await;
    let delayed = node.after(Duration::from_secs(60)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    node.clock.step(-HOUR);
    // New work starts at once.
    let new = node.after(Duration::ZERO).await;
    node.ends_within_a_second(new, State::Succeeded).await;
    let (state, _) = node.state(delayed, 1_800).await;
    assert_eq!(state, State::ACCEPTED, "it started before it was due");
    node.clock.step(HOUR);
    node.ends_within_a_second(delayed, State::Succeeded).await;
    tokio::time::sleep(Duration::from_secs(7_200)).await;
    assert_eq!(node.runs.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_clock_before_1970_is_refused_at_the_start() {
    let start = async |time: Timestamp| {
        let clock = Clock::Manual(ManualClock::at(time));
        let builder = Node::builder().no_listener().clock(clock);
        builder.start().await
    };
    let before = Timestamp::UNIX_EPOCH - SignedDuration::from_nanos(1);
    let error = start(before).await.unwrap_err();
    assert_eq!(error.reason(), "CLOCK_INVALID", "{error}");
    assert!(error.message().contains("1969"), "{error}");
    start(Timestamp::UNIX_EPOCH).await.unwrap().stop().await;
}
