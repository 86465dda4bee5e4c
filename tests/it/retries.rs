//! Retries of asynchronous invocations: by kind of error, with backoff, with numbered attempts.

use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::engine::clock::Clock;
use cidery::model::call::Call;
use cidery::model::invocation::State;
use cidery::{Context, Definition, Error, Kind, Node, NodeHandle, Result, RetryPolicy, dict};

use crate::support::{PATIENCE, TestNode};

async fn start(definition: Definition) -> NodeHandle {
    let builder = Node::builder().clock(Clock::steady()).demo().no_listener();
    builder.register(definition).start().await.unwrap()
}

const LONG: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_retried_until_one_succeeds() {
    let node = Node::builder()
        .clock(Clock::steady())
        .demo()
        .no_listener()
        .start()
        .await
        .unwrap();
    let cid = node
        .invoke_async("demo.flaky", dict! { "failures": 20 })
        .await
        .unwrap();
    let found = node.invoker().find(cid, LONG).await.unwrap().invocation;
    assert_eq!((found.state, found.attempts), (State::Succeeded, 21));
    let attempts: Vec<u32> = found.events.iter().map(|event| event.attempt).collect();
    assert!(attempts.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn an_invocation_fails_when_no_attempt_is_left() {
    let flaky = Definition::new("f", async || {
        Err::<(), _>(Error::unavailable("DOWN", "down"))
    });
    let policy = RetryPolicy {
        max_attempts: 3,
        ..RetryPolicy::default()
    };
    let node = start(flaky.unwrap().retry_policy(policy)).await;
    let cid = node.invoke_async("f", ()).await.unwrap();
    let found = node.invoker().find(cid, LONG).await.unwrap().invocation;
    assert_eq!((found.state, found.attempts), (State::Failed, 3));
    assert_eq!(found.outcome().unwrap().unwrap_err().reason(), "DOWN");
}

#[tokio::test(start_paused = true)]
async fn errors_that_the_caller_must_fix_are_not_retried() {
    let node = Node::builder()
        .clock(Clock::steady())
        .demo()
        .no_listener()
        .start()
        .await
        .unwrap();
    for (input, attempts) in [
        (dict! { "code": "INVALID_ARGUMENT" }, 1),
        (dict! { "code": "UNAVAILABLE", "retryable": false }, 1),
        (dict! { "code": "NOT_FOUND", "retryable": true }, 25),
        (dict! { "code": "INTERNAL" }, 25),
    ] {
        let cid = node.invoke_async("demo.fail", input.clone()).await.unwrap();
        let found = node.invoker().find(cid, LONG).await.unwrap().invocation;
        assert_eq!(
            (found.state, found.attempts),
            (State::Failed, attempts),
            "{input:?}"
        );
    }
}

/// A retry would run the same code.
#[tokio::test(start_paused = true)]
async fn an_output_that_cannot_be_encoded_is_not_retried() {
    let node = Node::builder()
        .clock(Clock::steady())
        .service("a.nan", async || f64::NAN)
        .no_listener()
        .start()
        .await
        .unwrap();
    let cid = node.invoke_async("a.nan", ()).await.unwrap();
    let found = node.invoker().find(cid, LONG).await.unwrap().invocation;
    assert_eq!((found.state, found.attempts), (State::Failed, 1));
    let failure = found.outcome().unwrap().unwrap_err();
    assert_eq!(failure.reason(), "OUTPUT_INVALID");
}

#[tokio::test(start_paused = true)]
async fn a_handler_can_delay_its_retry() {
    const WAIT: Duration = Duration::from_secs(3_000);
    async fn busy(ctx: Context) -> Result<()> {
        match ctx.attempt() {
            1 => Err(Error::resource_exhausted("BUSY", "later").with_retry_after(WAIT)),
            _ => Ok(()),
        }
    }
    let node = start(Definition::new("busy", busy).unwrap()).await;
    let start = tokio::time::Instant::now();
    let cid = node.invoke_async("busy", ()).await.unwrap();
    node.invoker().find(cid, LONG).await.unwrap();
    assert!(start.elapsed() >= WAIT);
}

#[tokio::test(start_paused = true)]
async fn progress_restarts_the_attempt_timeout() {
    async fn silent(ctx: Context) -> Result<()> {
        ctx.cancelled().await;
        Err(Error::cancelled("STOPPED", "stopped"))
    }
    async fn lively(ctx: Context) -> u32 {
        for n in 0..5 {
            tokio::time::sleep(Duration::from_secs(8)).await;
            ctx.progress(cidery::Progress::at(f64::from(n) / 5.0));
        }
        ctx.attempt()
    }
    let minute = |definition: Definition| {
        definition
            .attempt_timeout(Duration::from_secs(10))
            .retry_policy(RetryPolicy::never())
    };
    let node = start(minute(Definition::new("silent", silent).unwrap())).await;
    node.invoker()
        .add_service(minute(Definition::new("lively", lively).unwrap()))
        .unwrap();
    let silent = node.invoke_async("silent", ()).await.unwrap();
    let lively = node.invoke_async("lively", ()).await.unwrap();
    let error = node
        .invoker()
        .find(silent, LONG)
        .await
        .unwrap()
        .invocation
        .outcome()
        .unwrap();
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.reason()),
        (Kind::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    let found = node.invoker().find(lively, LONG).await.unwrap().invocation;
    assert_eq!(found.state, State::Succeeded);
}

/// An attempt that does not stop in time is dropped before the next one starts, so that attempts never overlap.
#[tokio::test(start_paused = true)]
async fn attempts_do_not_overlap() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Inside(Arc<AtomicUsize>);
    impl Drop for Inside {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let inside = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&inside);
    let stubborn = move |ctx: Context| {
        let before = counter.fetch_add(1, Ordering::SeqCst);
        let guard = Inside(Arc::clone(&counter));
        async move {
            assert_eq!(before, 0, "two attempts at once");
            if ctx.attempt() < 3 {
                std::future::pending::<()>().await;
            }
            drop(guard);
        }
    };
    let definition = Definition::new("stubborn", stubborn).unwrap();
    let node = start(definition.attempt_timeout(Duration::from_secs(1))).await;
    let cid = node.invoke_async("stubborn", ()).await.unwrap();
    let found = node.invoker().find(cid, LONG).await.unwrap().invocation;
    assert_eq!((found.state, found.attempts), (State::Succeeded, 3));
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_reads_the_last_progress() {
    async fn work(ctx: Context) -> Result<i64> {
        let done = ctx
            .last_progress()
            .and_then(|p| p.value.clone())
            .and_then(|v| v.as_int());
        match done {
            None => {
                ctx.progress(cidery::Progress::note("half").value(7));
                Err(Error::unavailable("DOWN", "down"))
            }
            Some(done) => Ok(done),
        }
    }
    let node = start(Definition::new("work", work).unwrap()).await;
    let cid = node.invoke_async("work", ()).await.unwrap();
    let found = node.invoker().find(cid, LONG).await.unwrap().invocation;
    let reply = found.outcome().unwrap().unwrap();
    assert_eq!(
        cidery::codec::payload::decode(reply.payload)
            .unwrap()
            .as_int(),
        Some(7)
    );
}

/// A reason is the handler's own, even one that the platform uses too: it says nothing about why the invocation waits.
#[tokio::test]
async fn a_reason_of_the_handler_is_not_taken_for_the_platforms() {
    let fails = Definition::new("f", async || {
        Err::<(), _>(Error::unavailable("NO_COMPATIBLE_WORKER", "not me"))
    });
    let policy = RetryPolicy {
        initial_interval: LONG,
        max_interval: LONG,
        ..RetryPolicy::default()
    };
    let fails = fails.unwrap().retry_policy(policy);
    let node = TestNode::start(Node::builder().register(fails)).await;
    let call = Call::new("f", dict! {});
    let cid = node.client.invoke_async(call).await.unwrap().cid;
    let waits = async {
        loop {
            let found = node.client.invocation(cid, Duration::ZERO).await.unwrap();
            if found.state() == v1::State::Pending && found.attempt == 1 {
                break found;
            }
        }
    };
    let waits = tokio::time::timeout(PATIENCE, waits).await.unwrap();
    assert_eq!(waits.pending_reason(), v1::PendingReason::Backoff);
}
